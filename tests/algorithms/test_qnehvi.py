"""qNEHVI: its reference point, three objectives, and that nothing is compiled behind the user's back."""

import math

import numpy as np
import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import Real, SearchSpace


def make(dimension=2, objectives=2, constraints=0, **overrides):
    space = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(dimension)])
    names = tuple(f"f{i}" for i in range(objectives))
    task = Task(space, names, 50, lambda n: torch.empty(0, dimension), constraints=constraints)
    cls = registry.load("algorithm", "qnehvi")
    small = {"restarts": 1, "raw_samples": 8, "samples": 8} | overrides
    return cls(task, resolve(cls.Parameters, small, "qnehvi"), 0)


def test_the_reference_point_is_the_nadir_and_a_tenth():
    algorithm = make(constraints=1, initial_points=5)
    x = algorithm.ask()
    y = torch.tensor([[0.0, 10.0], [4.0, 0.0], [5.0, 11.0], [math.inf, math.inf], [-50.0, -50.0]])
    c = torch.tensor([[-1.0], [0.0], [-1.0], [-1.0], [1.0]])  # the last, far better than all, is infeasible
    algorithm.tell(x, Evaluations(y.double(), c.double(), {}, ("",) * 5))
    assert algorithm.annotations() == {}
    assert len(algorithm.ask()) == 1
    notes = algorithm.annotations()
    assert notes["reference_0"] == pytest.approx(np.array([4.4]))
    assert notes["reference_1"] == pytest.approx(np.array([11.0]))


@pytest.mark.parametrize("infeasible", [True, False])
def test_three_objectives(infeasible):
    algorithm = make(objectives=3, constraints=1, initial_points=5)
    for _ in range(3):
        x = algorithm.ask()
        y = torch.stack([(x.double() - t).square().sum(1) for t in (0.2, 0.5, 0.8)], dim=1)
        c = torch.full((len(x), 1), 1.0 if infeasible else -1.0, dtype=torch.float64)
        algorithm.tell(x, Evaluations(y, c, {}, ("",) * len(x)))
    assert len(algorithm.x.unique(dim=0)) == 7


def test_nothing_is_compiled(monkeypatch):
    from botorch.acquisition.multi_objective import logei
    from torch.utils import cpp_extension

    def refuse(*args, **settings):
        raise AssertionError("a C++ extension was about to be built")

    monkeypatch.setattr(cpp_extension, "load", refuse)
    monkeypatch.setattr(logei, "_load_attempted", False)
    algorithm = make(initial_points=4)
    for _ in range(2):
        x = algorithm.ask()
        y = torch.stack([(x.double() - t).square().sum(1) for t in (0.2, 0.8)], dim=1)
        algorithm.tell(x, Evaluations(y, torch.zeros(len(x), 0).double(), {}, ("",) * len(x)))
    assert logei._load_attempted is False
    assert logei._C is None


@pytest.mark.parametrize(("objectives", "fits"), [(1, False), (2, True), (4, True), (5, False)])
def test_objectives(objectives, fits):
    obstacle = registry.load("algorithm", "qnehvi").capabilities.obstacle(5, objectives, 1)
    assert (obstacle is None) == fits
