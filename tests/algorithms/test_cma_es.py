"""CMA-ES: plain pycma inside the box, and what is ours around it."""

import cma
import numpy as np
import pytest
import torch

from snnbench.algorithms.cma_es import reflect
from snnbench.space import Real, SearchSpace

BOTH = pytest.mark.parametrize("name", ["cma-es", "sep-cma-es"])


@BOTH
@pytest.mark.parametrize("offered", [0, 6])
def test_is_pycma(toys, name, offered):
    """Given the same random stream, start and step size, pycma itself draws the same points."""
    task = toys["task"](dimension=12, budget=900, offered=offered, half=50.0)
    points, values = toys["drive"](toys["make"](name, task, seed=7, sigma_box=0.02, sigma_spread=0.1))
    rng = np.random.Generator(np.random.SFC64(7))
    if offered:
        design = task.initial(6).double().numpy()
        first = (design**2).sum(axis=1).argmin()
        step = 0.1 * np.sqrt(((design - design[first]) ** 2).mean(axis=1).sum() / 5)
        mean = design[first]
    else:
        mean, step = -50 + 100 * rng.random(12), 2.0
    es = cma.CMAEvolutionStrategy(
        mean,
        step,
        {
            "seed": np.nan,
            "randn": lambda *shape: rng.standard_normal(shape),
            "verbose": -9,
            "CMA_diagonal": name == "sep-cma-es",
            "maxstd": 100 / 3,
        },
    )
    assert es.popsize == 11
    done = offered
    inside = 0
    while done + 11 <= 900:
        drawn = es.ask()
        told = [float(value) for value in values[done : done + 11]]
        for ours, theirs in zip(points[done : done + 11].numpy(), drawn, strict=True):
            if (np.abs(theirs) < 50).all():
                inside += 1
                assert np.array_equal(ours, theirs.astype(np.float32))
        es.tell(drawn, told)
        done += 11
    assert inside > 700


def test_reflection():
    lower, upper = np.array(-1.0), np.array(3.0)
    x = np.array([-1.0, 3.0, 0.5, -1.5, 3.5, 7.5, -6.0, 11.25])
    assert reflect(x, lower, upper) == pytest.approx([-1.0, 3.0, 0.5, -0.5, 2.5, -0.5, 2.0, 2.75])
    inside = np.array([0.1, 0.2])
    assert reflect(inside, lower, upper) is inside
    wide = np.random.default_rng(0).normal(scale=100, size=1000)
    assert (np.abs(reflect(wide, lower, upper) - 1) <= 2).all()
    box = reflect(np.array([-0.25, 12.0]), np.array([0.0, 0.0]), np.array([1.0, 10.0]))
    assert box == pytest.approx([0.25, 8.0])


@BOTH
def test_optimum_on_the_surface_of_the_box(toys, name):
    space = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(8)])
    corner = torch.tensor([0.0, 1.0] * 4)
    task = toys["task"](space=space, offered=0, budget=1500)
    _, values = toys["drive"](toys["make"](name, task), lambda x: toys["sphere"](x - corner))
    assert values.min() < 1e-6


@BOTH
def test_goes_on_after_convergence(toys, name):
    task = toys["task"](dimension=2, budget=2500, offered=2)
    algorithm = toys["make"](name, task)
    points, values = toys["drive"](algorithm)
    assert len(points) == 2500
    assert values.min() < 1e-8
    assert algorithm.restarts >= 2
    restored = toys["make"](name, task, seed=1)
    restored.load_state_dict(algorithm.state_dict())
    assert restored.restarts == algorithm.restarts
    assert torch.equal(restored.ask(), algorithm.ask())


@BOTH
def test_flat_objective(toys, name):
    points, _ = toys["drive"](toys["make"](name, toys["task"](budget=400, offered=4)), lambda x: torch.zeros(len(x)))
    assert len(points.unique(dim=0)) > 350


def test_starts_from_the_best_of_the_design_at_its_scale(toys):
    task = toys["task"](dimension=200, budget=100, offered=8, half=1.0)
    design = task.initial(8)
    algorithm = toys["make"]("sep-cma-es", task, sigma_spread=0.1)
    algorithm.ask()
    algorithm.tell(design, toys["evaluations"]([5.0, 4.0, 3.0, np.inf, 0.5, 2.0, 1.0, 6.0]))
    drawn = algorithm.ask()
    step = (drawn - design[4]).std()
    spread = (design - design[4]).pow(2).sum() / (7 * 200)
    assert float(step) == pytest.approx(0.1 * float(spread.sqrt()), rel=0.1)


@pytest.mark.parametrize(
    ("name", "dimension", "fits"),
    [
        ("cma-es", 300, True),
        ("cma-es", 301, False),
        ("sep-cma-es", 20_000, True),
        ("sep-cma-es", 10_000_000, False),
        ("cma-es", 1, False),
    ],
)
def test_dimensions(name, dimension, fits):
    from snnbench import registry

    obstacle = registry.load("algorithm", name).capabilities.obstacle(dimension, 1)
    assert (obstacle is None) == fits


def test_large_dimension(toys):
    task = toys["task"](dimension=20_000, budget=100, offered=8)
    points, values = toys["drive"](toys["make"]("sep-cma-es", task, sigma_spread=0.01))
    assert points.shape == (100, 20_000)
    assert values.isfinite().all()
