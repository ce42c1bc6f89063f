"""qParEGO: a scalarisation of its own for every candidate, and more hypervolume than chance."""

import moocore
import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import Real, SearchSpace


def make(name, dimension, budget, seed=0, constraints=0, objectives=2, **overrides):
    space = SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(dimension)])
    names = tuple(f"f{i}" for i in range(objectives))
    task = Task(space, names, budget, lambda n: torch.empty(0, dimension), constraints=constraints)
    cls = registry.load("algorithm", name)
    return cls(task, resolve(cls.Parameters, overrides, name), seed)


def hypervolume(algorithm, problem, budget):
    """Of the feasible points of a run on one of BoTorch's minimisation problems."""
    goals, limits, done = [], [], 0
    while done < budget:
        x = algorithm.ask()[: budget - done]
        z = problem.bounds[0] + (problem.bounds[1] - problem.bounds[0]) * x.double()
        y, c = problem.evaluate_true(z), -problem.evaluate_slack_true(z)
        algorithm.tell(x, Evaluations(y, c, {}, ("",) * len(x)))
        goals.append(y)
        limits.append(c)
        done += len(x)
    kept = (torch.cat(limits) <= 0).all(dim=1)
    return float(moocore.hypervolume(torch.cat(goals)[kept].numpy(), ref=problem.ref_point.numpy()))


def test_every_candidate_has_its_own_weights(monkeypatch):
    from botorch.acquisition.multi_objective import parego

    drawn, real = [], parego.sample_simplex
    monkeypatch.setattr(parego, "sample_simplex", lambda **k: drawn.append(real(**k)) or drawn[-1])
    algorithm = make("qparego", 2, 20, batch=3, restarts=1, raw_samples=8, samples=8)
    for _ in range(2):
        x = algorithm.ask()
        y = torch.stack([(x.double() - t).square().sum(1) for t in (0.2, 0.8)], dim=1)
        algorithm.tell(x, Evaluations(y, torch.zeros(len(x), 0).double(), {}, ("",) * len(x)))
    assert len(drawn) == 3
    assert len(np.unique([w.flatten()[0].item() for w in drawn])) == 3


@pytest.mark.parametrize("name", [pytest.param("qparego", marks=pytest.mark.slow), "qnehvi"])
def test_the_front_between_two_targets(name):
    """The Pareto set of the distances from (0.2, 0.2) and (0.8, 0.8) is the line between them."""
    algorithm = make(name, 2, 40, initial_points=6, restarts=1, raw_samples=32, samples=16)
    for _ in range(9):
        x = algorithm.ask()
        y = torch.stack([(x.double() - t).square().sum(1) for t in (0.2, 0.8)], dim=1)
        algorithm.tell(x, Evaluations(y, torch.zeros(len(x), 0).double(), {}, ("",) * len(x)))
    off = (algorithm.x[:, 0] - algorithm.x[:, 1]).abs()
    assert off[:6].median() > 0.1
    assert off[-6:].median() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qparego", "qnehvi"])
def test_more_hypervolume_than_chance(name):
    """C2-DTLZ2 as in BoTorch's tutorial: 10 points and 40 candidates.

    Chance is cheap, so that two runs of ours are enough beside forty of it: p = 0.0012 if both are better than all
    forty; p < 0.01 allows three pairs the other way round.
    """
    from botorch.test_functions.multi_objective import C2DTLZ2

    problem = C2DTLZ2(dim=4, num_objectives=2)
    chance = [hypervolume(make("sobol", 4, 50, seed, 1), problem, 50) for seed in range(40)]
    assert 0 < min(chance) < max(chance) < problem.max_hv  # a wrong reference point makes all of them 0, or too large
    ours = [hypervolume(make(name, 4, 50, seed, 1), problem, 50) for seed in range(2)]
    print(name, sorted(ours), sorted(chance), problem.max_hv)
    assert mannwhitneyu(ours, chance, alternative="greater").pvalue < 0.01
