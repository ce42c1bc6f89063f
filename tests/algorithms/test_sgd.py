"""The gradient reference: what it follows, what it is charged, and how its budget is spent."""

import math

import numpy as np
import pytest
import torch

from snnbench.algorithm import Evaluations, Gradient, Task
from snnbench.algorithms.sgd import SGD, SGDParameters
from snnbench.space import RealVector, SearchSpace

SPACE = SearchSpace([RealVector("w", 6, -5.0, 5.0)])
CENTRE = torch.linspace(-1, 1, 6)


def task(budget=40, samples=100, offered=3, noise=0.0, charged=None):
    def evaluate(x, batch, generator):
        if charged is not None:
            charged.append(batch)
        error = x - CENTRE
        return float(error.square().sum()), 2 * error + noise * torch.randn(6, generator=generator)

    def initial(n):
        return SPACE.sample(min(n, offered), torch.Generator().manual_seed(9))

    return Task(SPACE, ("loss",), budget, initial, gradient=Gradient(evaluate, samples))


def drive(algorithm, charged, asks=100):
    points, values = [], []
    t = algorithm.task
    while asks and t.budget - sum(map(len, points)) - math.ceil(sum(charged) / t.gradient.samples) > 0:
        x = algorithm.ask()
        left = t.budget - sum(map(len, points)) - math.ceil(sum(charged) / t.gradient.samples)
        assert left > 0  # it never asks for what it has spent
        x = x[:left]
        f = (x - CENTRE).double().square().sum(dim=1)
        algorithm.tell(x, Evaluations(f[:, None], torch.zeros(len(x), 0), {}, ("",) * len(x)))
        points.append(x)
        values.append(f)
        asks -= 1
    return torch.cat(points), torch.cat(values)


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 40, 123])
@pytest.mark.parametrize("checkpoints", [1, 5, 20])
def test_the_budget_is_spent_exactly(budget, checkpoints):
    charged: list[int] = []
    algorithm = SGD(task(budget, charged=charged), SGDParameters(checkpoints=checkpoints, lr=0.01, batch=30), 0)
    points, _ = drive(algorithm, charged)
    assert len(points) + math.ceil(sum(charged) / 100) == budget
    assert sum(charged) / 100 <= budget - len(points)


def test_descends_from_the_best_of_the_design():
    charged: list[int] = []
    algorithm = SGD(task(budget=60, charged=charged), SGDParameters(lr=0.02), 0)
    _, values = drive(algorithm, charged)
    assert values[-1] < 1e-2 * values[:3].min()
    assert set(charged) == {64}


def test_equals_torchs_optimizer():
    charged: list[int] = []
    algorithm = SGD(task(budget=30, charged=charged), SGDParameters(lr=0.05, checkpoints=4), 0)
    points, values = drive(algorithm, charged)
    x = points[int(values[:3].argmin())].clone().requires_grad_(True)
    optimizer = torch.optim.SGD([x], lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(charged))
    for _ in charged:
        optimizer.zero_grad()
        (x - CENTRE).square().sum().backward()
        optimizer.step()
        schedule.step()
    assert torch.allclose(points[-1], x.detach(), atol=1e-5)


def test_a_restored_state_goes_on_alike():
    t = task(budget=60, noise=1.0)
    original = SGD(t, SGDParameters(lr=0.01), 1)
    drive(original, [0], asks=4)
    state = original.state_dict()
    state = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in state.items()}
    restored = SGD(t, SGDParameters(lr=0.01), 2)
    restored.load_state_dict(state)
    assert torch.equal(original.ask(), restored.ask())
    assert np.array_equal(original.annotations()["train_loss"], restored.annotations()["train_loss"])


def test_failures_do_not_move_it():
    def evaluate(x, batch, generator):
        return math.nan, torch.full_like(x, math.nan)

    t = task()
    algorithm = SGD(Task(SPACE, ("loss",), 40, t.initial, gradient=Gradient(evaluate, 100)), None, 0)
    x = algorithm.ask()
    algorithm.tell(x, Evaluations(torch.full((3, 1), torch.inf), torch.zeros(3, 0), {}, ("no",) * 3))
    assert algorithm.ask().isfinite().all()
