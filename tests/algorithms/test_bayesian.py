"""What the Bayesian optimizers share: the unit box, outcomes, models, isolation, pending candidates, saved states."""

import json
import math
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from scipy.stats import norm, rankdata

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.algorithms.bayesian import acquisition, gaussian_process, outcomes
from snnbench.algorithms.bayesian.gaussian_process import LOCAL, GaussianProcess, dimension_scaled
from snnbench.algorithms.bayesian.isolation import isolated
from snnbench.algorithms.bayesian.unit_box import UnitBox
from snnbench.parameters import resolve
from snnbench.space import Categorical, Integer, Real, RealVector, SearchSpace

SMALL = {"restarts": 1, "raw_samples": 8, "samples": 8, "initial_points": 5}
REGION = {"candidates": 40, "initial_points": 5}
ALL = {"gp-ei": SMALL, "qparego": SMALL, "qnehvi": SMALL, "turbo": REGION, "scbo": REGION, "tpe": {"startup": 5}}
SEVERAL = ("qparego", "qnehvi")
CONSTRAINED = ("gp-ei", "qparego", "qnehvi", "scbo", "tpe")
EVERY = pytest.mark.parametrize("name", list(ALL))

MIXED = SearchSpace(
    [
        Real("lr", 1e-4, 1, log=True),
        Integer("steps", 1, 8),
        Categorical("mode", ("a", "b", "c")),
        Integer("width", 1, 100, log=True),
    ]
)
CUBE = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(3)])


