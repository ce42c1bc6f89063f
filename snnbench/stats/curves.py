"""How far a search has come after each of its evaluations, on the frozen scale: 0 is the ideal, 1 the worst value.

Only the columns that are needed are read, one run at a time, so memory does not grow with the number of runs.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from snnbench.errors import RecordError
from snnbench.experiment.log import read_parquet

Scale = tuple[np.ndarray, np.ndarray]
BLOCK = 128


def scaled(values: np.ndarray, ideal: float | np.ndarray, worst: float | np.ndarray) -> np.ndarray:
    """Values on the frozen scale of their objective: 0 at the ideal, 1 at the worst; infinite ones stay so."""
    return np.asarray((np.asarray(values, np.float64) - ideal) / (np.asarray(worst) - ideal))


def best_so_far(run: Path, objective: str) -> np.ndarray:
    """Best feasible value after each recorded evaluation, (n,) float64, infinite before the first feasible one."""
    return np.asarray(np.minimum.accumulate(feasible_values(run, [objective])[:, 0]))


def feasible_values(run: Path, objectives: list[str]) -> np.ndarray:
    """Recorded objectives, (n, m) float64; rows that failed, are infeasible or not numbers are infinite.

    Raises
    ------
    RecordError
        If a file is damaged or lacks an objective.
    """
    final = run / "evaluations.parquet"
    paths = [final] if final.exists() else sorted((run / "evaluations").glob("*.parquet"))
    blocks = [_block(path, objectives) for path in paths]
    return np.concatenate(blocks) if blocks else np.empty((0, len(objectives)))


def progress(row: pd.Series, scale: Scale | None = None) -> np.ndarray:
    """How far one run was from the ideal after each evaluation.

    Parameters
    ----------
    row
        Of `load_results`.
    scale
        Ideal and worst values, (m,) each, of all objectives; needed for several only, see `reference_scale`.

    Returns
    -------
    numpy.ndarray
        (n,) float64, never rising, n at most the budget. One objective: best feasible value so far on the frozen scale,
        infinite before the first. Several: 1 - hypervolume of all feasible candidates so far, objectives scaled.

    Raises
    ------
    RecordError
        If the record is damaged, holds fewer evaluations than were made, or no scale.
    """
    run, names = Path(row["run"]), str(row["objectives"]).split(",")
    values = feasible_values(run, names)
    if row["status"] == "complete" and len(values) != row["evaluations"]:
        raise RecordError(
            f"{run} holds {len(values)} evaluations, its run.json says {row['evaluations']:.0f}: "
            "restore the record, or start again with --fresh"
        )
    values = values[: int(row["budget"])]
    if len(names) > 1:
        if scale is None:
            raise ValueError("several objectives need the scale of all of them")
        return 1.0 - _hypervolumes(scaled(values, *scale))
    if not row["worst"] > row["ideal"]:
        raise RecordError(f"{run} holds no ideal and worst value of {names[0]}: only --measure test and search apply")
    return scaled(np.minimum.accumulate(values[:, 0]), row["ideal"], row["worst"])


def _block(path: Path, objectives: list[str]) -> np.ndarray:
    wanted = [f"objective.{name}" for name in objectives]
    table = read_parquet(path, lambda name: name in wanted or name.startswith("constraint."))
    try:
        values = np.stack([np.array(table[name].to_numpy(), np.float64) for name in wanted], axis=1)
        for name in table.column_names:
            if name.startswith("constraint."):
                values[~(np.asarray(table[name].to_numpy(), np.float64) <= 0)] = np.inf
    except KeyError:
        raise RecordError(f"{path} lacks one of the columns {', '.join(wanted)}") from None
    except (TypeError, ValueError):
        raise RecordError(f"{path}: its objectives and constraints are not all numbers") from None
    values[~np.isfinite(values).all(axis=1)] = np.inf
    return values


def _hypervolumes(points: np.ndarray) -> np.ndarray:
    """Hypervolume of the points so far after each, (n,), with reference 1; computed where a point adds to it."""
    import moocore

    front, volumes = np.empty((0, points.shape[1])), np.zeros(len(points))
    inside = np.flatnonzero((points < 1.0).all(axis=1))
    for start in range(0, len(inside), BLOCK):
        rows = inside[start : start + BLOCK]
        # Most of a block is dominated by what was there before: those go at once.
        worse = np.all(front[None, :, :] <= points[rows][:, None, :], axis=2)
        rows = rows[~np.any(worse, axis=1)]
        for row in rows:
            point = points[row]
            if not (front <= point).all(axis=1).any():
                front = np.vstack([front[~(point <= front).all(axis=1)], point])
                volumes[row] = moocore.hypervolume(front, ref=np.ones(len(point)))
    return np.asarray(np.maximum.accumulate(volumes))
