"""``snnbench rank``: which algorithms are better, and how sure that is."""

import argparse
import json
from pathlib import Path

MEASURE_NAMES = ("test", "search", "anytime", "ecdf", "hypervolume", "igd+")


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "rank",
        help="rank algorithms by recorded runs, with tests",
        description="Rank the algorithms of all runs in a folder: per problem by Mann-Whitney tests over seeds, across "
        "problems by Friedman's and signed-rank tests, corrected. Ranks are shared where the tests see no difference.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--measure", choices=MEASURE_NAMES, default="test", help="what runs are judged by (test)")
    parser.add_argument("--where", action="append", default=[], metavar="COLUMN=VALUE",
                        help="only runs with this problem, algorithm, budget, ...")  # fmt: skip
    parser.add_argument("--alpha", type=float, default=0.05, metavar="P", help="significance level (0.05)")
    parser.add_argument("--problems", action="store_true", help="show the ranking on every problem, too")
    parser.add_argument("--allow-mixed", action="store_true",
                        help="rank runs of different versions, budgets, devices or data, with a note")  # fmt: skip
    parser.add_argument("--targets", action="store_true",
                        help="expected running times to fixed targets instead of ranks")  # fmt: skip
    parser.add_argument("--equivalence", type=float, metavar="MARGIN",
                        help="test, too, who is equivalent up to this much of the frozen scale")  # fmt: skip
    parser.add_argument("--format", choices=("text", "markdown", "latex", "csv", "json"), default="text",
                        help="how it is printed (text)")  # fmt: skip
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.errors import UsageError
    from snnbench.report import equivalence, targets
    from snnbench.report.ranking import content, shown
    from snnbench.report.tables import FORMATS, formatted
    from snnbench.stats.equivalence import equivalences
    from snnbench.stats.ranking import rank
    from snnbench.stats.results import load_results
    from snnbench.stats.target_tables import target_tables

    as_json = args.format == "json"
    if args.format in FORMATS and (args.targets or args.equivalence is not None):
        raise UsageError(f"--targets and --equivalence are printed as text or --json, not as {args.format}")
    if args.targets:
        tables = target_tables(load_results(args.directory), args.where, args.allow_mixed)
        print(json.dumps(targets.content(tables), indent=2) if as_json else targets.shown(tables))
        return 0
    ranking = rank(load_results(args.directory), args.measure, args.alpha, args.where, args.allow_mixed)
    if args.format in FORMATS:
        print(formatted(ranking, args.format, args.problems), end="")
        return 0
    found, text = content(ranking), shown(ranking, args.problems)
    if args.equivalence is not None:
        pairs = equivalences(ranking.scores, args.equivalence)
        found["equivalence"] = equivalence.content(ranking, pairs, args.equivalence)
        text += "\n\n" + equivalence.shown(ranking, pairs, args.equivalence)
    print(json.dumps(found, indent=2) if as_json else text)
    return 0
