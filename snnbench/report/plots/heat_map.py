"""All medians at a glance: algorithms against problems."""

from collections.abc import Iterator

import numpy as np

from snnbench.report.plots.base import Impossible, Material, Plot, clean, counted
from snnbench.report.plots.style import GREY, figure
from snnbench.stats.curves import scaled
from snnbench.stats.measures import ON_SCALE
from snnbench.stats.ranking import TaskRanking


def heat_map(material: Material) -> Iterator[Plot]:
    """Median by algorithm and problem on the frozen scale; colours compare within a problem, dots mark the best."""
    import seaborn as sns

    ranking = material.ranking
    if len(ranking.tasks) < 2:
        raise Impossible("a heat map needs several problems, and there is one")
    names = material.order
    values = np.stack([_medians(material, task, names) for task in ranking.tasks], axis=1)
    best = np.array([[len(t.standings) > 1 and _rank(t, name) == 1 for t in ranking.tasks] for name in names])
    texts = [[_text(v, b) for v, b in zip(*row, strict=True)] for row in zip(values, best, strict=True)]
    made, axes = figure(1.6 + 0.62 * len(ranking.tasks) + 1.0, 1.3 + 0.25 * len(names))
    sns.heatmap(_places(values), ax=axes, annot=np.array(texts, dtype=object), fmt="", cmap="cividis", vmin=0, vmax=1,
                annot_kws={"fontsize": 7}, linewidths=0.5, linecolor="none", mask=np.isnan(values),
                cbar_kws={"ticks": [0, 1], "pad": 0.02, "aspect": 30})  # fmt: skip
    for i, j in zip(*np.nonzero(np.isinf(values)), strict=True):
        axes.text(j + 0.5, i + 0.5, "failed", fontsize=6.5, color=GREY, ha="center", va="center")
    axes.collections[0].colorbar.ax.set_yticklabels(["best", "worst"])
    axes.collections[0].colorbar.outline.set_visible(False)
    axes.set_yticks(np.arange(len(names)) + 0.5, [clean(name) for name in names], rotation=0)
    axes.set_xticks(np.arange(len(ranking.tasks)) + 0.5, [clean(t.task) for t in ranking.tasks])
    axes.tick_params(axis="x", rotation=35)
    for text in axes.get_xticklabels():
        text.set(ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.set_title("median, 0 ideal to 1 worst", loc="left")
    leaders = [f"{clean(task.task)}: {clean(names[int(np.nanargmin(values[:, j]))])}"
               for j, task in enumerate(ranking.tasks)]  # fmt: skip
    yield Plot(
        "heat-map",
        "Algorithms by problems",
        f"Median over seeds of the {material.measured}, 0 the problem's frozen ideal and 1 its worst value; "
        f"{len(names)} algorithms, {counted(len(ranking.tasks), 'problem')}. Colours run from the best to the worst "
        "algorithm of each problem. A dot marks those that no other is significantly better than on that problem "
        f"(Mann-Whitney, Holm, {ranking.alpha:g}).",
        made,
        "Table of medians. Least median by problem: " + "; ".join(leaders) + ".",
    )


def _medians(material: Material, task: TaskRanking, names: list[str]) -> np.ndarray:
    """(algorithms,) on the frozen scale, NaN where an algorithm was not run."""
    medians = np.array([float(np.median(task.values[name])) if name in task.values else np.nan for name in names])
    if material.measure in ON_SCALE:
        return medians
    row = material.group(task.task).iloc[0]
    if not row["worst"] > row["ideal"]:
        raise Impossible(
            f"{task.task}: its records hold no ideal and worst value, so it cannot be compared with others"
        )
    return scaled(medians, row["ideal"], row["worst"])


def _places(values: np.ndarray) -> np.ndarray:
    """Where each value lies between the best (0) and the worst finite one (1) of its column."""
    found = np.full(values.shape, np.nan)
    for j, column in enumerate(values.T):
        finite = np.isfinite(column)
        if finite.any():
            low, high = column[finite].min(), column[finite].max()
            found[finite, j] = (column[finite] - low) / (high - low) if high > low else 0.0
    return found


def _rank(task: TaskRanking, name: str) -> int | None:
    return next((s.rank for s in task.standings if s.algorithm == name), None)


def _text(value: float, best: bool) -> str:
    if not np.isfinite(value):
        return ""
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.3g}"
    return f"{text} •" if best else text
