"""Which algorithms are equivalent up to a margin, on the terminal and as plain data."""

import dataclasses
import textwrap
from typing import Any

from snnbench.report.text import table
from snnbench.stats.equivalence import Equivalence, verdict
from snnbench.stats.ranking import Ranking

WIDTH = 79
MOST = 40
LONGEST = 17
Pairs = dict[tuple[str, str], Equivalence]


def shown(ranking: Ranking, pairs: Pairs, margin: float) -> str:
    """One line per pair, of the likeliest equivalent first, and what was tested."""
    n = len(ranking.tasks)
    ordered = sorted(pairs, key=lambda pair: (pairs[pair].p, -pairs[pair].same, pair))
    rows = [_row(ranking, pair, pairs[pair]) for pair in ordered[:MOST]]
    header = ["first, second", "p TOST", "first", "same", "second", "verdict"]
    smallest = min(1.0, len(pairs) * 2.0**-n)
    sentences = [
        f"Equivalent: within {margin:g} of the frozen scale (0 ideal, 1 worst). p TOST: two one-sided signed-rank "
        f"tests over {n} problems, Holm; at least {smallest:.2g} among {len(pairs)} pairs, whatever the algorithms do"
        + (", so too few problems to show equivalence." if smallest > ranking.alpha else "."),
        "First, same, second: probability of the Bayesian signed-rank test that the first is better by more than the "
        "margin, that they are equivalent, that the second is. Undecided is not equivalent.",
    ]
    left = [f"{len(pairs) - MOST} more pairs in --json"] if len(pairs) > MOST else []
    width = max(len(row[0]) for row in [header, *rows])
    aligned = table([header[0].ljust(width), *header[1:]], rows)
    return "\n\n".join([aligned, *(textwrap.fill(s, WIDTH, break_on_hyphens=False) for s in [*left, *sentences])])


def content(ranking: Ranking, pairs: Pairs, margin: float) -> dict[str, Any]:
    """The same as JSON can hold it."""
    found = [
        {"algorithms": list(pair), **dataclasses.asdict(f), "verdict": _word(ranking, pair, f, pair)}
        for pair, f in pairs.items()
    ]
    return {"margin": margin, "pairs": found}


def _row(ranking: Ranking, pair: tuple[str, str], found: Equivalence) -> list[str]:
    names = ", ".join(_shortened(name) for name in pair)
    probabilities = [f"{p:.2f}" for p in (found.first, found.same, found.second)]
    return [names, f"{found.corrected:.2g}", *probabilities, _word(ranking, pair, found, ("first", "second"))]


def _shortened(name: str) -> str:
    """So that two names and what was found fit a line; the end tells names with settings apart."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}..{name[-7:]}"


def _word(ranking: Ranking, pair: tuple[str, str], found: Equivalence, names: tuple[str, str]) -> str:
    a, b = pair
    ways = ((names[0], a, b), (names[1], b, a))
    better = [name for name, one, other in ways if ranking.verdicts and ranking.verdicts.better(one, other)]
    return verdict(found, ranking.alpha, better)
