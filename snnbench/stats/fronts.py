"""Sets of several objectives: what a run recommends, and how good such a set is against frozen references."""

from pathlib import Path

import numpy as np
import pandas as pd

from snnbench.errors import RecordError, UsageError
from snnbench.experiment.disk import read_json
from snnbench.experiment.recommendation import violation
from snnbench.stats.curves import Scale, scaled
from snnbench.stats.runtimes import reference_scale


def recommended(row: pd.Series, scale: Scale, split: str = "test") -> np.ndarray:
    """The recommended set of one run on one split, scaled.

    Parameters
    ----------
    row
        Of `load_results`.
    scale
        From `reference_scale`.
    split
        ``search``, ``validation`` or ``test``.

    Returns
    -------
    numpy.ndarray
        (k, m) float64, 0 ideal and 1 worst in every objective. Candidates that violate a constraint on this split or
        have no finite values are left out, and so are those that others of the set dominate there. (0, m) for a failed
        run.
    """
    import moocore

    names = str(row["objectives"]).split(",")
    if row["status"] == "failed":
        return np.empty((0, len(names)))
    path = Path(row["run"]) / "recommendation.json"
    final = read_json(path, "start again with --fresh").get("final") or []
    try:
        feasible = [point[split] for point in final if not violation(point[split])]
        points = np.array([[_number(found.get(name)) for name in names] for found in feasible])
    except (AttributeError, KeyError, TypeError):
        raise RecordError(f"{path} holds no objectives on the {split} split; start again with --fresh") from None
    if not len(points):
        return np.empty((0, len(names)))
    points = scaled(points, *scale)
    points = points[np.isfinite(points).all(axis=1)]
    # moocore passes rows with NaN over in silence: there are none left.
    return np.asarray(moocore.filter_dominated(points)) if len(points) else points


def fronts(runs: pd.DataFrame, split: str = "test") -> list[np.ndarray]:
    """The recommended sets of all runs of one task, (k, m) each, in the order of the rows."""
    _require_several(runs)
    scale = reference_scale(runs)
    return [recommended(row, scale, split) for _, row in runs.iterrows()]


def reference_front(sets: list[np.ndarray]) -> np.ndarray:
    """What no set improves on: the nondominated points of the union, (k, m)."""
    import moocore

    union = np.concatenate(sets)
    return np.asarray(moocore.filter_dominated(union)) if len(union) else union


def hypervolumes(runs: pd.DataFrame) -> np.ndarray:
    """1 - hypervolume of each run's recommended set on the test split, (n,); reference point 1 in every objective.

    1 for a set that dominates nothing of the box, infinite for a run without a set.
    """
    import moocore

    sets = fronts(runs)
    return np.array([1.0 - float(moocore.hypervolume(s, ref=np.ones(s.shape[1]))) if len(s) else np.inf for s in sets])


def igd_plus(runs: pd.DataFrame, reference: np.ndarray | None = None) -> np.ndarray:
    """IGD+ (Ishibuchi et al., EMO 2015) of each run's recommended set on the test split, (n,).

    Parameters
    ----------
    runs
        Rows of `load_results`, of one task.
    reference
        (k, m) Scaled reference front; by default the nondominated points of all these runs, so that values depend on
        which runs are there.

    Returns
    -------
    numpy.ndarray
        Mean distance, in the scaled objectives, of reference points to what the set dominates; infinite without a set.
    """
    import moocore

    sets = fronts(runs)
    reference = reference_front(sets) if reference is None else reference
    return np.array([float(moocore.igd_plus(s, ref=reference)) if len(s) else np.inf for s in sets])


def _require_several(runs: pd.DataFrame) -> None:
    if "," not in str(runs["objectives"].iloc[0]):
        raise UsageError(f"{runs['problem'].iloc[0]} was run with one objective; this measure needs several")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.inf
