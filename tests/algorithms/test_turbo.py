"""TuRBO: how its region grows, shrinks, restarts, and where its candidates lie."""

import math

import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import Categorical, Integer, Real, SearchSpace


def make(name="turbo", space=None, dimension=5, batch=2, seed=0, constraints=0, budget=200, **overrides):
    space = space or SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(dimension)])
    task = Task(space, ("f",), budget, lambda n: torch.empty(0, space.dimension), constraints=constraints)
    cls = registry.load("algorithm", name)
    small = {"initial_points": 6, "candidates": 64, "batch": batch} | overrides
    return cls(task, resolve(cls.Parameters, small, name), seed)


def tell(algorithm, values, limits=None):
    x = algorithm.ask()
    values = torch.tensor(values, dtype=torch.float64)
    assert len(values) == len(x)
    k = algorithm.task.constraints
    c = torch.zeros(len(x), k) if limits is None else torch.tensor(limits)
    algorithm.tell(x, Evaluations(values[:, None], c.double(), {}, ("",) * len(x)))
    return x


def test_grows_and_shrinks_as_the_released_code():
    algorithm = make()
    assert algorithm.patience == math.ceil(max(4.0 / 2, 5 / 2)) == 3
    tell(algorithm, [10.0, 11, 12, 13, 14, 15])
    assert algorithm.length == 0.8
    for best in (9.0, 8.0, 7.0):
        assert algorithm.length == 0.8
        tell(algorithm, [best, 20.0])
    assert algorithm.length == 1.6
    tell(algorithm, [6.9999, 20.0])  # less than a thousandth of 7: a failure
    tell(algorithm, [5.0, 20.0])
    for _ in range(3):
        assert algorithm.length == 1.6
        tell(algorithm, [math.inf, 5.0])
    assert algorithm.length == 0.8
    assert algorithm.annotations()["length"].tolist() == [1.6, 1.6]


def test_restarts_with_data_of_its_own():
    algorithm = make(batch=6, length_min=0.5)
    tell(algorithm, [0.0, 1, 2, 3, 4, 5])
    first = algorithm.x.clone()
    tell(algorithm, [9.0] * 6)
    assert algorithm.length == 0.4
    fresh = tell(algorithm, [7.0, 8, 9, 10, 11, 12])
    assert algorithm.length == 0.8
    assert algorithm.annotations()["restarts"].tolist() == [1.0] * 6
    assert not (fresh.double()[:, None] == first).all(dim=2).any()
    algorithm.ask()
    assert torch.equal(algorithm.centre, algorithm.box.unit(fresh)[0])  # though 0 was seen before the restart


def test_candidates_lie_in_the_region():
    algorithm = make(dimension=40, candidates=500, length=0.2)
    tell(algorithm, [3.0, 1, 2, 3, 4, 5])
    algorithm.ask()
    scales = torch.linspace(0.5, 2, 40)
    points = algorithm.region(5, scales)
    away = (points - algorithm.centre).abs()
    assert len(points) == 500
    assert (away <= 0.1 * scales + 1e-12).all()
    moved = (away > 0).double().mean(dim=1)
    assert float(moved.mean()) == pytest.approx(0.5, abs=0.05)  # 20 of 40
    assert (away > 0).any(dim=1).all()


def test_the_regions_volume_is_that_of_the_cube(monkeypatch):
    algorithm = make()
    tell(algorithm, [10.0, 11, 12, 13, 14, 15])
    seen, real = [], algorithm.region
    monkeypatch.setattr(algorithm, "region", lambda count, scales: seen.append(scales) or real(count, scales))
    algorithm.ask()
    assert float(seen[0].prod()) == pytest.approx(1.0)
    assert seen[0].unique().numel() > 1


def test_small_regions_reach_the_next_integers_and_other_categories():
    space = SearchSpace([Integer("n", 1, 100), Categorical("c", tuple("abcdefgh")), Real("x", 0, 1)])
    algorithm = make(space=space, length=0.01, candidates=400)
    tell(algorithm, [3.0, 1, 2, 3, 4, 5])
    algorithm.ask()
    centre = space.decode(algorithm.box.native(algorithm.centre[None], algorithm.queue))
    values = space.decode(algorithm.box.native(algorithm.region(1), algorithm.queue))
    assert set(abs(values["n"] - centre["n"][0])) == {0, 1}
    changed = (values["c"] != centre["c"][0]).mean()
    assert 0 < changed < 0.1


def test_asynchronous_counts_candidates():
    algorithm = make()
    object.__setattr__(algorithm.task, "asynchronous", True)
    assert algorithm.patience == 5
    assert algorithm.batch == 1


@pytest.mark.slow
def test_finds_the_minimum_of_ackley():
    """Better than 2 of Ackley's function in 10 dimensions on [-5, 10], where random points hardly get below 10."""
    from botorch.test_functions import Ackley

    ackley = Ackley(10)
    algorithm = make(dimension=10, batch=5, budget=300, candidates=1000, initial_points=20)
    best, done = math.inf, 0
    while done < 300:
        x = algorithm.ask()
        y = ackley.evaluate_true(-5 + 15 * x.double())[:, None]
        algorithm.tell(x, Evaluations(y, torch.zeros(len(x), 0).double(), {}, ("",) * len(x)))
        best, done = min(best, float(y.min())), done + len(x)
    print(best)
    assert best < 2
