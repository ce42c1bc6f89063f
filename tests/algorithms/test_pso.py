"""Particle swarm: its equations, neighbours, the box, and pymoo's swarm."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from snnbench.algorithm import Task
from snnbench.algorithms import pso as module
from snnbench.space import RealVector, SearchSpace


def begun(toys, task, **overrides):
    algorithm = toys["make"]("pso", task, **overrides)
    x = algorithm.ask()
    algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
    return algorithm


@pytest.mark.parametrize("topology", ["ring", "global"])
@pytest.mark.parametrize("block", [7, 64, 1 << 16])
def test_velocities(toys, topology, block, monkeypatch):
    """Every new velocity lies between what r1 = r2 = 0 and r1 = r2 = 1 give, and is uniform in between."""
    monkeypatch.setitem(module.BLOCK, "cpu", block)
    space = SearchSpace([RealVector("w", 40, -1e6, 1e6)])  # so wide that nothing reaches its surface
    task = Task(space, ("f",), 500, lambda n: torch.randn(30, 40, generator=torch.Generator().manual_seed(0))[:n])
    algorithm = begun(toys, task, topology=topology)
    pulls = []
    for _ in range(3):
        x, v, best = algorithm.x.clone(), algorithm.v.clone(), algorithm.best.clone()
        leaders = algorithm.leaders()
        chi = 2 / (4.1 - 2 + math.sqrt(4.1**2 - 4 * 4.1))
        new = algorithm.ask()
        assert torch.allclose(new, x + algorithm.v)
        pull = (algorithm.v / chi - v).double()
        own, social = 2.05 * (best - x).double(), 2.05 * (best[leaders] - x).double()
        low, high = own.clamp(max=0) + social.clamp(max=0), own.clamp(min=0) + social.clamp(min=0)
        slack = 1e-5 * algorithm.x.abs().max()
        assert (pull >= low - slack).all()
        assert (pull <= high + slack).all()
        alone = (own.abs() < 1e-9) & (social.abs() > 1)
        pulls.append((pull / social)[alone])
        algorithm.tell(new, toys["evaluations"](toys["sphere"](new)))
    assert stats.kstest(torch.cat(pulls).numpy(), stats.uniform.cdf).pvalue > 1e-3
    assert chi == pytest.approx(0.7298, abs=1e-4)


def test_leaders(toys):
    algorithm = begun(toys, toys["task"](offered=6))
    algorithm.fitness = torch.tensor([5.0, 1.0, 2.0, 2.0, np.inf, np.inf], dtype=torch.float64)
    assert algorithm.leaders() == [1, 1, 1, 3, 3, 0]
    everyone = begun(toys, toys["task"](offered=6), topology="global")
    everyone.fitness = algorithm.fitness
    assert everyone.leaders() == [1] * 6


def test_best_points_are_the_best_of_each_particle(toys):
    algorithm = toys["make"]("pso", toys["task"](offered=8))
    seen, values = [], []
    for _ in range(15):
        x = algorithm.ask()
        seen.append(x.clone())
        values.append(toys["sphere"](x))
        algorithm.tell(x, toys["evaluations"](values[-1]))
    lowest = torch.stack(values).argmin(dim=0)
    for particle, generation in enumerate(lowest.tolist()):
        assert torch.equal(algorithm.best[particle], seen[generation][particle])


def test_first_velocities_are_half_differences(toys):
    algorithm = begun(toys, toys["task"](offered=9))
    x, v = algorithm.x, algorithm.v
    for particle in range(9):
        distance = (x - (x[particle] + 2 * v[particle])).abs().max(dim=1).values
        assert float(distance.min()) < 1e-4
        assert int(distance.argmin()) != particle


def test_stops_at_the_surface_of_the_box(toys):
    space = SearchSpace([RealVector("w", 12, -1.0, 1.0)])
    algorithm = begun(toys, toys["task"](space=space, offered=20))
    algorithm.v.fill_(0.0)
    algorithm.v[3, 4], algorithm.v[3, 5] = 50.0, -50.0
    x = algorithm.ask()
    assert (x.abs() <= 1).all()
    assert (float(x[3, 4]), float(x[3, 5])) == (1.0, -1.0)
    assert (float(algorithm.v[3, 4]), float(algorithm.v[3, 5])) == (0.0, 0.0)
    inside = x.abs() < 1
    assert (algorithm.v[inside] != 0).float().mean() > 0.5


def test_three_populations(toys):
    """Positions, velocities and best points; a move allocates blocks only."""
    n, d = 6, 400_000
    algorithm = begun(toys, toys["task"](dimension=d, offered=n))
    held = [value for value in vars(algorithm).values() if isinstance(value, torch.Tensor)]
    assert sum(value.untyped_storage().nbytes() for value in held) <= 3 * n * d * 4 + 4096
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        algorithm.ask()
    level = highest = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            level += event.nbytes()
            highest = max(highest, level)
    assert 0 < highest < n * d * 4 / 4


def sphere(x):
    return (x**2).sum(axis=1)


def ellipsoid(x):
    return (np.logspace(0, 6, x.shape[1]) * x**2).sum(axis=1)


def rastrigin(x):
    return (x**2 - 10 * np.cos(2 * np.pi * x) + 10).sum(axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("function", [sphere, ellipsoid, rastrigin])
def test_as_good_as_pymoos(toys, function):
    """Global best, the same constants, start and budget, 15 seeds: no significant difference in final fitness."""
    from pymoo.algorithms.soo.nonconvex.pso import PSO
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize

    d, n, budget = 10, 25, 2500
    shift = np.linspace(-2, 2, d)

    class Shifted(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=d, n_obj=1, xl=-5.0, xu=5.0)

        def _evaluate(self, x, out, *args, **kwargs):
            out["F"] = function(x - shift)

    results = []
    space = SearchSpace([RealVector("w", d, -5.0, 5.0)])
    for seed in range(15):
        start = space.sample(n, torch.Generator().manual_seed(seed))
        task = Task(space, ("f",), budget, lambda k, start=start: start[:k])
        ours = toys["drive"](
            toys["make"]("pso", task, seed, topology="global", population=n),
            lambda x: torch.from_numpy(function(x.double().numpy() - shift)),
        )[1]
        theirs = PSO(
            pop_size=n, sampling=start.double().numpy(), adaptive=False, w=0.72984, c1=1.49617, c2=1.49617,
            initial_velocity="zero", max_velocity_rate=1.0, pertube_best=False,
        )  # fmt: skip
        found = minimize(Shifted(), theirs, ("n_eval", budget), seed=seed)
        results.append((float(ours.min()), float(found.F[0])))
    ours, theirs = np.maximum(np.array(results).T, 1e-12)
    print(function.__name__, np.median(ours), np.median(theirs))
    assert stats.mannwhitneyu(ours, theirs).pvalue > 0.05 / 3
