"""``snnbench publish``: recorded runs as a static site."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from snnbench.cli.rank import MEASURE_NAMES

if TYPE_CHECKING:
    from snnbench.report.board import Board


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "publish",
        help="make a static site of recorded runs",
        description="Make a leaderboard of all runs in a folder as a static site: it works from a file or from any web "
        "server, without network. Every problem, algorithm and run has a page; tables and raw data can be downloaded.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--out", type=Path, required=True, metavar="BOARD", help="folder of the site")
    parser.add_argument("--title", metavar="TEXT", help="of the site (Leaderboard)")
    parser.add_argument("--no-data", action="store_true", help="leave the runs' records out of the site")
    parser.add_argument("--no-plots", action="store_true", help="draw no plots, which takes most of the time")
    add_selection(parser)
    parser.set_defaults(run=_run)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which runs, and what they are judged by."""
    parser.add_argument("--suite", metavar="NAME", help="only runs of this suite, or of a suite file *.toml")
    parser.add_argument("--measure", choices=MEASURE_NAMES, default="test", help="what runs are judged by (test)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE",
                        help="only runs with this problem, algorithm, budget, ...")  # fmt: skip
    parser.add_argument("--alpha", type=float, default=0.05, metavar="P", help="significance level (0.05)")
    parser.add_argument("--allow-mixed", action="store_true",
                        help="show different versions, budgets, devices or data together, with a note")  # fmt: skip


def selected(args: argparse.Namespace, title: str, alone: bool = False) -> "Board":
    """The board that the command line asks for; `title` if it names none."""
    from snnbench.experiment.suite import load_suite
    from snnbench.report.board import board, of_suite
    from snnbench.stats.results import load_results

    suite = load_suite(args.suite) if args.suite else None
    results, left_out = load_results(args.directory), ""
    if suite is not None:
        results, left_out = of_suite(results, suite)
        title = f"{title}: {suite.title}"
    made = board(
        results,
        args.title or title,
        suite.description if suite else "",
        args.measure,
        args.alpha,
        args.where,
        args.allow_mixed,
        alone,
    )
    made.ranking.notes.extend([left_out] if left_out else [])
    return made


def _run(args: argparse.Namespace) -> int:
    from snnbench.errors import UsageError
    from snnbench.report.site import publish
    from snnbench.report.text import size
    from snnbench.report.views import counted, extent

    if not args.no_data and args.out.resolve().is_relative_to(args.directory.resolve()):
        raise UsageError(
            f"--out {args.out} lies in {args.directory}, where its copies would be found as runs next time"
        )
    made = selected(args, "Leaderboard")
    site = publish(made, args.out, data=not args.no_data, plots=not args.no_plots)
    print(f"{extent(made.ranking)}, {counted(len(made.runs), 'run')}")
    for note in made.ranking.notes:
        print(f"* {note}")
    print(f"{args.out / 'index.html'}: {counted(len(site.sums), 'file')}, {size(site.bytes)}")
    return 0
