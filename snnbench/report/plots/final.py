"""Final results: every run, a box and the density, by algorithm."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnbench.report.plots.base import Impossible, Material, Plot, clean, seeds
from snnbench.report.plots.style import INK, Look, figure, looks, plain_ticks
from snnbench.report.text import number

ROW = 0.3  # inches
FAR = 8.0
"""Runs that are so many interquartile ranges above the upper quartile of all runs would squeeze the others together."""


def final_results(material: Material) -> Iterator[Plot]:
    """The measure of every run on one problem."""
    task = material.only_task()
    values = material.values(task)
    if not any(np.isfinite(v).any() for v in values.values()):
        raise Impossible(f"{task}: no run has a finite result")
    # Every row stands for itself, so all may have colours; grey tells who is not highlighted.
    drawn = looks(material)
    made, axes = figure(7.2, 1.1 + ROW * len(values))
    limit = _limit(np.concatenate(list(values.values())))
    for row, (name, sample) in enumerate(values.items()):
        _rain(axes, row, np.sort(sample[np.isfinite(sample) & (sample <= limit)]), drawn[name])
        beyond = sample[np.isfinite(sample) & (sample > limit)]
        lost = int((~np.isfinite(sample)).sum())
        notes = [f"→ {len(beyond)} at {number(float(np.median(beyond)))}"] if len(beyond) else []
        notes += [f"{lost} infinitely bad"] if lost else []
        if notes:
            axes.text(1.01, row, ", ".join(notes), transform=axes.get_yaxis_transform(), fontsize=7.5, va="center")
    axes.set_ylim(len(values) - 0.4, -0.65)
    axes.set_yticks(range(len(values)), [clean(name) for name in values])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    plain_ticks(axes.xaxis)
    axes.set_xlabel(_unit(material, task))
    axes.set_title(f"{clean(task, 60)}: final results", loc="left")
    medians = {name: float(np.median(sample)) for name, sample in values.items()}
    yield Plot(
        "final-results",
        f"Final results on {task}",
        f"Every run's {material.measured}, lower is better; {seeds(material.group(task))} per algorithm. "
        "Box: quartiles and median, whiskers to the last run within 1.5 interquartile ranges; above it the density."
        + (" Runs far to the right of the others stand in words, with their median." if np.isfinite(limit) else ""),
        made,
        "Medians by algorithm: "
        + "; ".join(f"{clean(n)} {number(v)}" for n, v in list(medians.items())[:30])
        + ("; and more." if len(medians) > 30 else "."),
    )


def _limit(values: np.ndarray) -> float:
    """The largest value that is drawn; infinite if no run lies far from the others."""
    finite = values[np.isfinite(values)]
    first, third = np.quantile(finite, [0.25, 0.75])
    limit = third + FAR * (third - first)
    return float(limit) if third > first and finite.max() > limit else float("inf")


def _rain(axes: Any, row: int, sample: np.ndarray, look: Look) -> None:
    """Points below, box in the middle, density above; what a few runs or ties cannot fill is left out."""
    if not len(sample):
        return
    axes.plot(sample, row + 0.22 + 0.09 * _stack(sample), look.marker, ms=3.2 if look.own else 4.5, mew=0,
              color=look.colour, alpha=0.75)  # fmt: skip
    if len(sample) < 4:
        return
    _box(axes, row, sample, look)
    if len(np.unique(sample)) > 3:
        at, density = _density(sample)
        axes.fill_between(at, row - 0.12, row - 0.12 - 0.4 * density, color=look.colour, alpha=0.35, lw=0)


def _box(axes: Any, row: int, sample: np.ndarray, look: Look) -> None:
    first, median, third = np.quantile(sample, [0.25, 0.5, 0.75])
    reach = 1.5 * (third - first)
    low, high = sample[sample >= first - reach][0], sample[sample <= third + reach][-1]
    axes.hlines([row, row], [low, third], [first, high], color=INK, lw=0.7)
    axes.fill_between([first, third], row - 0.08, row + 0.08, facecolor=look.colour, edgecolor=INK, alpha=0.8, lw=0.7)
    axes.vlines(median, row - 0.1, row + 0.1, color=INK, lw=1.6)


def _stack(sample: np.ndarray) -> np.ndarray:
    """Offsets (n,) in -1, 0, 1 that keep neighbours apart, the same every time."""
    return (np.arange(len(sample)) * 2) % 3 - 1.0


def _density(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian kernel density within the range of the runs, its highest value 1."""
    from scipy.stats import gaussian_kde

    at = np.linspace(sample[0], sample[-1], 80)
    density = gaussian_kde(sample)(at)
    return at, density / density.max()


def _unit(material: Material, task: str) -> str:
    objective = clean(material.objectives(task)[0])
    named = {"test": f"{objective} on test", "search": f"best {objective} on search", "igd+": "IGD+",
             "hypervolume": "1 - hypervolume", "anytime": "mean distance from the ideal over the budget",
             "ecdf": "1 - area under the ECDF of runtimes"}  # fmt: skip
    return named.get(material.measure, material.measure)
