"""What a run is judged by: one number per run, lower is better, infinite if it failed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from snnbench.errors import UsageError
from snnbench.stats.curves import best_so_far, progress
from snnbench.stats.fronts import hypervolumes, igd_plus
from snnbench.stats.references import ReferenceFront, front_of
from snnbench.stats.runtimes import hitting_times, reference_scale

MEASURES: dict[str, str] = {
    "test": "first objective of the recommendation on the test split, infinite if that violates a constraint",
    "search": "best feasible value of the first objective during the search",
    "anytime": "mean over the budget of the distance from the ideal so far, from 0 (ideal) to 1 (worst)",
    "ecdf": "1 - area under the run's ECDF of evaluations to reach frozen targets, from 0 to 1",
    "hypervolume": "1 - hypervolume of the recommended set on the test split, objectives scaled to [0, 1]",
    "igd+": "IGD+ of the recommended set on the test split, objectives scaled to [0, 1]",
}

ON_SCALE = ("anytime", "ecdf", "hypervolume", "igd+")
"""Measures whose values are on the frozen scale already; the others are in the units of the first objective."""


def measured(runs: pd.DataFrame, measure: str, known: Sequence[ReferenceFront] = ()) -> np.ndarray:
    """The measure of every run.

    Parameters
    ----------
    runs
        Rows of `load_results`, complete or failed, with the column ``task`` of `select`.
    measure
        One of `MEASURES`.
    known
        Frozen reference fronts for ``igd+``; elsewhere the best points of all these runs are the reference.

    Returns
    -------
    numpy.ndarray
        (n,) float64.

    Raises
    ------
    UsageError
        For an unknown measure, or one of several objectives for a problem with one.
    RecordError
        If a record is damaged.
    """
    if measure not in MEASURES:
        raise UsageError(f"unknown measure {measure!r}; known: {', '.join(MEASURES)}")
    values = np.full(len(runs), np.inf)
    for rows in runs.groupby("task").indices.values():
        group = runs.iloc[rows]
        values[rows] = igd_plus(group, front_of(group, known)) if measure == "igd+" else _FUNCTIONS[measure](group)
    values[(runs["status"] == "failed").to_numpy()] = np.inf
    return values


def remarks(runs: pd.DataFrame, measure: str, known: Sequence[ReferenceFront] = ()) -> list[str]:
    """What a reader has to know of the measure's values on these runs: footnotes, one line each."""
    if measure == "igd+":
        loose = [str(task) for task, group in runs.groupby("task") if front_of(group, known) is None]
        places = f" on {', '.join(loose[:3])}{', ...' * (len(loose) > 3)}"
        text = f"IGD+{places} is measured from the best points of all runs ranked here: it changes when runs are added"
        return [f"{text} (--write-fronts freezes them)"] if loose else []
    found = []
    if measure in ("test", "search") and runs["objectives"].str.contains(",").any():
        found = ["only the first of several objectives counts; --measure hypervolume or igd+ judges whole sets"]
    without = int(((runs["status"] == "complete") & np.isinf(runs["test"])).sum())
    if measure == "test" and without:
        made = "1 run recommends" if without == 1 else f"{without} runs recommend"
        found.append(f"{made} nothing that is feasible and finite on the test split: infinitely bad")
    if measure in ("test", "search"):
        return found
    depending = depends_on_budget(runs)
    if measure in ("anytime", "ecdf") and depending:
        return [f"{', '.join(depending)}: depends on the budget; a run with a smaller one is no part of this one"]
    return []


def depends_on_budget(runs: pd.DataFrame) -> list[str]:
    """Names of the algorithms whose behaviour depends on the budget: compared at the one they were run for only."""
    return sorted(runs.loc[runs["horizon"].astype(bool), "algorithm"].unique()) if "horizon" in runs else []


def _test(runs: pd.DataFrame) -> np.ndarray:
    return runs["test"].to_numpy(np.float64)


def _search(runs: pd.DataFrame) -> np.ndarray:
    objective = str(runs["objectives"].iloc[0]).partition(",")[0]
    curves = (
        best_so_far(Path(run), objective)[:budget] for run, budget in zip(runs["run"], runs["budget"], strict=True)
    )
    return np.array([curve[-1] if len(curve) else np.inf for curve in curves])


def _anytime(runs: pd.DataFrame) -> np.ndarray:
    scale = reference_scale(runs) if "," in str(runs["objectives"].iloc[0]) else None
    values = np.full(len(runs), np.inf)
    for i, (_, row) in enumerate(runs.iterrows()):
        share = np.clip(progress(row, scale), 0.0, 1.0) if row["status"] != "failed" else np.empty(0)
        if len(share):
            # A search that ended early keeps what it had.
            values[i] = (share.sum() + max(0, row["budget"] - len(share)) * share[-1]) / row["budget"]
    return values


def _ecdf(runs: pd.DataFrame) -> np.ndarray:
    """The area between the run's ECDF over its budget and 1: a target costs the share of the budget spent without it.

    With dense log-spaced targets this is 1 - the area over the convergence curve of Lopez-Ibanez, Vermetten, Dreo and
    Doerr (IEEE Trans. Evol. Comput. 2024) on a logarithmic scale of quality.
    """
    budgets = runs["budget"].to_numpy(np.float64)[:, None]
    without = np.minimum(hitting_times(runs) - 1.0, budgets)
    return np.asarray((without / budgets).mean(axis=1))


_FUNCTIONS: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "test": _test,
    "search": _search,
    "anytime": _anytime,
    "ecdf": _ecdf,
    "hypervolume": hypervolumes,
}
