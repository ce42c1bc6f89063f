"""What a run remembers of its candidates: the few best, or with several objectives the non-dominated ones.

With one objective more than the best is kept, so that validation has a choice: the best of a thousand on the search
split owes some of its lead to chance.

Candidates are looked at one after the other in the order of their evaluation, so how they were cut into chunks or
generations changes nothing. Feasible candidates come before infeasible ones, those by total violation (Deb 2000).
"""

from typing import Any

import numpy as np
import torch

from snnbench.evaluations import Evaluations

ARCHIVE_SIZE = 100
ARCHIVE_BYTES = 1 << 30
BEST_SIZE = 10
BEST_BYTES = 1 << 28


def violations(evaluations: Evaluations) -> np.ndarray:
    """(n,) Sum of the violated constraints, 0 for feasible candidates."""
    return np.asarray(evaluations.constraints.numpy().clip(min=0).sum(axis=1))


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a is nowhere worse than b and somewhere better; rows are (violation, objectives...)."""
    if a[0] != b[0]:
        return bool(a[0] < b[0])
    return bool((a[1:] <= b[1:]).all() and (a[1:] < b[1:]).any())


def crowding(points: np.ndarray) -> np.ndarray:
    """(n,) Crowding distance of points (n, m), infinite at the ends (Deb et al. 2002, NSGA-II)."""
    n = len(points)
    distance = np.zeros(n)
    for values in points.T:
        order = np.argsort(values, kind="stable")
        extent = values[order[-1]] - values[order[0]]
        distance[order[[0, -1]]] = np.inf
        if n > 2 and extent > 0:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / extent
    return distance


class Incumbent:
    """The best different candidates, or an archive of non-dominated ones.

    Parameters
    ----------
    objectives
        Number of objectives m.
    dimension
        Coordinates d of a candidate. Of large ones fewer are kept: below 256 MiB with one objective (but always one),
        below 1 GiB with several (but always ten).
    budget
        Evaluations of the run. With one objective a tenth as many candidates are kept, ten at most: what validation
        spends beside the budget stays small against it.
    """

    def __init__(self, objectives: int, dimension: int, budget: int = 10 * BEST_SIZE) -> None:
        if objectives == 1:
            self.capacity = max(1, min(BEST_SIZE, budget // 10, BEST_BYTES // (4 * dimension)))
        else:
            self.capacity = min(ARCHIVE_SIZE, max(10, ARCHIVE_BYTES // (4 * dimension)))
        self.lowest = np.full(objectives, np.inf)
        self._keys = np.empty((0, 1 + objectives))
        self._rows: list[torch.Tensor] = []
        self._numbers: list[int] = []

    def update(self, x: torch.Tensor, evaluations: Evaluations, first: int) -> None:
        """Look at candidates (n, d), the first of which is evaluation number ``first``."""
        objectives = evaluations.objectives.numpy()
        keys = np.column_stack([violations(evaluations), objectives])
        feasible = objectives[keys[:, 0] == 0]
        self.lowest = np.minimum(self.lowest, feasible.min(axis=0, initial=np.inf))
        for row in np.flatnonzero(np.isfinite(keys).all(axis=1)):
            insert = self._insert_best if len(self.lowest) == 1 else self._insert
            insert(keys[row], x[row : row + 1], first + int(row))

    def candidates(self) -> torch.Tensor | None:
        """The candidates kept, (k, d): best first with one objective, else oldest first; ``None`` without any.

        Of equals the older is better.
        """
        return torch.cat(self._rows) if self._rows else None

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"keys": self._keys, "rows": self._rows, "numbers": self._numbers, "lowest": self.lowest}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from a `state_dict`."""
        self._keys, self._numbers, self.lowest = state["keys"], state["numbers"], state["lowest"]
        self._rows = [row.to(device) for row in state["rows"]]

    def _insert_best(self, key: np.ndarray, candidate: torch.Tensor, number: int) -> None:
        better = [bool(tuple(old) <= tuple(key)) for old in self._keys]
        place = sum(better)
        if place == self.capacity:
            return
        equal = [i for i in range(place) if np.array_equal(self._keys[i], key)]
        if any(torch.equal(self._rows[i], candidate) for i in equal):
            return
        self._keys = np.insert(self._keys, place, key, axis=0)[: self.capacity]
        self._rows = [*self._rows[:place], candidate.clone(), *self._rows[place:]][: self.capacity]
        self._numbers = [*self._numbers[:place], number, *self._numbers[place:]][: self.capacity]

    def _insert(self, key: np.ndarray, candidate: torch.Tensor, number: int) -> None:
        if any(dominates(old, key) or np.array_equal(old, key) for old in self._keys):
            return
        self._keep([i for i, old in enumerate(self._keys) if not dominates(key, old)])
        self._keys = np.vstack([self._keys, key])
        self._rows.append(candidate.clone())
        self._numbers.append(number)
        if len(self._rows) > self.capacity:
            distance = crowding(self._keys[:, 1:])
            crowded = len(distance) - 1 - int(np.argmin(distance[::-1]))  # of equals the youngest goes
            self._keep([i for i in range(len(self._rows)) if i != crowded])

    def _keep(self, indices: list[int]) -> None:
        self._keys = self._keys[indices]
        self._rows = [self._rows[i] for i in indices]
        self._numbers = [self._numbers[i] for i in indices]
