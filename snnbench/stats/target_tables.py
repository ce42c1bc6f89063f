"""Expected running times of algorithms, problem by problem, at the targets that tell them apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from snnbench.stats.measures import depends_on_budget
from snnbench.stats.runtimes import expected_running_time, hitting_times, spent, targets_of
from snnbench.stats.selection import select

SHOWN = 5


@dataclass(frozen=True)
class TargetRow:
    """One algorithm.

    Attributes
    ----------
    algorithm, runs
        Its name, and how many runs it has.
    ert
        (n_targets,) Expected running time in evaluations, infinite where no run reached the target.
    successes
        (n_targets,) How many runs did.
    """

    algorithm: str
    runs: int
    ert: np.ndarray
    successes: np.ndarray


@dataclass(frozen=True)
class TargetTable:
    """One task.

    Attributes
    ----------
    task, objective
        Its name, and what is to be reached; ``1 - hypervolume`` for several objectives.
    targets, scaled
        (n_targets,) The targets, hardest last, in the objective's unit and on the frozen scale.
    rows
        Algorithms, the one that reached most first.
    budget, horizon
        Evaluations of each run, and the algorithms whose behaviour depends on that number.
    """

    task: str
    objective: str
    targets: np.ndarray
    scaled: np.ndarray
    rows: list[TargetRow]
    budget: int
    horizon: list[str]


def target_tables(
    results: pd.DataFrame, where: Sequence[str] = (), mixed: bool = False, count: int = SHOWN
) -> list[TargetTable]:
    """Expected running times on every task.

    Parameters
    ----------
    results, where, mixed
        As in `snnbench.stats.selection.select`.
    count
        How many targets at most: evenly chosen, up to the hardest that any run reached, from those that not every
        run reached within a twentieth of its budget.
    """
    runs = select(results, where, mixed).runs
    return [_table(str(task), group, count) for task, group in runs.groupby("task", sort=True)]


def _table(task: str, runs: pd.DataFrame, count: int) -> TargetTable:
    targets = targets_of(runs)
    times = hitting_times(runs, targets)
    early = runs["budget"].to_numpy(np.float64)[:, None] / 20
    chosen = _spread(np.isfinite(times).any(axis=0) & (times > early).any(axis=0), count)
    targets, times, used = targets[chosen], times[:, chosen], spent(runs)
    rows = []
    for name, members in runs.groupby("algorithm", sort=True).indices.items():
        successes = np.isfinite(times[members]).sum(axis=0)
        rows.append(TargetRow(str(name), len(members), expected_running_time(times[members], used[members]), successes))
    rows.sort(key=lambda row: (-int(row.successes.sum()), float(np.where(np.isfinite(row.ert), row.ert, 0).sum())))
    first, objective = runs.iloc[0], str(runs["objectives"].iloc[0])
    several = "," in objective
    values = targets if several else first["ideal"] + targets * (first["worst"] - first["ideal"])
    name = "1 - hypervolume" if several else objective
    return TargetTable(task, name, values, targets, rows, int(first["budget"]), depends_on_budget(runs))


def _spread(telling: np.ndarray, count: int) -> np.ndarray:
    """Positions of targets that tell algorithms apart, at most so many, the first and the last among them."""
    places = np.flatnonzero(telling)
    return places[np.unique(np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int))]
