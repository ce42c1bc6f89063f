"""Several objectives: recommended sets and what half of the runs attain (Fonseca et al., EMO 2011)."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from snnbench.experiment.record import RunRecord
from snnbench.report.plots.base import Impossible, Material, Plot, clean, listed, possible, seeds, slug
from snnbench.report.plots.style import COLOURS, GREY, Look, figure, legend, looks, plain_ticks
from snnbench.report.text import number
from snnbench.stats.attainment import attainment_surfaces
from snnbench.stats.curves import feasible_values
from snnbench.stats.fronts import recommended, reference_front
from snnbench.stats.results import load_results
from snnbench.stats.runtimes import reference_scale


def pareto_fronts(material: Material) -> Iterator[Plot]:
    """Recommended candidates of all runs on the test split, and what the best of them attain, by algorithm."""
    for task, (a, b) in _pairs(material):
        axis = [material.objectives(task).index(name) for name in (a, b)]
        points = {name: _points(material.group(task, name))[:, axis] for name in material.order}
        if not any(len(p) for p in points.values()):
            raise Impossible(f"{task}: no run recommends anything")
        made, axes, drawn = _prepared(material, task, (a, b), "fronts")
        for name in reversed(list(points)):
            if len(points[name]):
                _front(axes, points[name], drawn[name], clean(name))
        _finish(axes, np.concatenate(list(points.values())), drawn)
        best = {name: p[:, 0].min() for name, p in points.items() if len(p)}
        yield Plot(
            f"pareto-fronts-{slug(a)}-{slug(b)}",
            f"Pareto fronts on {task}: {a} and {b}",
            f"Candidates recommended by {seeds(material.group(task))} per algorithm, measured on the test split "
            "(points), and what all runs of an algorithm together attain (lines). Lower left is better.",
            made,
            f"Points of {clean(a)} against {clean(b)}. Least {clean(a)} by algorithm: "
            + "; ".join(f"{clean(n)} {number(v)}" for n, v in list(best.items())[:10])
            + ".",
        )


def attainment(material: Material) -> Iterator[Plot]:
    """Median attainment surfaces, with the surfaces that a quarter and three quarters of the runs attain."""
    for task, (a, b) in _pairs(material):
        rows = material.group(task).assign(objectives=f"{a},{b}")
        if rows.groupby("algorithm").size().max() < 3:
            raise Impossible(f"{task}: attainment surfaces need three runs of an algorithm")
        surfaces = {name: _surfaces(rows[rows["algorithm"] == name]) for name in material.order}
        if not any(len(median) for _, median, _ in surfaces.values()):
            raise Impossible(f"{task}: no algorithm has a recommended set in half of its runs")
        made, axes, drawn = _prepared(material, task, (a, b), "attainment")
        seen = np.concatenate([s for found in surfaces.values() for s in found if len(s)])
        ends = _room(seen)
        for name in reversed(list(surfaces)):
            low, median, high = surfaces[name]
            if len(median):
                axes.plot(*_stairs(median, ends), label=clean(name), **drawn[name].line)
            if drawn[name].own and len(low) and len(high):
                axes.fill(*_between(low, high, ends), color=drawn[name].colour, alpha=0.13, lw=0)
        _finish(axes, seen, drawn)
        yield Plot(
            f"attainment-{slug(a)}-{slug(b)}",
            f"Attainment surfaces on {task}: {a} and {b}",
            f"What at least half of an algorithm's runs ({seeds(material.group(task))}) attain on the test split "
            "(lines), and between what a quarter and three quarters of them attain (bands). Lower left is better.",
            made,
            f"Falling stairs of {clean(a)} against {clean(b)} for {listed(list(surfaces))}.",
        )


def run_fronts(record: RunRecord) -> Iterator[Plot]:
    """Pairs of objectives of every candidate of one run on the search split, and of those recommended on test."""
    names = [str(name) for name in record.content["problem"]["objectives"]]
    if len(names) < 2:
        raise Impossible(f"{record.directory} has one objective; fronts need several")
    each = feasible_values(record.directory, names)
    each = each[np.isfinite(each).all(axis=1)]
    if not len(each):
        raise Impossible(f"{record.directory}: no feasible candidate")
    final = _points(load_results(record.directory)) if record.status == "complete" else np.empty((0, len(names)))
    for i, j in combinations(range(len(names)), 2):
        made, axes = figure(7.2, 4.6)
        axes.plot(each[:, i], each[:, j], ".", ms=4, mew=0, color=GREY, alpha=0.7, rasterized=True,
                  label="each feasible candidate (search)")  # fmt: skip
        axes.plot(final[:, i], final[:, j], ls="none", marker="D", ms=5, mew=0, color=COLOURS[2],
                  label="recommended (test)")  # fmt: skip
        axes.set_xlabel(clean(names[i]))
        axes.set_ylabel(clean(names[j]))
        plain_ticks(axes.xaxis)
        plain_ticks(axes.yaxis)
        made.legend(loc="outside lower center", ncols=2)
        yield Plot(
            f"pareto-fronts-{slug(names[i])}-{slug(names[j])}",
            f"{names[i]} and {names[j]}",
            f"{names[i]} and {names[j]} of {len(each):,} feasible candidates on the search split, and of the "
            f"{len(final)} recommended on the test split. Lower left is better.",
            made,
            f"Points of {clean(names[i])} against {clean(names[j])}.",
        )


def _pairs(material: Material) -> Iterator[tuple[str, tuple[str, str]]]:
    task = material.only_task()
    names = material.objectives(task)
    if len(names) < 2:
        raise Impossible(f"{task} was run with one objective; fronts need several")
    for pair in combinations(names, 2):
        yield task, pair


def _prepared(material: Material, task: str, pair: tuple[str, str], what: str) -> tuple[Any, Any, dict[str, Look]]:
    made, axes = figure(7.2, 4.6)
    axes.set_xlabel(clean(pair[0]))
    axes.set_ylabel(clean(pair[1]))
    axes.set_title(f"{clean(task, 60)}: {what}", loc="left")
    return made, axes, looks(material)


def _points(rows: pd.DataFrame) -> np.ndarray:
    """Recommended points of all runs in the units of the objectives, (n, m)."""
    with possible():
        low, high = scale = reference_scale(rows)
    sets = [recommended(row, scale) for _, row in rows.iterrows()]
    return np.asarray(low + np.concatenate(sets) * (high - low))


def _surfaces(rows: pd.DataFrame) -> list[np.ndarray]:
    """What a quarter, half and three quarters of the runs attain, (k, 2) each."""
    levels = [max(1, int(np.ceil(share * len(rows)))) for share in (0.25, 0.5, 0.75)]
    with possible():
        found = attainment_surfaces(rows, tuple(dict.fromkeys(levels)))
    return [found[level] for level in levels]


def _front(axes: Any, points: np.ndarray, look: Look, label: str) -> None:
    axes.plot(points[:, 0], points[:, 1], ls="none", marker=look.marker, ms=4.0 if look.own else 3.0, mew=0,
              color=look.colour, alpha=0.45, zorder=look.order)  # fmt: skip
    best = reference_front([points])
    axes.plot(*_stairs(best[np.argsort(best[:, 0])], None), label=label, **look.line)


def _room(points: np.ndarray) -> tuple[float, float]:
    """Where surfaces are drawn to: a little beyond the worst point."""
    high, low = points.max(axis=0), points.min(axis=0)
    right, top = high + 0.06 * np.where(high > low, high - low, np.maximum(np.abs(high), 1e-9))
    return float(right), float(top)


def _stairs(corners: np.ndarray, ends: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """The boundary of what corners, sorted by the first objective, dominate."""
    x, y = np.repeat(corners[:, 0], 2)[1:], np.repeat(corners[:, 1], 2)[:-1]
    if ends is None:
        return x, y
    return np.array([corners[0, 0], *x, ends[0]]), np.array([ends[1], *y, corners[-1, 1]])


def _between(low: np.ndarray, high: np.ndarray, ends: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    (x, y), (u, v) = _stairs(low, ends), _stairs(high, ends)
    return np.concatenate([x, u[::-1]]), np.concatenate([y, v[::-1]])


def _finish(axes: Any, points: np.ndarray, drawn: dict[str, Look]) -> None:
    right, top = _room(points)
    low = points.min(axis=0) - 0.06 * (np.array([right, top]) - points.min(axis=0))
    axes.set_xlim(low[0], right)
    axes.set_ylim(low[1], top)
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    legend(axes.figure, drawn)
