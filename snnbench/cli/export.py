"""``snnbench export``: recorded runs for other tools."""

import argparse
import sys
from pathlib import Path

FORMATS = ("ioh", "optuna", "csv")


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "export",
        help="write recorded runs for IOHanalyzer, Optuna or as CSV",
        description="Write all complete runs of a folder for other tools: a folder in IOHprofiler's format, an Optuna "
        "journal that optuna-dashboard opens, or one CSV file with a row per evaluation.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--to", choices=FORMATS, required=True, help="format")
    parser.add_argument("--out", type=Path, required=True, metavar="PATH", help="new folder (ioh) or file to write")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE",
                        help="only runs with this problem, algorithm, budget, ...")  # fmt: skip
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.report.exports import ioh, journal, tidy
    from snnbench.report.exports.source import chosen
    from snnbench.stats.results import load_results
    from snnbench.stats.selection import unfinished

    results = load_results(args.directory)
    runs = chosen(results, args.where)
    for note in unfinished(results):
        print(f"* {note}", file=sys.stderr)
    writer = {"ioh": ioh.export, "optuna": journal.export, "csv": tidy.export}[args.to]
    count = writer(runs, args.out)
    print(f"{args.out}: {len(runs)} runs, {count:,} evaluations")
    if args.to == "ioh":
        large = runs.loc[runs["dimension"] > ioh.LARGEST_DIMENSION, "task"].unique()
        if len(large):
            print(
                f"{', '.join(large)}: dimension written as {ioh.LARGEST_DIMENSION}, the largest that IOHinspector reads"
            )
    return 0
