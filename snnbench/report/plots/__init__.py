"""Plots of recorded runs: for files (SVG, PNG, PDF) and for pages.

``for plot in overall_plots(select(load_results("runs")).runs): save(plot, Path("plots") / f"{plot.name}.svg")``
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

from snnbench.errors import unknown
from snnbench.experiment.record import RunRecord, open_run
from snnbench.report.plots.base import Impossible, Material, Plot, slug
from snnbench.report.plots.control import control_parameters, run_control
from snnbench.report.plots.convergence import convergence
from snnbench.report.plots.critical_difference import critical_difference
from snnbench.report.plots.final import final_results
from snnbench.report.plots.fronts import attainment, pareto_fronts, run_fronts
from snnbench.report.plots.heat_map import heat_map
from snnbench.report.plots.saving import FORMATS, save, svg
from snnbench.report.plots.single import course
from snnbench.report.plots.spikes import run_spikes, spikes
from snnbench.report.plots.style import chosen, settle, style
from snnbench.report.plots.targets import performance_profile, runtimes, runtimes_overall
from snnbench.report.plots.time_ranks import rank_over_time

__all__ = [
    "FORMATS",
    "OVERALL",
    "PROBLEM",
    "RUN",
    "Impossible",
    "Material",
    "Plot",
    "coloured",
    "draw",
    "overall_plots",
    "problem_plots",
    "run_plots",
    "save",
    "slug",
    "svg",
]

T = TypeVar("T")

OVERALL: dict[str, Callable[[Material], Iterator[Plot]]] = {
    "critical-difference": critical_difference,
    "heat-map": heat_map,
    "rank-over-time": rank_over_time,
    "runtimes": runtimes_overall,
    "performance-profile": performance_profile,
}
"""Plots over several problems, in the order of a report."""

PROBLEM: dict[str, Callable[[Material], Iterator[Plot]]] = {
    "convergence": convergence,
    "final-results": final_results,
    "pareto-fronts": pareto_fronts,
    "attainment": attainment,
    "runtimes": runtimes,
    "spikes-accuracy": spikes,
    "control-parameters": control_parameters,
}
"""Plots of one problem."""

RUN: dict[str, Callable[[RunRecord], Iterator[Plot]]] = {
    "convergence": course,
    "pareto-fronts": run_fronts,
    "spikes-accuracy": run_spikes,
    "control-parameters": run_control,
}
"""Plots of one run."""


def draw(drawings: Mapping[str, Callable[[T], Iterator[Plot]]], material: T, kind: str) -> list[Plot]:
    """One kind of plot; several figures where there are several pairs of objectives.

    Raises
    ------
    Impossible
        If the runs cannot fill it.
    UsageError
        If there is no such kind.
    """
    if kind not in drawings:
        raise unknown("plot", kind, drawings)
    with style():
        plots = list(drawings[kind](material))
        for plot in plots:
            settle(plot.figure)
    return plots


def coloured(runs: pd.DataFrame, measure: str = "test") -> list[str]:
    """Algorithms in colour: all, or the best where they are more than colours.

    As the `highlight` of every plot of a page, those of all runs together make an algorithm have one colour in all.
    """
    return [] if runs.empty else chosen(Material(runs, measure))


def overall_plots(runs: pd.DataFrame, measure: str = "test", highlight: Sequence[str] = ()) -> Iterator[Plot]:
    """All plots over several problems that the runs can fill.

    Parameters
    ----------
    runs
        `snnbench.stats.selection.Selection.runs`.
    measure
        One of `snnbench.stats.measures.MEASURES`.
    highlight
        Algorithms in colour, the others grey; by default those of `coloured`.
    """
    yield from _possible(OVERALL, Material(runs, measure, highlight))


def problem_plots(runs: pd.DataFrame, measure: str = "test", highlight: Sequence[str] = ()) -> Iterator[Plot]:
    """All plots of one problem that the runs, of one task, can fill; parameters as of `overall_plots`."""
    yield from _possible(PROBLEM, Material(runs, measure, highlight))


def run_plots(directory: Path) -> Iterator[Plot]:
    """All plots of one run, in any state, that its record can fill.

    Raises
    ------
    RecordError
        If the record is damaged.
    """
    yield from _possible(RUN, open_run(directory))


def _possible(drawings: Mapping[str, Callable[[T], Iterator[Plot]]], material: T) -> Iterator[Plot]:
    for kind in drawings:
        try:
            found = draw(drawings, material, kind)
        except Impossible:
            continue
        yield from found
