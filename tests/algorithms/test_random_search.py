"""Random search: the design once, then uniform points."""

import pytest
import torch
from scipy import stats


def test_uniform_after_the_design(toys):
    task = toys["task"](dimension=5, budget=2008, offered=8)
    points, _ = toys["drive"](toys["make"]("random", task))
    assert torch.equal(points[:8], task.initial(8))
    assert stats.kstest(points[8:].flatten().numpy(), stats.uniform(-5, 10).cdf).pvalue > 1e-3
    assert len(points.unique(dim=0)) == 2008


@pytest.mark.parametrize(("dimension", "batch", "expected"), [(10, None, 64), (10, 7, 7), (10_000_000, None, 1)])
def test_batches_are_bounded(toys, dimension, batch, expected):
    algorithm = toys["make"]("random", toys["task"](dimension=dimension, offered=0), batch=batch)
    assert len(algorithm.ask()) == expected


def test_takes_any_objectives_and_constraints(toys):
    assert toys["make"]("random", toys["task"]()).capabilities.obstacle(10, 4, 3) is None
