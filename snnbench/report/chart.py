"""A line of a run's convergence as a small SVG: a thousand pages need one each, too many for a plotting library."""

from dataclasses import dataclass

import numpy as np

from snnbench.report.text import number

WIDTH, HEIGHT = 640.0, 200.0
MOST_CORNERS = 400


@dataclass(frozen=True)
class Chart:
    """Coordinates for the template.

    Attributes
    ----------
    points
        Of a polyline in a box of `WIDTH` x `HEIGHT`, stepwise, the best value so far.
    high, low
        Values at the upper and the lower edge, as texts.
    evaluations
        At the right edge.
    alt
        The chart in words.
    """

    points: str
    high: str
    low: str
    evaluations: int
    alt: str


def chart(best: np.ndarray, objective: str) -> Chart | None:
    """The course of the best feasible value so far.

    Parameters
    ----------
    best
        (n,) Never rising; infinite before the first feasible evaluation.
    objective
        Its name.

    Returns
    -------
    Chart or None
        ``None`` without two finite values.
    """
    finite = np.flatnonzero(np.isfinite(best))
    if len(finite) < 2:
        return None
    corners = np.unique(np.concatenate([finite[:1], 1 + np.flatnonzero(best[1:] != best[:-1]), [len(best) - 1]]))
    corners = corners[np.isfinite(best[corners])]
    if len(corners) > MOST_CORNERS:
        corners = corners[np.unique(np.linspace(0, len(corners) - 1, MOST_CORNERS).round().astype(int))]
    high, low = float(best[finite[0]]), float(best[-1])
    x = WIDTH * corners / (len(best) - 1)
    y = HEIGHT * (high - best[corners]) / (high - low) if high > low else np.full(len(corners), HEIGHT / 2)
    points = [f"{x[0]:.1f},{y[0]:.1f}"]
    for i in range(1, len(corners)):
        points += [f"{x[i]:.1f},{y[i - 1]:.1f}", f"{x[i]:.1f},{y[i]:.1f}"]
    alt = f"Best {objective} so far falls from {number(high)} to {number(low)} within {len(best):,} evaluations."
    return Chart(" ".join(points), number(high), number(low), len(best), alt)
