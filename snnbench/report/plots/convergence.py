"""Convergence: how good the best candidate was after so many evaluations."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnbench.report.plots.base import Impossible, Material, Plot, clean, counted, listed, seeds
from snnbench.report.plots.style import evaluations_axis, figure, grid_points, label_ends, looks, others, plain_ticks
from snnbench.report.text import number


def convergence(material: Material) -> Iterator[Plot]:
    """Median of the best value so far over seeds, with the middle half of the seeds, on one problem."""
    task = material.only_task()
    names = material.order
    several = len(material.objectives(task)) > 1
    objective = "1 - hypervolume" if several else material.objectives(task)[0]
    budget = int(material.group(task)["budget"].iloc[0])
    at = grid_points(budget, material.logarithmic)
    bands = {name: quartiles(material.curves(task, name)[:, at - 1]) for name in names}
    if not any(np.isfinite(median).any() for _, median, _ in bands.values()):
        raise Impossible(f"{task}: no run found a feasible value")
    drawn = looks(material)
    made, axes = figure()
    for name in reversed(names):
        low, median, high = bands[name]
        axes.step(*steps(at, median), where="post", **drawn[name].line)
        if drawn[name].own:
            # A median may exist where the upper quartile is infinite: the band then ends at the median.
            band = steps(at, low, np.where(np.isfinite(high), high, median))
            axes.fill_between(*band, step="post", color=drawn[name].colour, alpha=0.15, lw=0)
    evaluations_axis(axes, budget, material.logarithmic)
    _limits(axes, list(bands.values()), 0.0 if material.logarithmic else 0.04)
    axes.set_ylabel(f"{'' if several else 'best '}{clean(objective)} so far")
    axes.set_title(f"{clean(task, 60)}: convergence", loc="left")
    label_ends(axes, {name: bands[name][1][-1] for name in names}, drawn, others(drawn))
    yield Plot(
        "convergence",
        f"Convergence on {task}",
        f"{'' if several else 'Best feasible '}{objective} on the search split after so many evaluations: median of "
        f"{seeds(material.group(task))} per algorithm, with the middle half of the runs as a band. "
        "Failed runs count as infinitely bad.",
        made,
        f"Lines of {clean(objective)} so far over {budget:,} evaluations. At the end, median by algorithm: "
        + "; ".join(f"{clean(name)} {number(bands[name][1][-1])}" for name in names[:10])
        + (f"; and {counted(len(names) - 10, 'other')}" if len(names) > 10 else "")
        + f". Best: {listed(names[:1])}.",
    )


def quartiles(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower quartile, median and upper quartile of (runs, n) over runs, (n,) each; right with infinities too."""
    low, high = np.quantile(curves, [0.25, 0.75], axis=0, method="inverted_cdf")
    return low, np.median(curves, axis=0), high


def steps(at: np.ndarray, *values: np.ndarray) -> list[np.ndarray]:
    """Only the places where a step function, or one of several, changes, and the last; not drawn where infinite."""
    changed = np.ones(len(at), bool)
    changed[1:-1] = np.any([v[1:-1] != v[:-2] for v in values], axis=0)
    return [at[changed], *(np.where(np.isfinite(v), v, np.nan)[changed] for v in values)]


def _limits(axes: Any, bands: list[tuple[np.ndarray, np.ndarray, np.ndarray]], early: float) -> None:
    """From the best value to the worst median early on the axis: what comes before would squeeze the rest."""
    finite = np.concatenate([low[np.isfinite(low)] for low, _, _ in bands])
    medians = np.stack([median for _, median, _ in bands])
    seen = medians[:, [min(medians.shape[1] - 1, int(early * medians.shape[1])), -1]]
    high = float(seen[np.isfinite(seen)].max()) if np.isfinite(seen).any() else float(finite.max())
    low = float(finite.min())
    if low > 0 and high / low > 100:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        plain_ticks(axes.yaxis)
    else:
        margin = 0.05 * (high - low) or 0.05 * max(abs(high), 1e-9)
        axes.set_ylim(low - margin, high + margin)
