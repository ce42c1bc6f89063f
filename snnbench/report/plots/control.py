"""What differential evolution does to its control parameters: F and CR over time."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snnbench.experiment.record import RunRecord, load_evaluations
from snnbench.report.plots.base import Impossible, Material, Plot, clean, listed, seeds
from snnbench.report.plots.style import COLOURS, GREY, figure, legend, looks, plain_ticks

PARAMETERS = ("F", "CR")
WINDOWS = 40


def control_parameters(material: Material) -> Iterator[Plot]:
    """Median F and CR of the candidates of all runs, by fortieths of the budget, with the middle half."""
    task = material.only_task()
    budget = int(material.group(task)["budget"].iloc[0])
    found = {}
    for name in material.order:
        rows = material.group(task, name)
        recorded = [_parameters(Path(run)) for run in rows.loc[rows["status"] == "complete", "run"]]
        samples = [sample for sample in recorded if sample is not None]
        if samples:
            found[name] = np.stack([_windows(samples, k, budget) for k in range(len(PARAMETERS))])
    if not found:
        raise Impossible(f"{task}: no algorithm recorded F and CR; those of the DE family do")
    drawn = looks(material)
    made, both = figure(7.2, 4.6, nrows=2, sharex=True)
    middles = (np.arange(WINDOWS) + 0.5) * budget / WINDOWS
    for k, (axes, parameter) in enumerate(zip(both, PARAMETERS, strict=True)):
        for name in reversed(list(found)):
            low, median, high = found[name][k]
            axes.plot(middles, median, **drawn[name].line)
            if drawn[name].own:
                axes.fill_between(middles, low, high, color=drawn[name].colour, alpha=0.12, lw=0)
        _parameter_axis(axes, parameter, budget)
    both[0].set_title(f"{clean(task, 60)}: control parameters", loc="left")
    both[1].set_xlabel("evaluations")
    legend(made, {name: drawn[name] for name in found}, markers=False)
    yield Plot(
        "control-parameters",
        f"F and CR on {task}",
        f"Scale factor F and crossover rate CR of the candidates of {seeds(material.group(task))} per algorithm: "
        "median and middle half in each fortieth of the budget. Algorithms that record neither are left out.",
        made,
        f"Two panels of lines over {budget:,} evaluations for {listed(list(found))}; "
        + "; ".join(
            f"{clean(n)} ends at F {_last(v[0][1])} and CR {_last(v[1][1])}" for n, v in list(found.items())[:6]
        )
        + ".",
    )


def run_control(record: RunRecord) -> Iterator[Plot]:
    """F and CR of every candidate of one run."""
    sample = _parameters(record.directory)
    if sample is None:
        raise Impossible(f"{record.directory}: no F and CR recorded; algorithms of the DE family do")
    budget = int(record.plan.budget)
    made, both = figure(7.2, 4.2, nrows=2, sharex=True)
    at = np.arange(1, sample.shape[1] + 1)
    middles = (np.arange(WINDOWS) + 0.5) * budget / WINDOWS
    for k, (axes, parameter) in enumerate(zip(both, PARAMETERS, strict=True)):
        axes.plot(at, sample[k], ".", ms=3, mew=0, color=GREY, alpha=0.7, rasterized=True)
        axes.plot(middles, _windows([sample], k, budget)[1], color=COLOURS[0])
        _parameter_axis(axes, parameter, budget)
    both[0].set_title(f"{clean(record.content['algorithm']['name'], 40)}: control parameters", loc="left")
    both[1].set_xlabel("evaluations")
    yield Plot(
        "control-parameters",
        "F and CR over time",
        "Scale factor F and crossover rate CR of every candidate (points), and their median in each fortieth of the "
        "budget (line).",
        made,
        f"Two panels of points over {budget:,} evaluations.",
    )


def _parameters(run: Path) -> np.ndarray | None:
    """F and CR of every candidate, (2, n), or None."""
    columns = [f"algorithm.{name}" for name in PARAMETERS]
    table = load_evaluations(run, columns.__contains__)
    if not set(columns) <= set(table.column_names):
        return None
    values = np.stack([np.asarray(table.column(name).to_numpy(), np.float64) for name in columns])
    return values if np.isfinite(values).any() else None


def _windows(samples: list[np.ndarray], parameter: int, budget: int) -> np.ndarray:
    """Lower quartile, median and upper quartile of a parameter in each window, (3, windows); NaN for none."""
    edges = np.linspace(0, budget, WINDOWS + 1).round().astype(np.int64)
    found = np.full((3, WINDOWS), np.nan)
    for i, (first, last) in enumerate(pairwise(edges)):
        values = np.concatenate([sample[parameter, first:last] for sample in samples])
        values = values[np.isfinite(values)]
        if len(values):
            found[:, i] = np.quantile(values, [0.25, 0.5, 0.75])
    return found


def _parameter_axis(axes: Any, parameter: str, budget: int) -> None:
    axes.set_ylabel(parameter)
    axes.set_xlim(0, budget)
    axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.02, axes.get_ylim()[1]))
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)


def _last(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite[-1]:.2f}" if len(finite) else "unknown"
