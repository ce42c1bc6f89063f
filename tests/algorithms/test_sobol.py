"""Sobol points: the design once, then scipy's sequence, evenly."""

import numpy as np
import pytest
import torch
from scipy.stats import qmc

from snnbench import registry


def test_design_first_then_evenly(toys):
    task = toys["task"](dimension=5, budget=8 + 256, offered=8)
    points, _ = toys["drive"](toys["make"]("sobol", task))
    assert torch.equal(points[:8], task.initial(8))
    later = points[8:].double().numpy() / 10 + 0.5
    for column in later.T:  # 2^8 points of a (t, 5)-sequence: one in each of 2^8 equal intervals
        assert sorted(np.floor(column * 256).astype(int).tolist()) == list(range(256))
    chance = qmc.discrepancy(np.random.default_rng(0).random((256, 5)))
    assert qmc.discrepancy(later) < 0.3 * chance


def test_unscrambled_is_scipys_sequence(toys):
    task = toys["task"](dimension=7, budget=128, offered=0)
    points, _ = toys["drive"](toys["make"]("sobol", task, scramble=False))
    expected = qmc.Sobol(7, scramble=False, bits=30).random(128) * 10 - 5
    assert points.numpy() == pytest.approx(expected, abs=1e-5)


def test_seeds_scramble_differently(toys):
    task = toys["task"](dimension=3, budget=64, offered=0)
    first, second = (toys["drive"](toys["make"]("sobol", task, seed))[0] for seed in (1, 2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["sobol", "random"])
def test_does_not_wait_for_results(toys, name):
    """With everything pending, it goes on as it does otherwise, and a state saved then has the same future."""
    task = toys["task"](dimension=4, offered=6)
    waiting, told = toys["make"](name, task), toys["make"](name, task)
    for _ in range(3):
        x = told.ask()
        assert torch.equal(waiting.ask(), x)
        told.tell(x, toys["evaluations"](toys["sphere"](x)))
    restored = toys["make"](name, task, seed=9)
    restored.load_state_dict(waiting.state_dict())
    assert torch.equal(restored.ask(), waiting.ask())
    assert registry.load("algorithm", name).capabilities.obstacle(4, 3, 2, asynchronous=True) is None


def test_dimensions(toys):
    capabilities = registry.load("algorithm", "sobol").capabilities
    assert capabilities.max_dimension == torch.quasirandom.SobolEngine.MAXDIM
    task = toys["task"](dimension=capabilities.max_dimension, budget=2, offered=0)
    points, _ = toys["drive"](toys["make"]("sobol", task, batch=2))
    assert points.shape == (2, capabilities.max_dimension)
