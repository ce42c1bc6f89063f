"""SCBO: its choice among samples, its centre, and a published problem that is feasible in 0.002 % of the box."""

import math

import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.algorithms.bayesian.gaussian_process import LOCAL, GaussianProcess
from snnbench.parameters import resolve
from snnbench.space import Real, SearchSpace


def make(dimension, constraints, budget=100, seed=0, **overrides):
    space = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(dimension)])
    task = Task(space, ("f",), budget, lambda n: torch.empty(0, dimension), constraints=constraints)
    cls = registry.load("algorithm", "scbo")
    return cls(task, resolve(cls.Parameters, overrides, "scbo"), seed)


def tell(algorithm, y, c):
    x = algorithm.ask()
    y, c = torch.as_tensor(y).double(), torch.as_tensor(c).double()
    assert len(x) == len(y) == len(c)
    algorithm.tell(x, Evaluations(y[:, None], c, {}, ("",) * len(x)))
    return x


def test_chooses_as_botorchs_constrained_max_posterior_sampling(monkeypatch):
    """Given the same samples of objective and constraints, the same winners, feasible or not."""
    from botorch.generation.sampling import ConstrainedMaxPosteriorSampling

    algorithm = make(2, 2, initial_points=4)
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(3, 6, 50, generator=generator, dtype=torch.float64)
    samples[1:, 3:] = samples[1:, 3:].abs() + 0.1  # the last three have no feasible point
    drawn = iter(samples)
    points = torch.rand(50, 2, generator=generator, dtype=torch.float64)
    monkeypatch.setattr(GaussianProcess, "draw", lambda self, x, count: next(drawn).clone())
    monkeypatch.setattr(algorithm, "region", lambda count: points)
    x = torch.rand(5, 2, generator=generator, dtype=torch.float64)
    c = torch.tensor([[-1.0, 1.0], [1.0, -1.0]] * 2 + [[0.0, 0.0]], dtype=torch.float64)
    ours = algorithm.sampled(x, torch.arange(5.0).double(), c, 6)
    scale = torch.full((2,), math.log(2.0) * math.sqrt(0.8), dtype=torch.float64)  # of the constraints' standardisation
    limits = samples[1:].permute(1, 2, 0) * scale
    theirs = ConstrainedMaxPosteriorSampling.__new__(ConstrainedMaxPosteriorSampling)
    scores = theirs._convert_samples_to_scores(-samples[0][..., None], limits)[..., 0]
    expected = []
    for score in scores:
        score[expected] = -torch.inf
        expected.append(int(score.argmax()))
    assert torch.equal(ours, points[expected])


def test_the_centre_is_the_best_feasible_or_the_least_infeasible():
    algorithm = make(3, 2, initial_points=4, batch=2, candidates=50)
    x = tell(algorithm, [1.0, 2, 3, math.inf], [[1.0, 1], [0.5, 0.2], [-9, 0.75], [-1, -1]])
    algorithm.ask()
    assert torch.equal(algorithm.centre, algorithm.box.unit(x)[2])  # ln 1.75 < ln 1.5 + ln 1.2, though 0.75 > 0.7
    algorithm = make(3, 2, initial_points=4, batch=2, candidates=50)
    x = tell(algorithm, [1.0, 5, 3, 4], [[1.0, 1], [-1, -1], [0.1, -1], [-1, 0]])
    algorithm.ask()
    assert torch.equal(algorithm.centre, algorithm.box.unit(x)[3])


def test_success_is_less_violation_then_feasibility_then_a_smaller_objective():
    algorithm = make(3, 1, initial_points=2, batch=1, candidates=50)
    tell(algorithm, [0.0, 0.0], [[5.0], [4.0]])
    outcomes = [(9.0, 3.0), (0.0, 3.5), (50.0, -1.0), (0.0, 0.5), (49.0, 0.0), (49.0, -5.0), (math.inf, -1.0)]
    won = []
    for value, limit in outcomes:
        tell(algorithm, [value], [[limit]])
        won.append(algorithm.won > 0)
    assert won == [True, False, True, False, True, False, False]


def test_settings_of_the_released_code():
    for dimension, batch, failures, candidates in (
        (15, 16, 1, 3000),
        (18, 4, 5, 3600),
        (3, 1, 4, 2000),
        (40, 32, 2, 5000),
    ):
        algorithm = make(dimension, 1, batch=batch)
        assert (algorithm.patience, algorithm.candidates) == (failures, candidates)
    p = algorithm.parameters
    assert (p.length, p.length_min, p.length_max, p.successes) == (0.8, 2**-7, 1.6, 3)
    assert (LOCAL.matern, LOCAL.lengthscale, LOCAL.noise) == (True, (0.005, 4.0), (1e-8, 1e-3))


def test_a_valley_with_a_constraint():
    """Minimise the distance from (0.2, 0.2) where x0 + x1 >= 1.5: the optimum is 1.1^2 / 2."""
    algorithm = make(2, 1, budget=60, initial_points=6, batch=2, candidates=200)
    best = math.inf
    for _ in range(15):
        x = algorithm.ask()
        y, c = (x.double() - 0.2).square().sum(1), 1.5 - x.double().sum(1, keepdim=True)
        algorithm.tell(x, Evaluations(y[:, None], c, {}, ("",) * len(x)))
        best = min([best, *y[(c <= 0).all(dim=1)].tolist()])
    assert best == pytest.approx(1.1**2 / 2, rel=0.03)


@pytest.mark.slow
def test_ackley_with_two_constraints():
    """Ackley's function in 10 dimensions on [-5, 10] with sum x <= 0 and |x| <= 5 (Eriksson and Poloczek 2021).

    0.002 % of the box is feasible, and no point of the initial design; the optimum is 0 at the origin.
    """
    from botorch.test_functions import Ackley

    ackley = Ackley(10)
    algorithm = make(10, 2, budget=400, batch=5)
    best, kept, done = math.inf, [], 0
    while done < 400:
        x = algorithm.ask()
        z = -5 + 15 * x.double()
        y, c = ackley.evaluate_true(z), torch.stack([z.sum(1), z.norm(dim=1) - 5], dim=1)
        algorithm.tell(x, Evaluations(y[:, None], c, {}, ("",) * len(x)))
        feasible = (c <= 0).all(dim=1)
        kept += feasible.tolist()
        best, done = min([best, *y[feasible].tolist()]), done + len(x)
    print("first feasible", kept.index(True), "best", best)
    assert not any(kept[: algorithm.design_size])
    assert best < 2


@pytest.mark.slow
def test_tension_compression_string():
    """Three variables, four constraints, 0.9 % of the box feasible; the best known value is 0.012665."""
    from botorch.test_functions import TensionCompressionString

    problem = TensionCompressionString()
    algorithm = make(3, 4, budget=200, batch=1, candidates=600)
    best, kept = math.inf, []
    while len(kept) < 200:
        x = algorithm.ask()
        z = problem.bounds[0] + (problem.bounds[1] - problem.bounds[0]) * x.double()
        y, c = problem.evaluate_true(z), -problem.evaluate_slack_true(z)
        algorithm.tell(x, Evaluations(y[:, None], c, {}, ("",) * len(x)))
        feasible = (c <= 0).all(dim=1)
        kept += feasible.tolist()
        best = min([best, *y[feasible].tolist()])
    print("first feasible", kept.index(True), "best", best)
    assert not any(kept[: algorithm.design_size])
    assert 0.012665 <= best < 1.03 * 0.012665
