"""Reference fronts that are frozen in a file, so that IGD+ does not change when runs are added."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnbench.errors import RecordError
from snnbench.experiment.disk import read_json, write_json
from snnbench.stats.curves import scaled
from snnbench.stats.fronts import fronts, reference_front
from snnbench.stats.runtimes import reference_scale

SCHEMA_VERSION = 1
_TASK = ("problem", "version", "variant", "objectives")


@dataclass(frozen=True)
class ReferenceFront:
    """The best points known of one task, on the test split.

    Attributes
    ----------
    task
        (problem, version, variant, objectives) as in `load_results`.
    points
        (k, m) In the units of the objectives.
    """

    task: tuple[str, int, str, str]
    points: np.ndarray


def front_of(runs: pd.DataFrame, known: Sequence[ReferenceFront]) -> np.ndarray | None:
    """The frozen front of the runs' task on the frozen scale, (k, m), or ``None`` if there is none."""
    task = tuple(runs[name].iloc[0] for name in _TASK)
    for front in known:
        if front.task == task:
            return scaled(front.points, *reference_scale(runs))
    return None


def freeze(runs: pd.DataFrame, known: Sequence[ReferenceFront] = ()) -> list[ReferenceFront]:
    """What no run and no known front improves on, of every task with several objectives."""
    found = []
    for _, group in runs[runs["objectives"].str.contains(",")].groupby("task", sort=True):
        low, high = reference_scale(group)
        before = front_of(group, known)
        points = reference_front([*fronts(group), *([] if before is None else [before])])
        if len(points):
            problem, version, variant, objectives = (group[name].iloc[0] for name in _TASK)
            task = (str(problem), int(version), str(variant), str(objectives))
            found.append(ReferenceFront(task, low + points * (high - low)))
    return found


def save(path: Path, found: Sequence[ReferenceFront]) -> None:
    """Write a file that `load` reads."""
    entries = [dict(zip(_TASK, front.task, strict=True)) | {"points": sorted(front.points.tolist())} for front in found]
    write_json(path, {"schema_version": SCHEMA_VERSION, "fronts": entries})


def load(path: Path) -> list[ReferenceFront]:
    """Read reference fronts.

    Raises
    ------
    RecordError
        If the file cannot be read or holds something else.
    """
    content = read_json(path, "--write-fronts makes one")
    if content.get("schema_version") != SCHEMA_VERSION or not isinstance(content.get("fronts"), list):
        raise RecordError(f"{path} holds no reference fronts of schema {SCHEMA_VERSION}; --write-fronts makes some")
    return [_front(path, entry) for entry in content["fronts"]]


def _front(path: Path, entry: Any) -> ReferenceFront:
    try:
        problem, version, variant, objectives = (entry[name] for name in _TASK)
        points = np.array(entry["points"], np.float64)
    except (KeyError, TypeError, ValueError):
        raise RecordError(f"{path}: a reference front lacks {', '.join(_TASK)} or points") from None
    if points.ndim != 2 or points.shape[1] != len(str(objectives).split(",")) or not np.isfinite(points).all():
        raise RecordError(f"{path}: the front of {problem} is not a list of points of {objectives}")
    return ReferenceFront((problem, version, variant, objectives), points)
