"""Fixed targets: how many evaluations it takes to get so far (Hansen et al., COCO, Optim. Methods Softw. 36, 2021).

Targets lie on the problem's frozen scale (0 ideal, 1 worst) and do not depend on which algorithms are compared.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from snnbench.errors import UsageError
from snnbench.experiment.disk import read_json
from snnbench.stats.curves import Scale, progress, scaled

TARGETS: np.ndarray = np.logspace(0.0, -2.0, 51)
"""Default targets: 25 to a factor of ten, from the worst value to a hundredth of the way from the ideal."""

ROUNDING = 1e-12
"""A value that exceeds a target by no more than this reached it."""


def targets_of(runs: pd.DataFrame) -> np.ndarray:
    """The frozen targets of one task.

    Parameters
    ----------
    runs
        Rows of `load_results`, all of the same problem version and objectives.

    Returns
    -------
    numpy.ndarray
        (n_targets,) float64, falling, on the frozen scale: those that the problem recorded for its objective, else
        `TARGETS`. For several objectives `TARGETS`, of 1 - hypervolume.

    Raises
    ------
    UsageError
        If records of one version hold different targets.
    """
    names = str(runs["objectives"].iloc[0]).split(",")
    declared = {_declared(Path(run), names[0]) for run in runs["run"]} - {()} if len(names) == 1 else set()
    if len(declared) > 1:
        raise UsageError(f"records of {runs['problem'].iloc[0]} hold different targets; rank them apart")
    if not declared:
        return TARGETS
    first = runs.iloc[0]
    return np.sort(scaled(np.array(declared.pop()), first["ideal"], first["worst"]))[::-1]


def reference_scale(runs: pd.DataFrame) -> Scale:
    """Ideal and worst values of all objectives of one task, (m,) each, as recorded.

    Raises
    ------
    UsageError
        If a record holds none.
    """
    run, names = Path(runs["run"].iloc[0]), str(runs["objectives"].iloc[0]).split(",")
    points = read_json(run / "run.json", "restore the file")["problem"].get("reference_points") or {}
    missing = [name for name in names if name not in points]
    if missing:
        raise UsageError(f"{run}: its record holds no ideal and worst value of {', '.join(missing)}")
    low, high = np.array([points[name] for name in names], np.float64).T
    return low, high


def hitting_times(runs: pd.DataFrame, targets: np.ndarray | None = None) -> np.ndarray:
    """Evaluations until each run first reached each target.

    Parameters
    ----------
    runs
        Rows of `load_results`, of one task.
    targets
        (n_targets,) on the frozen scale; by default `targets_of`.

    Returns
    -------
    numpy.ndarray
        (n_runs, n_targets) float64, counted from 1, infinite where the target was not reached; a failed run reached
        none.
    """
    targets = targets_of(runs) if targets is None else np.asarray(targets, np.float64)
    scale = reference_scale(runs) if "," in str(runs["objectives"].iloc[0]) else None
    times = np.full((len(runs), len(targets)), np.inf)
    for i, (_, row) in enumerate(runs.iterrows()):
        if row["status"] != "failed":
            times[i] = first_reached(progress(row, scale), targets)
    return times


def first_reached(curve: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Number of the first evaluation, from 1, at which a falling curve (n,) is at or below each target; else infinite.

    Examples
    --------
    >>> first_reached(np.array([np.inf, 0.5, 0.5, 0.2]), np.array([1.0, 0.5, 0.2, 0.1])).tolist()
    [2.0, 2.0, 4.0, inf]
    """
    # Shares such as 40 errors of 400 are targets up to rounding.
    found = np.searchsorted(-curve, -(targets + ROUNDING), side="left") + 1.0
    return np.where(found <= len(curve), found, np.inf)


def spent(runs: pd.DataFrame) -> np.ndarray:
    """Evaluations that each run used, (n,) float64; a failed one is charged its whole budget."""
    used = runs["evaluations"].where(runs["status"] != "failed", runs["budget"])
    return np.minimum(used, runs["budget"]).to_numpy(np.float64)


def expected_running_time(times: np.ndarray, evaluations: np.ndarray) -> np.ndarray:
    """Expected running time (ERT): evaluations until a target is reached if the algorithm is restarted until it is.

    All evaluations spent before the target, over all runs, divided by the number of runs that reached it; runs that
    did not count all that they used (Hansen et al., arXiv:1605.03560, eq. 1).

    Parameters
    ----------
    times
        (n_runs, n_targets) From `hitting_times`.
    evaluations
        (n_runs,) From `spent`.

    Returns
    -------
    numpy.ndarray
        (n_targets,) Evaluations, infinite for a target that no run reached.

    Examples
    --------
    >>> expected_running_time(np.array([[10.0], [30.0], [np.inf]]), np.array([100.0, 100.0, 100.0]))
    array([70.])
    """
    reached = np.isfinite(times)
    total = np.where(reached, times, evaluations[:, None]).sum(axis=0)
    successes = reached.sum(axis=0)
    return np.divide(total, successes, out=np.full(times.shape[1], np.inf), where=successes > 0)


def runtime_ecdf(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Share of (run, target) pairs that were reached within so many evaluations.

    Parameters
    ----------
    times
        (n_runs, n_targets) From `hitting_times`, of one algorithm on one task.
    at
        (n,) Evaluations.

    Returns
    -------
    numpy.ndarray
        (n,) Shares from 0 to 1.
    """
    ordered = np.sort(times, axis=None)
    return np.searchsorted(ordered, np.asarray(at, np.float64), side="right") / max(1, ordered.size)


def data_profile(times: Sequence[np.ndarray], dimensions: Sequence[int], at: np.ndarray) -> np.ndarray:
    """Data profile (More and Wild, SIAM J. Optim. 20:172-191, 2009) with frozen targets in place of its own.

    Parameters
    ----------
    times
        From `hitting_times`, one array per task, of one algorithm.
    dimensions
        d of every task.
    at
        (n,) Evaluations in units of d + 1, what a simplex gradient takes.

    Returns
    -------
    numpy.ndarray
        (n,) Share of (run, target) pairs reached, averaged over tasks: each counts once, however many runs it has.
    """
    shares = [runtime_ecdf(t, np.asarray(at) * (d + 1)) for t, d in zip(times, dimensions, strict=True)]
    return np.asarray(np.mean(shares, axis=0))


def _declared(run: Path, objective: str) -> tuple[float, ...]:
    targets = read_json(run / "run.json", "restore the file").get("targets") or {}
    return tuple(float(value) for value in targets.get(objective, ()))