@pytest.fixture
def thorough():
    """Named by tests that need full optimizations."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch, request):
    """Few steps of every optimization within: bookkeeping is tested here, not the quality of maxima."""
    if "thorough" not in request.fixturenames:
        monkeypatch.setattr(acquisition, "STEPS", 2)
        monkeypatch.setattr(acquisition, "ROUNDS", 2)
        monkeypatch.setattr(gaussian_process, "STEPS", 4)


def make_task(name, space=MIXED, budget=40, constraints=0, offered=0, **settings):
    def initial(n):
        return space.sample(min(n, offered), torch.Generator().manual_seed(99))

    objectives = ("f", "g") if name in SEVERAL else ("f",)
    return Task(space, objectives, budget, initial, constraints=constraints, **settings)


def make(name, task, seed=0, **overrides):
    cls = registry.load("algorithm", name)
    return cls(task, resolve(cls.Parameters, ALL[name] | overrides, name), seed)


def evaluate(task, x, numbers=None):
    """Distance from 0.3, and from 0.7; the first coordinate must be at least 0.5."""
    x = x.double()
    goals = [((x - target) ** 2).sum(dim=1) for target in (0.3, 0.7)]
    objectives = torch.stack(goals[: len(task.objectives)], dim=1)
    limits = (0.5 - x[:, :1]).repeat(1, task.constraints)
    return Evaluations(objectives, limits, {}, ("",) * len(x), np.array([] if numbers is None else numbers, np.int64))


def drive(algorithm, asks, change=lambda evaluations, number: evaluations):
    """Ask and tell so many times; all points."""
    points = []
    for number in range(asks):
        x = algorithm.ask()
        algorithm.task.space.clip_(x)
        points.append(x.clone())
        algorithm.tell(x, change(evaluate(algorithm.task, x), number))
    return torch.cat(points) if points else torch.empty(0)


def through_a_file(state):
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    plain = json.dumps({key: value for key, value in state.items() if key not in tensors}, allow_nan=False)
    return load(save({key: value.clone() for key, value in tensors.items()})) | json.loads(plain)


def test_unit_box():
    space = SearchSpace([*MIXED.variables, RealVector("w", 2, -5.0, 15.0)])
    box = UnitBox(space)
    x = space.sample(500, torch.Generator().manual_seed(0))
    unit = box.unit(x)
    assert unit.dtype == torch.float64
    assert box.categories == [2]
    assert box.ordinal == [0, 1, 3, 4, 5]
    back = box.native(unit, x)
    for ours, theirs in zip(space.decode(back).values(), space.decode(x).values(), strict=True):
        if ours.dtype.kind == "f":
            assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
        else:
            assert (ours == theirs).all()
    assert torch.equal(box.unit(back)[:, 1:4], unit[:, 1:4])
    assert len(unit[:, 1].unique()) == 8
    assert unit[:, 2].unique().tolist() == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    assert box.unit(torch.tensor([[0.0] * 4 + [5.0, -5.0]]))[0, 4:].tolist() == [0.5, 0.0]


def test_neighbours_are_the_next_integers():
    box = UnitBox(MIXED)
    point = box.snap_(torch.tensor([[0.4, 0.5, 0.5, 0.0]], dtype=torch.float64))[0]
    below, above = box.neighbours(point)
    assert MIXED.decode(below[None])["steps"] == MIXED.decode(point[None])["steps"] - 1
    assert MIXED.decode(above[None])["steps"] == MIXED.decode(point[None])["steps"] + 1
    assert (MIXED.decode(below[None])["width"], MIXED.decode(above[None])["width"]) == (1, 2)
    assert below[[0, 2]].tolist() == above[[0, 2]].tolist() == point[[0, 2]].tolist()


def test_copula_is_the_normal_quantile_of_the_rank():
    values = torch.tensor([3.0, -1.0, 3.0, 1e30, 0.0, 3.0], dtype=torch.float64)
    expected = norm.ppf((rankdata(values.numpy()) - 0.5) / 6)
    assert outcomes.copula(values).numpy() == pytest.approx(expected)
    assert outcomes.copula(torch.full((5,), 7.0)).tolist() == pytest.approx([0.0] * 5)


def test_failures_become_the_worst_finite_value():
    inf = math.inf
    values = torch.tensor([[1.0, inf, 2.0], [5.0, inf, inf], [inf, inf, -3.0]], dtype=torch.float64)
    assert outcomes.finite(values).tolist() == [[1.0, 1.0, 2.0], [5.0, 1.0, 2.0], [5.0, 1.0, -3.0]]


def test_standardised():
    values = torch.tensor([[1.0, 7.0], [3.0, 7.0]], dtype=torch.float64)
    standard = outcomes.Standard.of(values)
    assert standard.values.tolist() == [[-1.0, 0.0], [1.0, 0.0]]
    assert standard.zero.tolist() == [-2.0, -7.0]
    assert torch.equal(standard.original(standard.values), values)


def test_order():
    objective = torch.tensor([math.inf, 3.0, 1.0, 2.0, 0.0])
    limits = torch.tensor([[-1.0, -1.0], [-1.0, 0.0], [5.0, -1.0], [-1.0, -1.0], [0.5, 0.5]])
    assert outcomes.order(objective, limits).tolist() == [3, 1, 4, 2, 0]
    assert outcomes.violation(limits)[4] == pytest.approx(2 * math.log(1.5))


def data(dimension, n=25):
    x = torch.rand(n, dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (x - 0.4).square().sum(dim=1) + 0.3 * (9 * x[:, 0]).sin()
    return x, outcomes.Standard.of(y[:, None]).values[:, 0]


@pytest.mark.usefixtures("thorough")
def test_the_fit_is_botorchs():
    """Hyperparameters as fitted by BoTorch's default model, and the same posterior."""
    from botorch import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    x, y = data(4)
    ours = GaussianProcess(x, y, UnitBox(SearchSpace([Real(f"x{i}", 0, 1) for i in range(4)])), dimension_scaled(4))
    theirs = SingleTaskGP(x, y[:, None], outcome_transform=None)
    likelihood = ExactMarginalLogLikelihood(theirs.likelihood, theirs)
    with isolated(0):
        fit_gpytorch_mll(likelihood)
    theirs.eval()
    assert float(ours.theta[0]) == pytest.approx(float(theirs.mean_module.constant.detach()), abs=0.02)
    assert float(ours.theta[1].exp()) == pytest.approx(float(theirs.likelihood.noise), rel=0.02)
    assert ours.lengthscales.tolist() == pytest.approx(theirs.covar_module.lengthscale[0].tolist(), rel=0.02)
    grid = torch.rand(30, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mean, covariance = ours.posterior(grid)
    with torch.no_grad():
        posterior = theirs.posterior(grid).distribution
    assert mean.numpy() == pytest.approx(posterior.mean.numpy(), abs=0.01)
    assert covariance.numpy() == pytest.approx(posterior.covariance_matrix.numpy(), abs=0.01)


@pytest.mark.parametrize("prior", [LOCAL, dimension_scaled(3)])
@pytest.mark.parametrize("space", [MIXED, CUBE, SearchSpace([Categorical("a", "xyz"), Categorical("b", "xyz")])])
def test_kernels_are_gpytorchs(prior, space):
    """Likelihood, gradient at the fitted point, and posterior, against the same process in BoTorch."""
    from gpytorch.mlls import ExactMarginalLogLikelihood

    box = UnitBox(space)
    x = box.unit(space.sample(20, torch.Generator().manual_seed(0)))
    y = outcomes.Standard.of((x - 0.4).square().sum(dim=1, keepdim=True)).values[:, 0]
    ours = GaussianProcess(x, y, box, prior)
    theirs = ours.for_botorch()
    grid = box.unit(space.sample(10, torch.Generator().manual_seed(1)))
    mean, covariance = ours.posterior(grid)
    with isolated(0), torch.no_grad():
        posterior = theirs.posterior(grid).distribution
        theirs.train()
        likelihood = ExactMarginalLogLikelihood(theirs.likelihood, theirs)(theirs(x), y)
    assert mean.numpy() == pytest.approx(posterior.mean.numpy(), abs=1e-6)
    assert covariance.numpy() == pytest.approx(posterior.covariance_matrix.numpy(), abs=1e-6)
    if prior is LOCAL:  # the other has densities besides
        assert float(ours.loss(ours.theta)) == pytest.approx(-float(likelihood), abs=1e-6)


def test_posterior_samples_have_the_posteriors_moments():
    x, y = data(2, 8)
    model = GaussianProcess(x, y, UnitBox(SearchSpace(CUBE.variables[:2])), LOCAL)
    grid = torch.cat([x, torch.rand(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)])
    with isolated(0):
        samples = model.draw(grid, 20_000)
    mean, covariance = model.posterior(grid)
    assert samples.mean(dim=0).numpy() == pytest.approx(mean.numpy(), abs=0.03)
    assert torch.cov(samples.T).numpy() == pytest.approx(covariance.numpy(), abs=0.03)
    assert samples[:, :8].mean(dim=0).numpy() == pytest.approx(y.numpy(), abs=0.1)


def test_duplicates_and_constants_can_be_fitted():
    x = torch.full((30, 2), 0.5, dtype=torch.float64)
    for y in (torch.zeros(30, dtype=torch.float64), torch.randn(30, dtype=torch.float64)):
        model = GaussianProcess(x, y, UnitBox(SearchSpace(CUBE.variables[:2])), LOCAL)
        assert model.draw(x, 3).isfinite().all()


@EVERY
def test_global_state_is_untouched_and_unused(name, capfd):
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    with torch.no_grad():
        points = drive(make(name, make_task(name, CUBE)), 3)
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    assert (np.random.get_state()[1] == states[2][1]).all()  # noqa: NPY002
    random.seed(2)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert torch.equal(drive(make(name, make_task(name, CUBE)), 3), points)
    assert not torch.equal(make(name, make_task(name, CUBE), seed=1).ask(), points[:5])
    assert capfd.readouterr() == ("", "")


@EVERY
@pytest.mark.parametrize("offered", [0, 3])
def test_mixed_spaces(name, offered):
    """Integers and categories are at the centres of their bins; the problem's own points come first and unchanged."""
    task = make_task(name, MIXED, offered=offered)
    algorithm = make(name, task)
    points = drive(algorithm, 4)
    assert torch.equal(points[:offered], task.initial(offered))
    assert torch.equal(MIXED.encode(MIXED.decode(points[offered:]))[:, 1:], points[offered:, 1:])
    assert len(points.unique(dim=0)) == len(points)


@EVERY
@pytest.mark.parametrize("what", ["some", "constant", "infeasible", "everything"])
def test_survives_bad_values(name, what):
    def change(evaluations, number):
        if what == "constant":
            evaluations.objectives[:] = 3.0
        elif what == "infeasible":
            evaluations.constraints[:] = 1.0 + number
        elif what == "everything":
            evaluations.objectives[:], evaluations.constraints[:] = math.inf, math.inf
        elif number % 2:
            evaluations.objectives[:] = math.inf
        return evaluations

    task = make_task(name, constraints=2 * (name in CONSTRAINED))
    points = drive(make(name, task), 4, change)
    assert points.isfinite().all()
    assert len(points.unique(dim=0)) == len(points)


@EVERY
def test_saved_state_has_the_same_future(name):
    task = make_task(name, MIXED, constraints=name in CONSTRAINED, offered=2)
    for asks in (0, 1, 2):
        original = make(name, task, seed=3)
        drive(original, asks)
        restored = make(name, task, seed=4)
        restored.load_state_dict(through_a_file(original.state_dict()))
        assert torch.equal(drive(original, 2), drive(restored, 2))


@EVERY
def test_asynchronous(name):
    """Told out of order with others pending, saved with some pending, nothing asked twice."""
    task = make_task(name, constraints=name in CONSTRAINED, offered=2, asynchronous=True, workers=3)
    order = random.Random(5)

    def go(algorithm, pending, count, first):
        asked = []
        for number in range(first, first + count):
            x = algorithm.ask()
            assert x.shape == (1, 4)
            asked.append(x.clone())
            pending[number] = task.space.clip_(x.clone())
            if len(pending) == 3:
                done = order.choice(sorted(pending))
                x = pending.pop(done)
                algorithm.tell(x, evaluate(task, x, [done]))
        return torch.cat(asked)

    algorithm, pending = make(name, task), {}
    begun = go(algorithm, pending, 7, 0)
    assert len(pending) == 2
    assert len(begun.unique(dim=0)) == 7
    restored, copied, again = make(name, task, seed=8), dict(pending), order.getstate()
    restored.load_state_dict(through_a_file(algorithm.state_dict()))
    future = go(algorithm, pending, 3, 7)
    order.setstate(again)
    assert torch.equal(go(restored, copied, 3, 7), future)


@EVERY
def test_asked_for_more_than_was_told(name):
    """Every worker gets a point before the first result, even where the initial design is smaller than that."""
    task = make_task(name, asynchronous=True, workers=9)
    algorithm = make(name, task)
    points = torch.cat([algorithm.ask() for _ in range(9)])
    assert len(points.unique(dim=0)) == 9


@EVERY
def test_a_small_space_is_used_up(name):
    space = SearchSpace([Integer("a", 0, 2), Categorical("b", (True, False))])
    task = make_task(name, space, constraints=0)
    points = drive(make(name, task, **({"initial_points": 3} if name != "tpe" else {})), 7)
    assert points.isfinite().all()
    if name != "tpe":  # Optuna may ask for the same again
        assert len(points[:6].unique(dim=0)) == 6


@EVERY
def test_generations_and_short_ends(name):
    task = make_task(name, workers=3)
    algorithm = make(name, task)
    drive(algorithm, 2)
    x = algorithm.ask()
    assert len(x) == 3
    assert len(x.unique(dim=0)) == 3
    algorithm.tell(x[:1], evaluate(task, x[:1]))
    assert make(name, task, batch=2).parameters.batch == 2


@pytest.mark.parametrize("name", ["gp-ei", "turbo"])
def test_models_are_fitted_to_a_limited_number_of_points(name, monkeypatch):
    algorithm = make(name, make_task(name), observations=10, batch=4)
    sizes = []
    real = algorithm.models
    monkeypatch.setattr(algorithm, "models", lambda x, y, prior: sizes.append(len(x)) or real(x, y, prior))
    drive(algorithm, 5)
    assert sizes == [5, 9, 10, 10]


@pytest.mark.parametrize(("name", "limit"), [("gp-ei", 100), ("qparego", 100), ("qnehvi", 100), ("scbo", 200)])
def test_declared_dimension(name, limit):
    capabilities = registry.load("algorithm", name).capabilities
    objectives = 2 if name in SEVERAL else 1
    assert capabilities.obstacle(limit, objectives) is None
    assert f"limited to {limit} dimensions" in capabilities.obstacle(limit + 1, objectives)
