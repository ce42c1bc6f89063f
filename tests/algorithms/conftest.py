"""Toy tasks for algorithms: functions with a known minimum, and a loop that does what the experiment does."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Algorithm, Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import RealVector, SearchSpace

Function = Callable[[torch.Tensor], torch.Tensor]


def sphere(x: torch.Tensor) -> torch.Tensor:
    return (x.double() ** 2).sum(dim=1)


def evaluations(fitness: torch.Tensor | np.ndarray | list[float]) -> Evaluations:
    values = torch.as_tensor(fitness, dtype=torch.float64)
    n = len(values)
    return Evaluations(values[:, None], torch.zeros(n, 0, dtype=torch.float64), {}, ("",) * n)


def make_task(
    dimension: int = 10,
    budget: int = 500,
    offered: int | None = None,
    space: SearchSpace | None = None,
    half: float = 5.0,
) -> Task:
    """A box [-half, half]^d whose initial design has `offered` random points (as many as wanted if None)."""
    space = space or SearchSpace([RealVector("w", dimension, -half, half)])

    def initial(n: int) -> torch.Tensor:
        return space.sample(n if offered is None else min(n, offered), torch.Generator().manual_seed(99))

    return Task(space, ("f",), budget, initial)


def make(name: str, task: Task, seed: int = 0, **overrides: object) -> Algorithm:
    cls = registry.load("algorithm", name)
    algorithm: Algorithm = cls(task, resolve(cls.Parameters, overrides, name), seed)
    return algorithm


def drive(
    algorithm: Algorithm, function: Function = sphere, asks: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask and tell until the budget is spent (or so many times); all candidates and their fitness."""
    task, points, values = algorithm.task, [], []
    left = task.budget
    while left > 0 and asks != 0:
        x = algorithm.ask()
        assert x.shape[1] == task.space.dimension
        assert x.isfinite().all()
        task.space.clip_(x)
        x = x[:left]
        fitness = function(x)
        points.append(x.clone())
        values.append(fitness)
        algorithm.tell(x, evaluations(fitness))
        left -= len(x)
        asks = None if asks is None else asks - 1
    return torch.cat(points), torch.cat(values)


@pytest.fixture
def toys() -> dict[str, Callable]:
    return {"task": make_task, "make": make, "drive": drive, "sphere": sphere, "evaluations": evaluations}
