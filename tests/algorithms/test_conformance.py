"""Every registered algorithm passes the checks that are shipped to authors, and what else is asked of the built-in."""

import functools

import pytest
import torch

from snnbench import registry
from snnbench.testing import CHECKS, Subject, judge
from snnbench.testing.memory import measure

NAMES = list(registry.entries("algorithm"))
EVERY = pytest.mark.parametrize("name", NAMES)

# Memory peaks that are promised, in populations.
POPULATIONS = dict.fromkeys(("de", "cade", "cade-released"), 3.5)

# With CR about 1e-5, most trials are copies of their targets.
COPIES = ("cade-released",)


@functools.cache
def subject(name):
    """One for all tests of an algorithm: they share what they find out."""
    return Subject(name, populations=POPULATIONS.get(name), seconds=0.15)


@pytest.fixture(scope="module")
def measured():
    """Memory of all that are asked for, in one process."""
    measure([(name, {}) for name in NAMES])


def test_the_roster():
    assert set(NAMES) >= {"random", "de", "cade", "cade-released", "cma-es", "sep-cma-es"}


@pytest.mark.parametrize("check", CHECKS)
@EVERY
def test_conforms(request, name, check):
    judge(subject(name), check)


@EVERY
def test_begins_with_the_initial_design(toys, name):
    for offered in (8, 1):
        task = toys["task"](offered=offered, budget=60)
        points, _ = toys["drive"](toys["make"](name, task), asks=3)
        design = task.initial(8)
        assert torch.equal(points[:1], design[:1])


@pytest.mark.parametrize("name", ["de", "cade", "cma-es", "sep-cma-es"])
def test_beats_random_search_on_the_sphere(toys, name):
    task = toys["task"](budget=1200, offered=0)
    ours = [float(toys["drive"](toys["make"](name, task, seed))[1].min()) for seed in range(4)]
    chance = [float(toys["drive"](toys["make"]("random", task, seed))[1].min()) for seed in range(4)]
    assert max(ours) < min(chance)
