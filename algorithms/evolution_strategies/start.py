"""How far an evolution strategy steps at first."""

import math
from collections.abc import Sequence

import torch

from snnbench.algorithm import Task
from snnbench.algorithms.initial_design import WIDTH, holds_weights

SERIAL = 1 << 14
"""Torch adds up fewer than 2^15 numbers on one thread, so that the last bits do not depend on how many there are."""


def sum_of_squares(vector: torch.Tensor) -> float:
    """Of a vector (d,), added up in float64, the same to the last bit on any number of threads."""
    return float(torch.stack([part.square().sum(dtype=torch.float64) for part in vector.split(SERIAL)]).sum())


def initial_step(task: Task, squares: Sequence[float], spread_share: float, box_share: float) -> float:
    """Initial step size of a search that starts from one point of the initial design, in widths of the box.

    Where the space holds network weights, that is a share of the design's spread, the root mean square distance, per
    coordinate, from the other points to this one; or 0.01 if there are no others or they are all the same. Elsewhere
    it is a share of the box.

    Parameters
    ----------
    squares
        For every point of the design, its mean square distance per coordinate from the point to start from, in
        widths of the box; 0 for that point itself.
    spread_share, box_share
        The two shares.
    """
    if not holds_weights(task):
        return box_share
    return spread_share * math.sqrt(sum(squares) / max(1, len(squares) - 1)) or WIDTH
