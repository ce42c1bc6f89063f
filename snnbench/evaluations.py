"""What a problem returns and an algorithm is told."""

from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass
class Evaluations:
    """What n candidates turned out to be worth. Never contains NaN.

    Attributes
    ----------
    objectives : torch.Tensor
        (n, m) float64 on the CPU, minimised; +inf for a failed candidate.
    constraints : torch.Tensor
        (n, k) float64 on the CPU, feasible where <= 0.
    metrics : dict of str to numpy.ndarray
        Everything measured, (n, ...) each: accuracy, spikes, acs, macs, ...
    failures : tuple of str
        The reason for each failed candidate, "" for the others.
    candidates : numpy.ndarray
        (n,) int64, the running number of each candidate: counted from 0 in the order in which `ask` returned them.
        The experiment fills it in. Only in an asynchronous run is it not simply the order of telling.
    """

    objectives: torch.Tensor
    constraints: torch.Tensor
    metrics: dict[str, np.ndarray]
    failures: tuple[str, ...]
    candidates: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.objectives)

    @property
    def fitness(self) -> torch.Tensor:
        """(n,) The first objective: the fitness of a single-objective algorithm."""
        return self.objectives[:, 0]
