"""Critical difference diagram: mean ranks, and which of them are not told apart (Demsar, JMLR 7:1-30, 2006)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from snnbench.report.plots.base import Impossible, Material, Plot, clean, counted
from snnbench.report.plots.style import GREY, INK, Look, looks, plain_ticks
from snnbench.stats.ranking import Ranking, Standing, Verdicts

MOST_BARS = 15
ROW, BAR = 0.2, 0.1  # inches


def critical_difference(material: Material) -> Iterator[Plot]:
    """Mean ranks over problems on one axis; bars join algorithms that the tests cannot tell apart."""
    from matplotlib.figure import Figure

    ranking = material.ranking
    if not ranking.standings or ranking.verdicts is None:
        raise Impossible(_reason(material, ranking))
    standings = sorted(ranking.standings, key=lambda s: (s.value, s.rank, s.algorithm))
    names = [s.algorithm for s in standings]
    bars, all_shown = groups(names, ranking.verdicts)
    drawn = looks(material)
    rows = (len(names) + 1) // 2
    below = 0.15 + BAR * max(len(bars), 1) + ROW * rows + 0.1
    made = Figure(figsize=(7.2, 0.75 + below))
    axes = made.add_axes((0.26, below / (0.75 + below), 0.48, 0.2 / (0.75 + below)))
    _axis(axes, len(names))
    places = {s.algorithm: s.value for s in standings}
    for depth, members in enumerate(bars):
        _bar(axes, members, places, 0.15 + BAR * depth)
    start = 0.15 + BAR * max(len(bars), 1) + 0.1
    for i, standing in enumerate(standings):
        left = i < rows
        row = i if left else len(names) - 1 - i
        _named(axes, standing, drawn[standing.algorithm], start + ROW * row, left)
    axes.set_title(f"mean rank over {counted(len(ranking.tasks), 'problem')}, 1 is best", pad=22)
    yield Plot(
        "critical-difference",
        "Critical difference diagram",
        _caption(ranking, all_shown, bool(bars)) + material.left_out(names),
        made,
        "Mean ranks, the best first: "
        + "; ".join(f"{clean(s.algorithm)} {s.value:.2f}" for s in standings)
        + ". Not told apart: "
        + ("; ".join(", ".join(clean(name) for name in members) for members in bars) or "none")
        + ".",
    )


def groups(names: Sequence[str], verdicts: Verdicts) -> tuple[list[list[str]], bool]:
    """The largest sets of at least two algorithms of which none is told apart from another.

    Parameters
    ----------
    names
        Algorithms by mean rank.
    verdicts
        All pairs.

    Returns
    -------
    groups, complete
        Each in the order of `names`, and whether these are all. If there were more than `MOST_BARS`, which nobody could
        read, only sets of neighbours in `names` are kept; what they say still holds.
    """
    k = len(names)
    alike = np.ones((k, k), bool)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            alike[i, j] = i == j or not (verdicts.better(a, b) or verdicts.better(b, a))
    found = _cliques(alike, 8 * MOST_BARS)
    complete = found is not None and len(found) <= MOST_BARS
    if found is None or not complete:
        found = _runs(alike)
    ordered = sorted((sorted(group) for group in found if len(group) > 1), key=lambda g: (g[0], g[-1], g))
    return [[names[i] for i in group] for group in ordered], complete


def _cliques(alike: np.ndarray, most: int) -> list[list[int]] | None:
    """Maximal cliques (Bron and Kerbosch with pivots, Commun. ACM 16:575-577, 1973); None if more than `most`."""
    near = [set(np.flatnonzero(row).tolist()) - {i} for i, row in enumerate(alike)]
    found: list[list[int]] = []

    def extend(chosen: list[int], open_: set[int], closed: set[int]) -> None:
        if len(found) > most:
            return
        if not open_ and not closed:
            found.append(chosen)
            return
        pivot = max(sorted(open_ | closed), key=lambda v: len(near[v] & open_))
        for v in sorted(open_ - near[pivot]):
            extend([*chosen, v], open_ & near[v], closed & near[v])
            open_, closed = open_ - {v}, closed | {v}

    extend([], set(range(len(alike))), set())
    return None if len(found) > most else found


def _runs(alike: np.ndarray) -> list[list[int]]:
    """Maximal runs of neighbours of which none is told apart from another."""
    found: list[list[int]] = []
    for first in range(len(alike)):
        last = first
        while last + 1 < len(alike) and alike[first : last + 1, last + 1].all():
            last += 1
        if not found or last > found[-1][-1]:
            found.append(list(range(first, last + 1)))
    return found


def _axis(axes: Any, count: int) -> None:
    axes.set_xlim(1, count)
    axes.xaxis.tick_top()
    axes.spines[["left", "bottom", "right"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.yaxis.set_visible(False)
    axes.grid(False)
    step = max(1, round(count / 8))
    axes.set_xticks([1, *range(step if step > 1 else 2, count, step), count])
    plain_ticks(axes.xaxis)


def _at(axes: Any, inches: float) -> float:
    """So far below the axis, as a share of the axes' height."""
    height = axes.get_position().height * axes.figure.get_figheight()
    return 1.0 - inches / float(height)


def _bar(axes: Any, members: Sequence[str], places: dict[str, float], inches: float) -> None:
    values = [places[name] for name in members]
    where = axes.get_xaxis_transform()
    y = _at(axes, inches)
    # Wide enough to be seen where mean ranks are equal.
    low, high = min(values), max(values)
    axes.plot([low, high], [y, y], transform=where, color=INK, lw=2.4, solid_capstyle="round", clip_on=False, zorder=5)
    axes.plot(values, [y] * len(values), "o", ms=3.4, transform=where, color=INK, clip_on=False, zorder=6)


def _named(axes: Any, standing: Standing, look: Look, inches: float, left: bool) -> None:
    """An algorithm's name at the side, with a line to its place on the axis."""
    where = axes.get_xaxis_transform()
    first, last = axes.get_xlim()
    end = first if left else last
    away = 0.05 * (last - first) * (-1 if left else 1)
    y = _at(axes, inches)
    colour = look.colour if look.own else GREY
    axes.plot([standing.value, standing.value, end + away], [1.0, y, y], transform=where, color=colour,
              lw=1.5 if look.own else 0.7, clip_on=False)  # fmt: skip
    name = clean(standing.algorithm)
    text = f"{name}  {standing.value:.2f}" if left else f"{standing.value:.2f}  {name}"
    axes.text(end + 1.4 * away, y, text, transform=where, ha="right" if left else "left", va="center", fontsize=8)


def _caption(ranking: Ranking, complete: bool, any_bar: bool) -> str:
    text = f"Mean ranks of {len(ranking.standings)} algorithms over {counted(len(ranking.tasks), 'problem')}. "
    if any_bar:
        text += "Bars join algorithms (dots) of which no two are told apart "
    else:
        text += "All pairs are told apart "
    text += f"by signed-rank tests over problems with Holm's correction at {ranking.alpha:g}."
    if ranking.omnibus is not None and ranking.omnibus.p > ranking.alpha:
        text += f" Friedman's test sees no difference at all (p = {ranking.omnibus.p:.2g}), so no pair was looked at."
    if not complete:
        text += " Of the many groups only those of neighbours are drawn."
    return text


def _reason(material: Material, ranking: Ranking) -> str:
    if len(ranking.tasks) < 2:
        return "mean ranks need several problems, and there is one"
    missing = len(material.algorithms) - len(ranking.incomplete)
    return f"mean ranks need two algorithms that were run on every problem, and there are {missing}"
