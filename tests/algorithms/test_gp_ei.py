"""GP-EI finds what it should, by the acquisition function that fits the problem."""

import pytest
import torch
from scipy.stats import mannwhitneyu

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import Real, SearchSpace


def make(name, dimension, budget, seed=0, constraints=0, noisy=False, **overrides):
    space = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(dimension)])
    task = Task(space, ("f",), budget, lambda n: torch.empty(0, dimension), constraints=constraints, noisy=noisy)
    cls = registry.load("algorithm", name)
    return cls(task, resolve(cls.Parameters, overrides, name), seed)


def drive(algorithm, function):
    """All points, objectives and constraints of a run."""
    xs, ys, cs, left = [], [], [], algorithm.task.budget
    while left:
        x = algorithm.task.space.clip_(algorithm.ask()[:left])
        y, c = function(x.double())
        algorithm.tell(x, Evaluations(y[:, None], c, {}, ("",) * len(x)))
        left -= len(x)
        for rows, new in zip((xs, ys, cs), (x.clone(), y, c), strict=True):
            rows.append(new)
    return torch.cat(xs), torch.cat(ys), torch.cat(cs)


def free(function):
    return lambda x: (function(x), torch.zeros(len(x), 0, dtype=torch.float64))


def test_a_smooth_valley():
    _, values, _ = drive(
        make("gp-ei", 2, 14, restarts=2, raw_samples=64, samples=32), free(lambda x: (x - 0.37).square().sum(1))
    )
    assert values[:3].min() > 2e-3
    assert values.min() < 2e-4


def test_an_optimum_on_the_constraint():
    """Minimise the sum where x0 x1 >= 0.25: the optimum is 1 at (0.5, 0.5)."""
    algorithm = make("gp-ei", 2, 16, constraints=1, restarts=2, raw_samples=64, samples=32)
    _, values, limits = drive(algorithm, lambda x: (x.sum(1), 0.25 - x.prod(1, keepdim=True)))
    kept = (limits <= 0).all(dim=1)
    assert values[kept].min() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("noisy", "constraints", "expected"),
    [
        (False, 0, "qLogExpectedImprovement"),
        (True, 0, "qLogNoisyExpectedImprovement"),
        (False, 2, "qLogNoisyExpectedImprovement"),
    ],
)
def test_acquisition(noisy, constraints, expected, monkeypatch):
    algorithm = make("gp-ei", 2, 6, constraints=constraints, noisy=noisy, initial_points=5, restarts=1, raw_samples=8)
    used, real = [], algorithm.acquisition
    monkeypatch.setattr(algorithm, "acquisition", lambda *args: used.append(real(*args)) or used[-1])
    drive(algorithm, lambda x: (x.sum(1), torch.ones(len(x), constraints, dtype=torch.float64)))
    assert [type(function).__name__ for function in used] == [expected]


def test_pending_points_are_kept_away_from():
    """With a point pending where the model would go next, it goes elsewhere."""
    alone = make("gp-ei", 1, 20, initial_points=4, batch=1)
    pair = make("gp-ei", 1, 20, initial_points=4, batch=2)
    for algorithm in (alone, pair):
        x = algorithm.ask()
        algorithm.tell(x, Evaluations((x.double() - 0.37).square(), torch.zeros(4, 0).double(), {}, ("",) * 4))
    first, second = pair.ask()[:, 0].tolist()
    assert first == pytest.approx(float(alone.ask()), abs=1e-3)
    assert abs(second - first) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "budget"), [("gp-ei", 30), ("turbo", 60), ("scbo", 60)])
def test_better_than_chance_on_hartmann(name, budget):
    from botorch.test_functions import Hartmann

    function = free(Hartmann(6).evaluate_true)
    ours = [float(drive(make(name, 6, budget, seed), function)[1].min()) for seed in range(10)]
    for other in ("random", "sobol"):
        theirs = [float(drive(make(other, 6, budget, seed), function)[1].min()) for seed in range(10)]
        print(name, other, sorted(ours), sorted(theirs))
        assert mannwhitneyu(ours, theirs, alternative="less").pvalue < 0.001
