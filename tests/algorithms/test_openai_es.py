"""OpenAI-ES: Adam on a search gradient, and the sampling that it shares with PGPE."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from snnbench.algorithms.evolution_strategies import centred_ranks, sum_of_squares
from snnbench.algorithms.evolution_strategies import search_gradient as module
from snnbench.space import Real, RealVector, SearchSpace

BOTH = pytest.mark.parametrize("name", ["openai-es", "pgpe"])


def estimate(algorithm, weights):
    """Sum of weights times noise over the pairs of the finished generation, (d,)."""
    total = torch.zeros(algorithm.task.space.dimension, dtype=torch.float64)
    for columns, rows in algorithm.blocks():
        total[columns] += sum(weight * row.double() for weight, row in zip(weights, rows, strict=True))
    return total


def begun(toys, name, task, seed=0, **overrides):
    """An algorithm whose initial design has been told."""
    algorithm = toys["make"](name, task, seed, **overrides)
    if len(task.initial(1)):
        x = algorithm.ask()
        algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
    return algorithm


def test_centred_ranks():
    values = torch.tensor([3.0, -1.0, np.inf, 2.0, np.inf], dtype=torch.float64)
    expected = 0.5 - (stats.rankdata(values.numpy()) - 1) / 4
    assert centred_ranks(values).tolist() == pytest.approx(expected.tolist())
    assert centred_ranks(torch.full((6,), torch.inf)).abs().max() == 0
    many = torch.randint(0, 9, (100,), generator=torch.Generator().manual_seed(0)).double()
    assert centred_ranks(many).tolist() == pytest.approx((0.5 - (stats.rankdata(many) - 1) / 99).tolist())
    assert float(centred_ranks(many).sum()) == pytest.approx(0, abs=1e-12)


def test_sum_of_squares_does_not_depend_on_threads():
    vector = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(sum_of_squares(vector))
    torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]
    assert found[0] == pytest.approx(float((vector.double() ** 2).sum()), rel=1e-9)


@BOTH
@pytest.mark.parametrize("block", [16, 100, 1 << 17])
def test_pairs_are_symmetric_and_their_noise_is_drawn_again(toys, name, block, monkeypatch):
    monkeypatch.setitem(module.BLOCK, "cpu", block * 10)
    algorithm = begun(toys, name, toys["task"](dimension=333, offered=3, half=50.0), population=20)
    x = algorithm.ask()
    assert x.shape == (20, 333)
    centre = algorithm.centre
    assert torch.allclose((x[0::2] + x[1::2]) / 2, centre.expand(10, -1), atol=1e-5)
    drawn = (x[0::2] - x[1::2]) / 2 / 100
    again = torch.cat([torch.stack(rows) for _, rows in algorithm.blocks()], dim=1)
    assert torch.allclose(drawn, again, atol=1e-6)
    assert stats.kstest((again / algorithm.step).flatten().numpy(), stats.norm.cdf).pvalue > 1e-3
    assert len(again.unique(dim=0)) == 10


@BOTH
def test_a_generation_in_batches_is_a_generation(toys, name, monkeypatch):
    """Where the candidates of a generation would not fit, it comes in batches, and the centre moves once."""
    monkeypatch.setattr(module, "NUMBERS", 100 * 2 * 4)
    algorithm = begun(toys, name, toys["task"](dimension=100, offered=3), population=22)
    start = algorithm.centre.clone()
    sizes = []
    for _ in range(3):
        assert torch.equal(algorithm.centre, start)
        x = algorithm.ask()
        sizes.append(len(x))
        drawn = (x[0::2] - x[1::2]) / 2 / 10
        number = algorithm.position // 8
        again = torch.cat([torch.stack(rows)[4 * number : 4 * number + 4] for _, rows in algorithm.blocks()], dim=1)
        assert torch.allclose(drawn, again, atol=1e-5)
        algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
    assert sizes == [8, 8, 6]
    assert not torch.equal(algorithm.centre, start)
    assert algorithm.generation == 1


@BOTH
def test_gradient_is_unbiased(toys, name):
    """On a quadratic, pairs of plain fitness differences give its exact gradient on average."""
    scales = torch.logspace(0, 2, 12, dtype=torch.float64)
    task = toys["task"](dimension=12, offered=1, half=50.0)
    algorithm = begun(toys, name, task, population=1000)
    gradient = (2 * scales * algorithm.centre.double()) * 100  # per width of the box
    estimates = []
    for _ in range(20):
        algorithm.position = 0
        x = algorithm.ask().double()
        fitness = (scales * x**2).sum(dim=1)
        weights = ((fitness[0::2] - fitness[1::2]) / 2 / 500 / algorithm.step**2).tolist()
        estimates.append(estimate(algorithm, weights))
    found = torch.stack(estimates)
    error = (found.mean(dim=0) - gradient) / (found.std(dim=0) / math.sqrt(20))
    assert float(error.abs().max()) < 4.5  # standard errors; t with 19 degrees of freedom, 12 coordinates
    assert float(torch.cosine_similarity(found.mean(dim=0), gradient, dim=0)) > 0.99


@BOTH
def test_gradient_of_ranks_points_downhill(toys, name):
    """With n pairs in d dimensions, the cosine of estimate and gradient is about sqrt(2/pi n / (d + n))."""
    d, pairs = 400, 200
    algorithm = begun(toys, name, toys["task"](dimension=d, offered=1, half=50.0), population=2 * pairs)
    x = algorithm.ask()
    utilities = centred_ranks(toys["sphere"](x))
    found = estimate(algorithm, (utilities[0::2] - utilities[1::2]).tolist())
    cosine = float(torch.cosine_similarity(found, -algorithm.centre.double(), dim=0))
    assert 0.4 < cosine < 0.7


def gradients(toys, algorithm, generations, decay=0.0):
    """Runs, and yields the gradient of each generation as worked out from its candidates, and the centre after it."""
    for _ in range(generations):
        x, centre = algorithm.ask(), algorithm.centre.double().numpy().copy()
        fitness = toys["sphere"](x)
        utilities = centred_ranks(fitness).numpy()
        noise = (x[0::2].double() - x[1::2].double()).numpy() / 2 / (algorithm.step * 100)
        algorithm.tell(x, toys["evaluations"](fitness))
        ascent = ((utilities[0::2] - utilities[1::2])[:, None] * noise).sum(axis=0) / len(x)
        yield decay * centre - ascent, algorithm.centre.double().numpy()


def test_adam(toys):
    """The centre moves by algorithm 1 of Kingma and Ba 2015 on the gradient of the ranks."""
    algorithm = begun(
        toys,
        "openai-es",
        toys["task"](dimension=50, offered=2, half=50.0),
        population=12,
        weight_decay=0.02,
        sigma_spread=0.1,
    )
    theta = start = algorithm.centre.double().numpy().copy()
    mean = square = np.zeros(50)
    rate = algorithm.parameters.learning_rate * algorithm.step * 100
    for t, (gradient, centre) in enumerate(gradients(toys, algorithm, 6, 0.02), start=1):
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        theta = theta - rate * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        assert centre == pytest.approx(theta, abs=2e-3)
    assert np.abs(theta - start).max() > 1


@pytest.mark.slow  # torch.optim takes many seconds to import what it does not need
def test_adam_is_torch_adam(toys):
    algorithm = begun(
        toys, "openai-es", toys["task"](dimension=50, offered=2, half=50.0), population=12, sigma_spread=0.1
    )
    theta = algorithm.centre.double().clone().requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=algorithm.parameters.learning_rate * algorithm.step * 100, eps=1e-8)
    for gradient, centre in gradients(toys, algorithm, 6):
        theta.grad = torch.from_numpy(gradient)
        optimizer.step()
        assert centre == pytest.approx(theta.detach().numpy(), abs=2e-3)


@BOTH
def test_starts_from_the_best_of_the_design_at_its_scale(toys, name):
    task = toys["task"](dimension=500, offered=5, half=1.0)
    design = task.initial(5)
    algorithm = toys["make"](name, task, sigma_spread=0.02)
    assert torch.equal(algorithm.ask(), design)
    assert algorithm.recommend() is None
    algorithm.tell(design, toys["evaluations"]([5.0, 4.0, np.inf, 0.5, 2.0]))
    assert torch.equal(algorithm.centre, design[3])
    spread = float(((design - design[3]).double() ** 2).sum() / (4 * 500)) ** 0.5
    drawn = (algorithm.ask() - design[3]).std()
    assert float(drawn) == pytest.approx(0.02 * spread, rel=0.05)


@BOTH
def test_coordinates_of_different_widths_are_treated_alike(toys, name):
    narrow = SearchSpace([RealVector("a", 4, -1.0, 1.0), RealVector("b", 4, -1000.0, 1000.0)])
    same = SearchSpace([RealVector("a", 8, -1.0, 1.0)])
    found = []
    for space, scale in ((narrow, torch.tensor([1.0] * 4 + [1000.0] * 4)), (same, torch.ones(8))):
        task = toys["task"](space=space, offered=0, budget=400)
        points, _ = toys["drive"](toys["make"](name, task), lambda x, s=scale: toys["sphere"](x / s))
        found.append(points / scale)
    assert torch.allclose(*found, atol=1e-3)


@BOTH
def test_plateau_and_failures_do_not_move_the_centre(toys, name):
    for value in (0.0, np.inf):
        algorithm = begun(toys, name, toys["task"](offered=3))
        start = algorithm.centre.clone()
        for _ in range(5):
            x = algorithm.ask()
            algorithm.tell(x, toys["evaluations"](np.full(len(x), value)))
        assert torch.equal(algorithm.centre, start)


@BOTH
def test_centre_stays_in_the_box(toys, name):
    space = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(6)])
    corner = torch.tensor([0.0, 1.0] * 3)
    task = toys["task"](space=space, offered=0, budget=3000)
    algorithm = toys["make"](name, task)
    _, values = toys["drive"](algorithm, lambda x: toys["sphere"](x - corner))
    assert values.min() < 1e-3
    recommended = algorithm.recommend()
    assert ((recommended >= 0) & (recommended <= 1)).all()
    assert float((recommended - corner).abs().max()) < 0.15


@BOTH
@pytest.mark.parametrize("condition", [1.0, 1e4])
def test_beats_random_search_in_1000_dimensions(toys, name, condition):
    scales = torch.logspace(0, math.log10(condition), 1000, dtype=torch.float64)
    task = toys["task"](dimension=1000, offered=0, budget=2000)

    def ellipsoid(x):
        return (scales * x.double() ** 2).sum(dim=1)

    for seed in range(2):
        ours = toys["drive"](toys["make"](name, task, seed), ellipsoid)[1].min()
        chance = toys["drive"](toys["make"]("random", task, seed), ellipsoid)[1].min()
        assert ours < 0.9 * chance


@BOTH
def test_memory_in_two_million_dimensions(toys, name):
    """Beside the candidates: a handful of vectors, whatever the number of pairs."""
    d, size = 2_000_000, 10
    task = toys["task"](dimension=d, offered=1)
    algorithm = begun(toys, name, task, population=size)
    held = [value for value in vars(algorithm).values() if isinstance(value, torch.Tensor)]
    assert sum(value.untyped_storage().nbytes() for value in held) <= 3 * 4 * d + 4096
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        x = algorithm.ask()
        algorithm.tell(x, toys["evaluations"](torch.arange(size)))
    level = highest = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            level += event.nbytes()
            highest = max(highest, level)
    candidates = size * d * 4
    assert candidates <= highest < candidates + 3 * 4 * d
