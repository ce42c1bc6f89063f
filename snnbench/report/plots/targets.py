"""Fixed targets: shares reached over time (ECDF), and performance profiles (Dolan and More, 2002)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnbench.report.plots.base import Impossible, Material, Plot, clean, counted, seeds
from snnbench.report.plots.style import evaluations_axis, figure, label_ends, looks, others, plain_ticks
from snnbench.stats.runtimes import expected_running_time, runtime_ecdf, spent


def runtimes(material: Material) -> Iterator[Plot]:
    """ECDF on one problem: share of runs and targets reached, against evaluations."""
    task = material.only_task()
    budget = int(material.group(task)["budget"].iloc[0])
    at = np.unique(np.geomspace(1, budget, 150).round())
    targets = len(material.targets(task))
    shares = {name: runtime_ecdf(material.times(task, name), at) for name in material.order}
    where = f"on {task}: {counted(targets, 'frozen target')}, {seeds(material.group(task))} per algorithm"
    yield _ecdf(material, at, shares, budget, f"Runtimes on {task}", where)


def runtimes_overall(material: Material) -> Iterator[Plot]:
    """ECDF over problems, each counted once, against the share of its budget."""
    names = material.everywhere()
    percents = np.geomspace(0.1, 100.0, 150)
    shares = {}
    for name in names:
        parts = [
            runtime_ecdf(material.times(task, name), percents / 100.0 * int(material.group(task)["budget"].iloc[0]))
            for task in material.tasks
        ]
        shares[name] = np.mean(parts, axis=0)
    where = f"over {counted(len(material.tasks), 'problem')}, each counted once, {seeds(material.runs)} per algorithm"
    note = material.left_out(names)
    yield _ecdf(material, percents, shares, None, "Runtimes over all problems", where, note)


def performance_profile(material: Material) -> Iterator[Plot]:
    """Share of problems and targets on which an algorithm needs at most tau times the evaluations of the best."""
    names = material.everywhere()
    ratios = [ratio for task in material.tasks if (ratio := _ratios(material, task, names)).shape[1]]
    if len(names) < 2 or not ratios:
        raise Impossible("no target was reached that tells two algorithms apart")
    finite = np.concatenate([r[np.isfinite(r)] for r in ratios])
    most = max(2.0, float(np.quantile(finite, 0.99, method="higher")))
    at = np.geomspace(1.0, most, 150)
    shares = {name: np.mean([[(r[i] <= tau).mean() for tau in at] for r in ratios], axis=0)
              for i, name in enumerate(names)}  # fmt: skip
    made, axes = figure()
    drawn = looks(material)
    for name in reversed(names):
        axes.step(at, shares[name], where="post", **drawn[name].line)
    axes.set_xscale("log", base=2)
    axes.set_xlim(1.0, most)
    plain_ticks(axes.xaxis)
    _shares(axes, "expected running time / that of the best algorithm, τ", "share of targets, at most τ")
    axes.set_title("performance profile", loc="left")
    label_ends(axes, {n: float(shares[n][-1]) for n in names}, drawn, others({n: drawn[n] for n in names}))
    first = sorted(names, key=lambda n: -shares[n][0])
    pairs = sum(r.shape[1] for r in ratios)
    yield Plot(
        "performance-profile",
        "Performance profile",
        f"Share of {pairs:,} targets on {counted(len(ratios), 'problem')}, each problem counted once, for which an "
        "algorithm's expected running time is at most τ times that of the best. Left out are targets that nobody "
        f"reached and those that all reach at once. {seeds(material.runs).capitalize()} per algorithm and problem."
        + material.left_out(names),
        made,
        "Rising lines. Share of targets on which the algorithm is the fastest (τ = 1): "
        + "; ".join(f"{clean(n)} {shares[n][0]:.2f}" for n in first[:10])
        + ".",
    )


def _ecdf(
    material: Material,
    at: np.ndarray,
    shares: dict[str, np.ndarray],
    budget: int | None,
    title: str,
    where: str,
    note: str = "",
) -> Plot:
    if not any(share[-1] > 0 for share in shares.values()):
        raise Impossible("no run reached a target")
    made, axes = figure()
    drawn = looks(material)
    for name in reversed(list(shares)):
        axes.step(at, shares[name], where="post", **drawn[name].line)
    if budget is None:
        axes.set_xscale("log")
        axes.set_xlim(at[0], at[-1])
        plain_ticks(axes.xaxis)
        axes.set_xlabel("share of the budget, %")
    else:
        evaluations_axis(axes, budget, True)
    _shares(axes, axes.get_xlabel(), "share of (run, target) pairs")
    axes.set_title(f"targets reached{'' if budget is None else ': ' + clean(material.only_task(), 60)}", loc="left")
    label_ends(axes, {n: float(s[-1]) for n, s in shares.items()}, drawn, others({n: drawn[n] for n in shares}))
    ordered = sorted(shares, key=lambda n: -shares[n][-1])
    return Plot(
        "runtimes",
        title,
        f"Empirical distribution of the evaluations that reaching a target takes, {where}. "
        f"A line ends at the share of targets reached within the budget; failed runs reach none.{note}",
        made,
        "Rising lines. Share reached in the end: "
        + "; ".join(f"{clean(n)} {shares[n][-1]:.2f}" for n in ordered[:10])
        + ".",
    )


def _shares(axes: Any, horizontal: str, vertical: str) -> None:
    axes.set_ylim(0, min(1.01, 1.15 * axes.dataLim.y1))
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)


def _ratios(material: Material, task: str, names: list[str]) -> np.ndarray:
    """ERT relative to the best algorithm's, (algorithms, targets that tell anything)."""
    running = np.stack([expected_running_time(material.times(task, n), spent(material.group(task, n))) for n in names])
    least = running.min(axis=0)
    useful = np.isfinite(least) & (running != 1.0).any(axis=0)
    return running[:, useful] / least[useful]
