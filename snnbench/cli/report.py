"""``snnbench report``: a run or a set of runs as one HTML file."""

import argparse
from pathlib import Path

from snnbench.cli.publish import add_selection, selected


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "report",
        help="make one HTML page of a run or a set of runs",
        description="Write one self-contained HTML file: what was run, results with intervals and tests, plots, "
        "on what it was run, and how to repeat it. FOLDER is a run's directory, or holds some.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where it goes (report.html in the folder)")
    parser.add_argument("--title", metavar="TEXT", help="of a page on several runs (Report)")
    add_selection(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.errors import UsageError
    from snnbench.experiment.disk import replacing
    from snnbench.report.page import run_page, runs_page
    from snnbench.report.text import size

    out = args.out or args.directory / "report.html"
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; name a file")
    if (args.directory / "run.json").is_file():
        html = run_page(args.directory)
    else:
        board = selected(args, "Report", alone=True)
        for note in board.ranking.notes:
            print(f"* {note}")
        html = runs_page(board)
    out.parent.mkdir(parents=True, exist_ok=True)
    data = html.encode("utf-8", "replace")
    with replacing(out) as file:
        file.write(data)
    print(f"{out}: {size(len(data))}")
    return 0
