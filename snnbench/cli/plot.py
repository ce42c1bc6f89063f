"""``snnbench plot``: pictures of recorded runs."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnbench.cli.rank import MEASURE_NAMES
from snnbench.errors import UsageError

if TYPE_CHECKING:
    from snnbench.report.plots import Plot

FORMATS = ("svg", "png", "pdf")
KINDS = (
    "critical-difference", "heat-map", "rank-over-time", "runtimes", "performance-profile", "convergence",
    "final-results", "pareto-fronts", "attainment", "spikes-accuracy", "control-parameters",
)  # fmt: skip


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "plot",
        help="plot recorded runs",
        description="Plots of all runs in a folder, over all problems and for each problem in a folder of its own; of "
        "a single run where the folder is one. Those that the runs cannot fill are left out.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--kind", default="", metavar="NAME,...", help=f"only these plots, of {', '.join(KINDS)}")
    parser.add_argument("--out", type=Path, default=Path("plots"), metavar="FOLDER", help="where to write (plots)")
    parser.add_argument("--format", default="svg", metavar="NAME,...", help="svg, png, pdf, or several (svg)")
    parser.add_argument("--highlight", default="", metavar="ALGO,...", help="algorithms in colour; the others are grey")
    parser.add_argument("--algo", action="append", default=[], metavar="NAME,...", help="only these algorithms")
    parser.add_argument("--measure", choices=MEASURE_NAMES, default="test", help="what runs are judged by (test)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE",
                        help="only runs with this problem, algorithm, budget, ...")  # fmt: skip
    parser.add_argument("--log", action="store_true", help="evaluations on a logarithmic axis")
    parser.add_argument("--allow-mixed", action="store_true",
                        help="plot runs of different versions, budgets, devices or data together")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    formats = _names(args.format)
    wrong = [name for name in formats if name not in FORMATS]
    if wrong or not formats:
        raise UsageError(f"--format takes {', '.join(FORMATS)}, not {args.format!r}")
    single = (args.directory / "run.json").is_file()
    written: set[Path] = set()
    for folder, plot in _of_run(args) if single else _of_runs(args):
        for suffix in formats:
            path = _free(args.out / folder, plot.name, suffix, written)
            _save(plot, path)
            print(path, flush=True)
    if not written:
        raise UsageError(f"{args.directory}: nothing there that can be plotted; --kind NAME says why a plot cannot be")
    return 0


def _of_runs(args: argparse.Namespace) -> Iterator[tuple[str, "Plot"]]:
    """Folder and plot, one after the other: figures of 30 algorithms on many problems are large."""
    from snnbench.report.plots import OVERALL, PROBLEM, Material, slug
    from snnbench.report.plots.style import chosen
    from snnbench.stats.results import load_results
    from snnbench.stats.selection import select

    results = load_results(args.directory)
    where = [*args.where, *(f"algorithm={names}" for names in args.algo)]
    selection = select(results, where, args.allow_mixed)
    for note in selection.notes:
        print(f"* {note}", file=sys.stderr)
    runs = selection.runs
    highlight = _known(_names(args.highlight), sorted(runs["algorithm"].unique()))
    kinds = _kinds(args.kind)
    tasks = [(str(task), rows) for task, rows in runs.groupby("task", sort=True)]
    whole = Material(runs, args.measure, highlight, args.log)
    coloured = chosen(whole)  # the same on all problems
    drawn: dict[str, str] = {}
    yield from (("", plot) for plot in _drawn(OVERALL, whole, kinds, drawn, len(tasks) > 1 or bool(kinds)))
    for task, rows in tasks:
        material = Material(rows, args.measure, coloured, args.log)
        yield from ((slug(task), plot) for plot in _drawn(PROBLEM, material, kinds, drawn, True))
    _complain(kinds, drawn, "there is nothing to plot it from")


def _of_run(args: argparse.Namespace) -> Iterator[tuple[str, "Plot"]]:
    from snnbench.experiment.record import open_run
    from snnbench.report.plots import RUN

    kinds = _kinds(args.kind)
    drawn: dict[str, str] = {}
    yield from (("", plot) for plot in _drawn(RUN, open_run(args.directory), kinds, drawn, True))
    _complain(kinds, drawn, "that is a plot of several runs, and this is one")


def _drawn(
    drawings: Mapping[str, Any], material: Any, kinds: list[str], drawn: dict[str, str], wanted: bool
) -> Iterator["Plot"]:
    """The plots of the kinds; `drawn` collects "" for those there are, and why the others cannot be."""
    from snnbench.report.plots import Impossible, draw

    for kind in drawings if wanted else ():
        if kinds and kind not in kinds:
            continue
        try:
            plots = draw(drawings, material, kind)
        except Impossible as reason:
            drawn.setdefault(kind, str(reason))
            continue
        drawn[kind] = ""
        yield from plots


def _complain(kinds: list[str], drawn: dict[str, str], unknown: str) -> None:
    """Plots that were asked for and nowhere possible."""
    missing = [f"{kind}: {drawn.get(kind, unknown)}" for kind in kinds if drawn.get(kind, unknown)]
    if missing:
        raise UsageError("; ".join(missing))


def _kinds(text: str) -> list[str]:
    from snnbench.errors import unknown

    kinds = _names(text)
    for kind in kinds:
        if kind not in KINDS:
            raise unknown("plot", kind, KINDS)
    return kinds


def _known(names: list[str], algorithms: list[str]) -> list[str]:
    from snnbench.errors import unknown

    for name in names:
        if name not in algorithms:
            raise unknown("algorithm", name, algorithms, "it is in none of the runs")
    return names


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _free(folder: Path, name: str, suffix: str, written: set[Path]) -> Path:
    """A path that no other plot of this call has: two names may differ in what file names cannot hold."""
    path, number = folder / f"{name}.{suffix}", 1
    while path in written:
        number += 1
        path = folder / f"{name}-{number}.{suffix}"
    written.add(path)
    return path


def _save(plot: "Plot", path: Path) -> None:
    from snnbench.report.plots import save

    try:
        save(plot, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}); --out FOLDER chooses another place") from None
