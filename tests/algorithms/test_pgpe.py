"""PGPE: ClipUp and step sizes per coordinate. What it shares with OpenAI-ES is in test_openai_es.py."""

import numpy as np
import pytest
import torch

from snnbench.algorithms.evolution_strategies import centred_ranks


def begun(toys, task, **overrides):
    algorithm = toys["make"]("pgpe", task, **overrides)
    x = algorithm.ask()
    algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
    return algorithm


def test_the_paper_in_plain_numpy(toys):
    """Centre and step sizes follow Sehnke et al. 2010 and Toklu et al. 2020, written out for whole generations."""
    d, width = 40, 100.0
    algorithm = begun(toys, toys["task"](dimension=d, offered=2, half=50.0), population=14)
    centre = algorithm.centre.double().numpy() / width
    sigma, velocity = np.full(d, algorithm.step), np.zeros(d)
    fastest = algorithm.step * np.sqrt(d) / 15
    shortened = 0
    for _ in range(12):
        x = algorithm.ask()
        fitness = toys["sphere"](x)
        noise = (x[0::2].double() - x[1::2].double()).numpy() / 2 / width
        plus, minus = centred_ranks(fitness).numpy().reshape(-1, 2).T
        uphill = ((plus - minus)[:, None] / 2 * noise).mean(axis=0)
        wider = ((plus + minus)[:, None] / 2 * (noise**2 - sigma**2) / sigma).mean(axis=0)
        velocity = 0.9 * velocity + fastest / 2 * uphill / np.linalg.norm(uphill)
        if np.linalg.norm(velocity) > fastest:
            velocity *= fastest / np.linalg.norm(velocity)
            shortened += 1
        centre = centre + velocity
        sigma = sigma + np.clip(0.1 * wider, -0.2 * sigma, 0.2 * sigma)
        algorithm.tell(x, toys["evaluations"](fitness))
        assert algorithm.centre.double().numpy() / width == pytest.approx(centre, abs=2e-5)
        assert algorithm.sigma.double().numpy() == pytest.approx(sigma, rel=1e-3)
    assert shortened > 2
    assert sigma.std() > 0.01 * sigma.mean()


def test_step_sizes_adapt_to_each_coordinate(toys):
    """Where one half of the coordinates is 100 times steeper, its step sizes end up smaller."""
    task = toys["task"](dimension=20, offered=0, budget=20_000)
    scales = torch.tensor([100.0] * 10 + [1.0] * 10)
    algorithm = toys["make"]("pgpe", task, population=100)
    toys["drive"](algorithm, lambda x: toys["sphere"](x * scales))
    steep, flat = algorithm.sigma[:10].mean(), algorithm.sigma[10:].mean()
    assert steep < 0.7 * flat


def test_limits_of_step_sizes(toys):
    """No change beyond a fifth in one generation, and never beyond a third of the box."""
    algorithm = begun(toys, toys["task"](offered=2), population=20, sigma_rate=1000.0)
    widest = 0.0
    for _ in range(40):
        before = algorithm.sigma.clone()
        x = algorithm.ask()
        algorithm.tell(x, toys["evaluations"](-((x - algorithm.centre) ** 2).sum(dim=1)))
        ratio = algorithm.sigma / before
        assert (ratio < 1.2001).all()
        assert (ratio > 0.7999).all()
        widest = max(widest, float(algorithm.sigma.max()))
    assert widest == pytest.approx(1 / 3)
