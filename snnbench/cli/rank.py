"""``snnbench rank``: which algorithms are better, and how sure that is."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from snnbench.stats.ranking import Ranking
    from snnbench.stats.references import ReferenceFront

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
    parser.add_argument("--fronts", type=Path, metavar="FILE", help="frozen reference fronts for igd+")
    parser.add_argument("--write-fronts", type=Path, metavar="FILE",
                        help="freeze the best points of these runs, and of --fronts, and do nothing else")  # fmt: skip
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.errors import UsageError
    from snnbench.report.tables import FORMATS, formatted
    from snnbench.stats import references
    from snnbench.stats.ranking import rank
    from snnbench.stats.results import load_results

    if args.format in FORMATS and (args.targets or args.equivalence is not None):
        raise UsageError(f"--targets and --equivalence are printed as text or --json, not as {args.format}")
    results = load_results(args.directory)
    if args.targets:
        return _targets(args, results)
    fronts = references.load(args.fronts) if args.fronts else []
    if args.write_fronts:
        return _freeze(args, results, fronts)
    ranking = rank(results, args.measure, args.alpha, args.where, args.allow_mixed, fronts=fronts)
    if args.format in FORMATS:
        print(formatted(ranking, args.format, args.problems), end="")
        return 0
    return _ranking(args, ranking)


def _ranking(args: argparse.Namespace, ranking: "Ranking") -> int:
    from snnbench.report import equivalence
    from snnbench.report.ranking import content, shown
    from snnbench.stats.equivalence import equivalences

    found, text = content(ranking), shown(ranking, args.problems)
    if args.equivalence is not None:
        pairs = equivalences(ranking.scores, args.equivalence)
        found["equivalence"] = equivalence.content(ranking, pairs, args.equivalence)
        text += "\n\n" + equivalence.shown(ranking, pairs, args.equivalence)
    print(json.dumps(found, indent=2) if args.format == "json" else text)
    return 0


def _targets(args: argparse.Namespace, results: "pd.DataFrame") -> int:
    from snnbench.report import targets
    from snnbench.stats.target_tables import target_tables

    tables = target_tables(results, args.where, args.allow_mixed)
    print(json.dumps(targets.content(tables), indent=2) if args.format == "json" else targets.shown(tables))
    return 0


def _freeze(args: argparse.Namespace, results: "pd.DataFrame", fronts: "list[ReferenceFront]") -> int:
    from snnbench.errors import UsageError
    from snnbench.stats import references
    from snnbench.stats.selection import select

    found = references.freeze(select(results, args.where, args.allow_mixed).runs, fronts)
    if not found:
        raise UsageError("no run of several objectives recommends anything: there is no front to freeze")
    references.save(args.write_fronts, found)
    print(f"{args.write_fronts}: {len(found)} reference fronts, {sum(len(f.points) for f in found)} points")
    return 0
