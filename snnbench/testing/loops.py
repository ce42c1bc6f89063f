"""What the experiment does to an algorithm, on functions of a microsecond and without a record."""

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from snnbench.algorithm import Algorithm
from snnbench.evaluations import Evaluations
from snnbench.space import SearchSpace

Values = tuple[torch.Tensor, torch.Tensor]
Function = Callable[[torch.Tensor], Values]
"""Candidates (n, d) to objectives (n, m) and constraints (n, k), float64."""


class Nonconformance(AssertionError):
    """An algorithm does not do what the contract says; the message says what, in one line."""


def require(condition: object, message: str) -> None:
    """Raise `Nonconformance` unless the condition holds. (Unlike ``assert``, also under ``python -O``.)"""
    if not condition:
        raise Nonconformance(message)


def bowls(space: SearchSpace, objectives: int = 1, constraints: int = 0) -> Function:
    """Squared distances to one point per objective, at 0.6, 0.4, 0.2, ... of the box's width in every coordinate.

    Each of the constraints asks that the coordinates are at most at 0.45 of the width, on average: half of the
    box is feasible, the first objective's minimum is not. Distances are in tenths of the width.
    """

    def evaluate(x: torch.Tensor) -> Values:
        lower, upper = space.lower.double(), space.upper.double()
        u = (x.double().cpu() - lower) / (upper - lower)
        values = [(100 * (u - (0.6 - 0.2 * j)) ** 2).sum(dim=1) for j in range(objectives)]
        excess = 10 * (u.mean(dim=1) - 0.45)
        return torch.stack(values, dim=1), excess[:, None].repeat(1, constraints)

    return evaluate


@contextlib.contextmanager
def same_global_state() -> Iterator[None]:
    """The global random generators of random, numpy and torch in a fixed state, and as they were afterwards.

    An algorithm that draws from them then repeats itself all the same, so that it fails the one check that says so.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    seed_global_state(0)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def seed_global_state(seed: int) -> None:
    """Seed the global generators of random, numpy and torch (on the CPU)."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)


def ask(algorithm: Algorithm) -> torch.Tensor:
    """The algorithm's next candidates, checked as the experiment checks them, and moved into the box."""
    task = algorithm.task
    with torch.no_grad():
        x = algorithm.ask()
    require(isinstance(x, torch.Tensor), f"ask returned {type(x).__name__}, not a tensor")
    shape = tuple(x.shape)
    require(
        len(shape) == 2 and shape[1] == task.space.dimension and shape[0] > 0,
        f"ask returned shape {shape}, not (n, {task.space.dimension}) with n >= 1",
    )
    require(x.dtype == task.dtype, f"ask returned {x.dtype}, not the task's {task.dtype}")
    require(x.device.type == task.device.type, f"ask returned candidates on {x.device}, not on {task.device}")
    require(bool(x.isfinite().all()), "ask returned NaN or infinite coordinates")
    with torch.no_grad():
        return task.space.clip_(x)


def evaluations(values: Values, first: int) -> Evaluations:
    """What the experiment tells of candidates whose running numbers start at `first`."""
    objectives, constraints = values
    failures = tuple("failed" if bad else "" for bad in ~objectives.isfinite().all(dim=1))
    numbers = np.arange(first, first + len(objectives))
    return Evaluations(objectives.clone(), constraints.clone(), {}, failures, numbers)


class Loop:
    """Ask and tell, generation by generation, while the budget suffices for whole ones.

    Parameters
    ----------
    algorithm
        What is driven; its task says the budget.
    function
        What its candidates are worth.
    told
        How many candidates it was told before, for one that continues from a saved state.
    short
        Whether to tell the beginning of a last generation that the budget does not suffice for. The first
        generation is told in any case.

    Attributes
    ----------
    objectives, constraints
        Values of all candidates told by this loop, one tensor per `tell`.
    """

    def __init__(self, algorithm: Algorithm, function: Function, told: int = 0, short: bool = False) -> None:
        self.algorithm, self.function, self.told, self.short = algorithm, function, told, short
        self.ended = False
        self.objectives: list[torch.Tensor] = []
        self.constraints: list[torch.Tensor] = []

    @property
    def left(self) -> int:
        """Evaluations left of the budget; 0 if it does not suffice for another generation."""
        return 0 if self.ended else self.algorithm.task.budget - self.told

    def step(self) -> torch.Tensor:
        """One generation; returns a copy of its candidates as they were evaluated."""
        x = ask(self.algorithm)
        if len(x) > self.left and self.told and not self.short:
            self.ended = True
            return x[:0]
        return self.tell(x)

    def tell(self, x: torch.Tensor) -> torch.Tensor:
        """Evaluate what `ask` returned, as far as the budget allows, and tell it; returns a copy of these rows."""
        x = x[: self.left]
        seen, values = x.clone(), self.function(x)
        told = evaluations(values, self.told)
        with torch.no_grad():
            self.algorithm.tell(x, told)
        kept = torch.equal(told.objectives, values[0]) and torch.equal(told.constraints, values[1])
        require(kept, "tell changed the evaluations that it was given, which are yet to be recorded")
        self.objectives.append(values[0])
        self.constraints.append(values[1])
        self.told += len(seen)
        return seen

    def run(self, asks: int | None = None) -> torch.Tensor:
        """So many generations, or all that are left: the candidates (n, d)."""
        points = [torch.empty(0, self.algorithm.task.space.dimension)]
        with same_global_state():
            while self.left > 0 and (asks is None or len(points) <= asks):
                points.append(self.step())
        return torch.cat(points)


@dataclass
class Pending:
    """A candidate (1, d) on its way, and its running number."""

    number: int
    x: torch.Tensor


class AsynchronousLoop:
    """Tells candidates one by one, in an order of its own, while others are pending.

    Parameters
    ----------
    algorithm, function
        As in `Loop`; the task says how many workers there are.
    order
        Draws which pending candidate is complete next.
    """

    def __init__(self, algorithm: Algorithm, function: Function, order: random.Random) -> None:
        self.algorithm, self.function, self.order = algorithm, function, order
        self.waiting: list[Pending] = []
        self.running: list[Pending] = []
        self.asked = self.told = 0

    def fork(self, algorithm: Algorithm) -> "AsynchronousLoop":
        """The same situation, around another algorithm."""
        order = random.Random()
        order.setstate(self.order.getstate())
        other = AsynchronousLoop(algorithm, self.function, order)
        other.waiting, other.running = list(self.waiting), list(self.running)
        other.asked, other.told = self.asked, self.told
        return other

    def occupy(self) -> None:
        """Give every idle worker a candidate."""
        task = self.algorithm.task
        while len(self.running) < task.workers and self.told + len(self.running) < task.budget:
            if not self.waiting:
                rows = ask(self.algorithm).split(1)
                self.waiting = [Pending(self.asked + i, row.clone()) for i, row in enumerate(rows)]
                self.asked += len(rows)
            self.running.append(self.waiting.pop(0))

    def complete(self) -> torch.Tensor:
        """Tell one of the running candidates; returns it, (1, d)."""
        done = self.running.pop(self.order.randrange(len(self.running)))
        with torch.no_grad():
            self.algorithm.tell(done.x.clone(), evaluations(self.function(done.x), done.number))
        self.told += 1
        return done.x

    def run(self, completions: int | None = None) -> torch.Tensor:
        """So many completions, or all that are left of the budget: the candidates (n, d) in order of telling."""
        points: list[torch.Tensor] = []
        with same_global_state():
            while self.told < self.algorithm.task.budget and (completions is None or len(points) < completions):
                self.occupy()
                points.append(self.complete())
        return torch.cat(points)
