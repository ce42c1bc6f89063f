"""``snnbench publish``: recorded runs as a static site."""

import argparse
from pathlib import Path

from snnbench.cli.rank import MEASURE_NAMES


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
    parser.add_argument("--title", default="Leaderboard", metavar="TEXT", help="of the site")
    parser.add_argument("--no-data", action="store_true", help="leave the runs' records out of the site")
    add_selection(parser)
    parser.set_defaults(run=_run)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """What runs are judged by, and which."""
    parser.add_argument("--measure", choices=MEASURE_NAMES, default="test", help="what runs are judged by (test)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE",
                        help="only runs with this problem, algorithm, budget, ...")  # fmt: skip
    parser.add_argument("--alpha", type=float, default=0.05, metavar="P", help="significance level (0.05)")
    parser.add_argument("--allow-mixed", action="store_true",
                        help="show different versions, budgets, devices or data together, with a note")  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    from snnbench.report.board import board
    from snnbench.report.site import publish
    from snnbench.report.text import size
    from snnbench.report.views import counted, extent
    from snnbench.stats.results import load_results

    made = board(
        load_results(args.directory),
        args.title,
        measure=args.measure,
        alpha=args.alpha,
        where=args.where,
        mixed=args.allow_mixed,
    )
    site = publish(made, args.out, data=not args.no_data)
    print(f"{extent(made.ranking)}, {counted(len(made.runs), 'run')}")
    for note in made.ranking.notes:
        print(f"* {note}")
    print(f"{args.out / 'index.html'}: {counted(len(site.sums), 'file')}, {size(site.bytes)}")
    return 0
