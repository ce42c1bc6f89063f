"""Ranks while the budget is used up: who is ahead early, and who in the end."""

from collections.abc import Iterator

import numpy as np

from snnbench.report.plots.base import Impossible, Material, Plot, clean, counted, seeds
from snnbench.report.plots.style import figure, label_ends, looks, others

SHARES = np.arange(1, 101) / 100.0


def rank_over_time(material: Material) -> Iterator[Plot]:
    """Mean rank over problems of the median of the best value so far, against the share of the budget."""
    names = material.everywhere()
    if len(names) < 2:
        raise Impossible("ranks need two algorithms that were run on every problem, and there is one")
    ranks = np.mean([_ranks(material, task, names) for task in material.tasks], axis=0)
    drawn = looks(material)
    made, axes = figure()
    for name, row in reversed(list(zip(names, ranks, strict=True))):
        axes.plot(100.0 * SHARES, row, **drawn[name].line)
    axes.set_xlim(0, 100)
    low, high = float(ranks.min()), float(ranks.max())
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(high + margin, low - margin)
    axes.set_xlabel("share of the budget, %")
    axes.set_ylabel("mean rank (1 is best)")
    axes.set_title("rank over time", loc="left")
    grey = others({name: drawn[name] for name in names})
    label_ends(axes, dict(zip(names, ranks[:, -1], strict=True)), drawn, grey)
    ahead = [names[int(i)] for i in np.argmin(ranks[:, [9, 49, 99]], axis=0)]
    yield Plot(
        "rank-over-time",
        "Rank over time",
        f"Mean rank over {counted(len(material.tasks), 'problem')} of the median over {seeds(material.runs)} of the "
        "best search objective so far, after each hundredth of the budget. No test is behind it."
        + material.left_out(names),
        made,
        "Lines of mean ranks. The best mean rank has "
        f"{clean(ahead[0])} after 10 % of the budget, {clean(ahead[1])} after 50 % and {clean(ahead[2])} at the end.",
    )


def _ranks(material: Material, task: str, names: list[str]) -> np.ndarray:
    """Ranks on one task, (algorithms, shares)."""
    from scipy import stats  # here: a second that most commands do without

    curves = [material.curves(task, name) for name in names]
    at = np.maximum(1, np.ceil(SHARES * curves[0].shape[1] - 1e-9).astype(np.int64)) - 1
    return np.asarray(stats.rankdata([np.median(curve[:, at], axis=0) for curve in curves], axis=0))
