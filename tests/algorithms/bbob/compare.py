"""Compares our algorithms with independent implementations on COCO's 24 bbob functions (through ``ioh``).

    python tests/algorithms/bbob/compare.py --references jade-minionpy,lshade-minionpy --out comparison.md

Both sides get the same number of evaluations, the same population and, where the library takes one, the same initial
population. With ``--results FILE`` finished runs are kept in that file and not repeated.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from harness import FUNCTIONS, TARGET, Function, Reference, compare, references, run_ours


def main(argv: list[str] | None = None) -> int:
    known = references()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", default=",".join(known), help="comma-separated; default: all of %(default)s")
    parser.add_argument("--functions", default=",".join(map(str, FUNCTIONS)), help="numbers of bbob functions")
    parser.add_argument("--dimension", type=int, default=10)
    parser.add_argument("--budget", type=int, default=2000, help="evaluations per dimension")
    parser.add_argument("--population", type=int, help="members of both; default: as each reference says")
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="write the Markdown tables here as well")
    parser.add_argument("--results", type=Path, help="keep final errors here (JSON) and do not repeat them")
    options = parser.parse_args(argv)
    names = [name for name in options.references.split(",") if name]
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no reference {', '.join(unknown)}; there are {', '.join(known)}")
    functions = [int(number) for number in options.functions.split(",")]
    kept = json.loads(options.results.read_text()) if options.results and options.results.exists() else {}
    report = []
    for name in names:
        started = time.perf_counter()
        ours, theirs = errors(name, known[name], functions, options, kept)
        report.append(table(name, known[name], functions, ours, theirs, options))
        print(f"<!-- {name}: {time.perf_counter() - started:.0f} s -->\n{report[-1]}", flush=True)
    if options.out:
        options.out.write_text("\n".join(report), encoding="utf-8")
    return 0


def errors(
    name: str, reference: Reference, functions: list[int], options: argparse.Namespace, kept: dict[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Final errors of both sides, (functions, seeds) each."""
    budget = options.budget * options.dimension
    population = reference.population if options.population is None else options.population
    result = np.empty((2, len(functions), options.seeds))
    for row, number in enumerate(functions):
        for seed in range(options.seeds):
            for side, who in enumerate(("ours", "theirs")):
                key = f"{name} {who} f{number} d{options.dimension} b{budget} n{population} s{seed}"
                if key not in kept:
                    function = Function(number, options.dimension, budget)
                    if who == "ours":
                        run_ours(
                            reference.algorithm, function, options.dimension, seed, population, reference.overrides
                        )
                    else:
                        reference.run(function, options.dimension, budget, seed, population)
                    kept[key] = function.best
                result[side, row, seed] = kept[key]
        if options.results:
            options.results.write_text(json.dumps(kept, indent=0))
    return result[0], result[1]


def table(
    name: str,
    reference: Reference,
    functions: list[int],
    ours: np.ndarray,
    theirs: np.ndarray,
    options: argparse.Namespace,
) -> str:
    """One comparison as Markdown."""
    different, worse = compare(ours, theirs)
    population = reference.population if options.population is None else options.population
    settings = "".join(f", {key}={value}" for key, value in reference.overrides.items())
    lines = [
        f"### `{name}`: `{reference.algorithm}` against {reference.title}",
        "",
        f"{options.dimension} dimensions, {options.budget * options.dimension:,} evaluations, "
        + (f"population {population}" if population else "each one's own population")
        + f", {options.seeds} seeds{settings}. Ours significantly (5 %) worse on {int((worse < 0.05).sum())} of "
        f"{len(functions)} functions; different on {int((different < 0.05).sum())}.",
        *([reference.remark] if reference.remark else []),
        "",
        "| function | median error, ours | theirs | p, different | p, ours worse |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for row, number in enumerate(functions):
        mine, other = (max(TARGET, float(np.median(side[row]))) for side in (ours, theirs))
        lines.append(f"| f{number} | {mine:.2e} | {other:.2e} | {different[row]:.3f} | {worse[row]:.3f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
