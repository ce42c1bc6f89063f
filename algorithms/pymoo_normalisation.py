"""The normalisation of objectives that pymoo's NSGA-III and SPEA2 share: made safe, and saved."""

from typing import Any

import numpy as np
import torch

from snnbench.algorithm import State


def normalisation(objectives: int) -> Any:
    """pymoo's `HyperplaneNormalization`, safe for an objective that is the same for all: SPEA2 would divide 0 by 0."""
    from pymoo.algorithms.moo.nsga3 import HyperplaneNormalization

    norm = HyperplaneNormalization(objectives)
    update = norm.update

    def widened(values: np.ndarray, nds: np.ndarray | None = None) -> None:
        update(values, nds)
        norm.nadir_point = np.where(norm.nadir_point > norm.ideal_point, norm.nadir_point, norm.ideal_point + 1)

    norm.update = widened
    return norm


def save(norm: Any) -> State:
    """What its future depends on; no extreme points before the first feasible candidate."""
    extreme = np.empty((0, len(norm.ideal_point))) if norm.extreme_points is None else norm.extreme_points
    arrays = {"ideal": norm.ideal_point, "worst": norm.worst_point, "extreme": extreme}
    return {name: torch.tensor(array, dtype=torch.float64) for name, array in arrays.items()}


def restore(norm: Any, saved: State) -> None:
    """Continue from `save`."""
    norm.ideal_point, norm.worst_point = saved["ideal"].numpy().copy(), saved["worst"].numpy().copy()
    norm.extreme_points = saved["extreme"].numpy().copy() if len(saved["extreme"]) else None
