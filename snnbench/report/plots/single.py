"""One run: every candidate, and the best one so far."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from snnbench.experiment.record import RunRecord, load_evaluations
from snnbench.registry import display_name
from snnbench.report.plots.base import Impossible, Plot, clean, possible
from snnbench.report.plots.style import COLOURS, GREY, evaluations_axis, figure
from snnbench.report.text import number
from snnbench.stats.curves import best_so_far, progress
from snnbench.stats.results import load_results
from snnbench.stats.runtimes import reference_scale


def headline(record: RunRecord) -> str:
    """What was run, in one line."""
    plan = record.plan
    return (
        f"{clean(record.content['algorithm']['name'], 40)} on {clean(display_name('problem', plan.problem), 40)}, "
        f"seed {plan.seed}"
    )


def course(record: RunRecord) -> Iterator[Plot]:
    """Every candidate's objective, the best so far, and what start and end are worth on validation and test.

    Of several objectives, 1 - hypervolume of all candidates so far.
    """
    if len(record.content["problem"]["objectives"]) > 1:
        yield _volume(record)
        return
    objective = str(record.content["problem"]["objectives"][0])
    best = best_so_far(record.directory, objective)
    if not np.isfinite(best).any():
        raise Impossible(f"{record.directory}: no feasible value was found")
    own = f"objective.{objective}"
    each = np.asarray(load_evaluations(record.directory, own.__eq__).column(own).to_numpy(), np.float64)
    made, axes = figure()
    # Thousands of points are smaller as a picture, in files that keep everything else as lines and text.
    axes.plot(np.arange(1, len(each) + 1), np.where(np.isfinite(each), each, np.nan), ".", ms=4, color=GREY, mew=0,
              alpha=0.7, rasterized=True, label="each candidate")  # fmt: skip
    _line(axes, best, "best so far (search)")
    ends = _ends(record, objective)
    for split, colour, marker in (("validation", COLOURS[1], "s"), ("test", COLOURS[2], "D")):
        found = [(x, ends[point, split]) for point, x in (("start", 1), ("final", len(each))) if (point, split) in ends]
        if found:
            axes.plot(*zip(*found, strict=True), ls=":", lw=1, marker=marker, color=colour, clip_on=False, zorder=5,
                      label=f"recommended ({split})")  # fmt: skip
    evaluations_axis(axes, int(record.plan.budget), False)
    level = np.array([*best[np.isfinite(best)], *ends.values()])
    low, high = float(level.min()), float(max(level.max(), np.quantile(each[np.isfinite(each)], 0.75)))
    margin = 0.06 * (high - low) or 0.05 * max(abs(high), 1e-9)
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel(clean(objective))
    axes.set_title(headline(record), loc="left")
    made.legend(loc="outside lower center", ncols=4)
    yield Plot(
        "convergence",
        f"Convergence of {headline(record)}",
        f"{objective} of every candidate on the search split, the best feasible one so far, and the recommended ones "
        f"on validation and test, over {len(each):,} evaluations.",
        made,
        f"{clean(objective)} over {len(each):,} evaluations; best at the end {number(float(best[-1]))}.",
    )


def _volume(record: RunRecord) -> Plot:
    rows = load_results(record.directory)
    with possible():
        curve = progress(rows.iloc[0], reference_scale(rows))
    if not len(curve):
        raise Impossible(f"{record.directory}: nothing was evaluated")
    made, axes = figure()
    _line(axes, curve, "all candidates so far (search)")
    evaluations_axis(axes, int(record.plan.budget), False)
    axes.set_ylabel("1 - hypervolume so far")
    axes.set_title(headline(record), loc="left")
    return Plot(
        "convergence",
        f"Convergence of {headline(record)}",
        "1 - hypervolume of all feasible candidates so far on the search split, objectives scaled to [0, 1], over "
        f"{len(curve):,} evaluations.",
        made,
        f"1 - hypervolume over {len(curve):,} evaluations; {number(float(curve[-1]))} at the end.",
    )


def _line(axes: Any, best: np.ndarray, label: str) -> None:
    at = np.arange(1, len(best) + 1)
    axes.step(at, np.where(np.isfinite(best), best, np.nan), where="post", color=COLOURS[0], label=label)


def _ends(record: RunRecord, objective: str) -> dict[tuple[str, str], float]:
    """What start and end are worth, where there is a recommendation."""
    if record.status != "complete":
        return {}
    result = record.result(cached=True)
    found = {}
    for name, points in (("start", result.start), ("final", result.final)):
        for split in ("validation", "test"):
            value = points[0].get(split, {}).get(objective) if points else None
            if isinstance(value, int | float) and np.isfinite(value):
                found[name, split] = float(value)
    return found
