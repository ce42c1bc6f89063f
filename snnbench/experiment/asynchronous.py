"""The loop of an asynchronous run: a new candidate as soon as a worker is free, told as soon as it is evaluated.

The record keeps candidates in the order in which they completed. When candidates are asked for follows from that
order alone: before every `tell`, as many are outstanding as there are workers, or as the budget allows. So replaying
the record brings a resumed run to exactly what was known; only the candidates that were being evaluated at the
interruption are evaluated again.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snnbench.evaluations import Evaluations
from snnbench.experiment.columns import to_evaluations
from snnbench.experiment.digest import digests
from snnbench.experiment.search import Search
from snnbench.experiment.workers import Completion, WorkerPool


@dataclass
class Pending:
    """A candidate that was asked for and not told yet.

    Attributes
    ----------
    x
        (1, d), a copy of its own.
    generation
        Number of the `ask` it came from.
    annotations
        What the algorithm wants recorded with it, (1,) each.
    """

    x: torch.Tensor
    generation: int
    annotations: dict[str, np.ndarray]


class AsynchronousSearch(Search):
    """A search whose candidates complete in any order; parameters as of `Search`, and the workers."""

    def __init__(self, *args: Any, pool: WorkerPool) -> None:
        super().__init__(*args)
        self.pool = pool
        self.asked = 0
        self.pending: dict[int, Pending] = {}  # by number, in the order in which they were asked for
        self._submitted: set[int] = set()
        self._completed: deque[Completion] = deque()

    def _advance(self) -> bool:
        """Tell one candidate, after asking for as many as there are free places."""
        while len(self.pending) < self.pool.count and self.asked < self.plan.budget:
            self._enqueue()
        if self.told < self.log.stored:
            number, evaluations = self._recorded()
        else:
            completion = self._next()
            if completion is None:
                if self.stop:
                    self.save()  # nothing is half done here
                    return False
                self.ended = "time limit"
                return True
            number, evaluations = completion.job, completion.evaluations
            candidate = self.pending[number]
            index = self._index(self.told, digests(candidate.x), np.array([number]), candidate.generation)
            times = completion.times | {"worker": np.full(1, float(completion.worker))}
            self._record(candidate.x, index, evaluations, candidate.annotations, times, completion.seconds)
        self._tell(self.pending.pop(number).x, evaluations, np.array([number]))
        return True

    def _enqueue(self) -> None:
        x, annotations = self._ask()
        for row in range(min(len(x), self.plan.budget - self.asked)):
            mine = {name: values[row : row + 1] for name, values in annotations.items()}
            self.pending[self.asked] = Pending(x[row : row + 1].clone(), self.generation, mine)
            self.asked += 1
        self.generation += 1

    def _recorded(self) -> tuple[int, Evaluations]:
        """The next candidate on record: its number, and what it was worth."""
        table = self.log.read(self.told, self.told + 1)
        number = int(table.column("candidate")[0].as_py())
        candidate = self.pending.get(number)
        if candidate is None or int(table.column("digest")[0].as_py()) != int(digests(candidate.x)[0]):
            raise self._mismatch(self.told)
        evaluations = to_evaluations(table)
        self.incumbent.update(candidate.x, evaluations, self.told)
        return number, evaluations

    def _next(self) -> Completion | None:
        """The next candidate to complete; ``None`` when the run is to stop, or its time is up."""
        while True:
            for number, candidate in self.pending.items():
                if not self.pool.free:
                    break
                if number not in self._submitted:
                    self.pool.submit(number, candidate.x, "search")
                    self._submitted.add(number)
            if not self._completed:
                self._completed.extend(self.pool.collect())
            if self._completed:
                return self._completed.popleft()
            if self.stop or self._late():
                return None

    def _state(self) -> dict[str, Any]:
        pending = [
            {"number": number, "x": c.x, "generation": c.generation, "annotations": c.annotations}
            for number, c in self.pending.items()
        ]
        return super()._state() | {"asked": self.asked, "pending": pending}

    def _load(self, state: dict[str, Any]) -> None:
        self.asked = state["asked"]
        device = self.problem.context.device
        self.pending = {
            entry["number"]: Pending(entry["x"].to(device), entry["generation"], entry["annotations"])
            for entry in state["pending"]
        }
