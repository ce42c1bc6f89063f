"""What accuracy costs in spikes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnbench.errors import RecordError
from snnbench.experiment.disk import read_json
from snnbench.experiment.record import RunRecord, load_evaluations
from snnbench.report.plots.base import Impossible, Material, Plot, clean, seeds
from snnbench.report.plots.style import COLOURS, GREY, figure, legend, looks, plain_ticks
from snnbench.report.text import number


def spikes(material: Material) -> Iterator[Plot]:
    """Accuracy against spikes per sample of the recommended candidates on the test split."""
    task = material.only_task()
    found = {name: _recommended(material.group(task, name)) for name in material.order}
    if not any(len(points) for points in found.values()):
        raise Impossible(f"{task}: its records hold no spikes and error of recommended candidates")
    drawn = looks(material)
    made, axes = figure()
    for name in reversed(material.order):
        look, points = drawn[name], found[name]
        if len(points):
            axes.plot(points[:, 0], points[:, 1], ls="none", marker=look.marker, ms=3.5, mew=0, color=look.colour,
                      alpha=0.5, zorder=look.order)  # fmt: skip
            middle = np.median(points, axis=0)
            axes.plot(*middle, marker=look.marker, ms=9 if look.own else 6, mew=0, color=look.colour,
                      zorder=look.order + 2)  # fmt: skip
    _spikes_axes(axes)
    axes.set_title(f"{clean(task, 60)}: spikes and accuracy", loc="left")
    legend(made, drawn, lines=False)
    middles = {name: np.median(points, axis=0) for name, points in found.items() if len(points)}
    yield Plot(
        "spikes-accuracy",
        f"Spikes and accuracy on {task}",
        f"Accuracy against spikes per sample of the candidates that {seeds(material.group(task))} per algorithm "
        "recommend, on the test split; large: medians. Upper left is better.",
        made,
        "Points. Medians by algorithm: "
        + "; ".join(f"{clean(n)} {100 * a:.1f} % at {number(s)} spikes" for n, (s, a) in list(middles.items())[:10])
        + ".",
    )


def run_spikes(record: RunRecord) -> Iterator[Plot]:
    """Accuracy against spikes per sample of every candidate of one run, on the search split."""
    table = load_evaluations(record.directory, {"spikes", "error"}.__contains__)
    if not {"spikes", "error"} <= set(table.column_names):
        raise Impossible(f"{record.directory}: its evaluations hold no spikes and error")
    counts, errors = (np.asarray(table.column(name).to_numpy(), np.float64) for name in ("spikes", "error"))
    known = np.isfinite(counts) & np.isfinite(errors)
    if not known.any():
        raise Impossible(f"{record.directory}: no candidate has spikes and error")
    made, axes = figure()
    axes.plot(counts[known], 1 - errors[known], ".", ms=4, mew=0, color=GREY, alpha=0.7, rasterized=True,
              label="each candidate (search)")  # fmt: skip
    if record.status == "complete":
        result = record.result(cached=True)
        for points, label, marker, colour in ((result.start, "start (test)", "s", COLOURS[1]),
                                              (result.final, "recommended (test)", "D", COLOURS[2])):  # fmt: skip
            values = _points(points)
            if len(values):
                axes.plot(values[:, 0], values[:, 1], ls="none", marker=marker, mew=0, color=colour, label=label)
    _spikes_axes(axes)
    axes.set_title("spikes and accuracy", loc="left")
    made.legend(loc="outside lower center", ncols=3)
    yield Plot(
        "spikes-accuracy",
        "Spikes and accuracy",
        f"Accuracy against spikes per sample of {int(known.sum()):,} candidates on the search split, and of start and "
        "recommended candidates on the test split. Upper left is better.",
        made,
        f"Points from {number(counts[known].min())} to {number(counts[known].max())} spikes per sample and "
        f"{100 * (1 - errors[known].max()):.1f} to {100 * (1 - errors[known].min()):.1f} % accuracy.",
    )


def _recommended(rows: pd.DataFrame) -> np.ndarray:
    """Spikes per sample and accuracy of what runs recommend, (n, 2)."""
    found = []
    for run in rows.loc[rows["status"] == "complete", "run"]:
        path = Path(run) / "recommendation.json"
        final = read_json(path, "start again with --fresh").get("final") or []
        try:
            found.append(_points(final))
        except (AttributeError, KeyError, TypeError):
            raise RecordError(f"{path} holds no metrics on the test split; start again with --fresh") from None
    return np.concatenate(found) if found else np.empty((0, 2))


def _points(points: list[dict[str, Any]]) -> np.ndarray:
    pairs = [(point["test"].get("spikes"), point["test"].get("error")) for point in points]
    known = [(s, 1.0 - e) for s, e in pairs if isinstance(s, int | float) and isinstance(e, int | float)]
    values = np.array(known, np.float64).reshape(-1, 2)
    return values[np.isfinite(values).all(axis=1)]


def _spikes_axes(axes: Any) -> None:
    axes.margins(0.08)
    axes.set_xlabel("spikes per sample")
    axes.set_ylabel("accuracy, %")
    plain_ticks(axes.xaxis)
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g}"))
