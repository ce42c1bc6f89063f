"""Every registered algorithm passes the checks that are shipped to authors, and what else is asked of the built-in."""

import functools

import pytest

from snnbench import registry
from snnbench.testing import CHECKS, Subject, judge, outcome
from snnbench.testing.memory import measure

NAMES = list(registry.entries("algorithm"))
EVERY = pytest.mark.parametrize("name", NAMES)

# Memory peaks that are promised, in populations. Of the others it is only reported: `pytest -m slow -k memory -rP`.
POPULATIONS = dict.fromkeys(("de", "cade", "cade-released"), 4.0)


@functools.cache
def subject(name):
    """One for all tests of an algorithm: they share what they find out."""
    return Subject(name, populations=POPULATIONS.get(name), seconds=0.15)


def test_the_roster():
    assert set(NAMES) >= {"random", "de", "cade", "cade-released", "cma-es", "sep-cma-es"}


@pytest.mark.parametrize("check", [check for check in CHECKS if check != "memory"])
@EVERY
def test_conforms(name, check):
    judge(subject(name), check)


@pytest.mark.parametrize("name", POPULATIONS)
def test_keeps_its_promise_of_memory(name):
    measure([subject(name) for name in POPULATIONS])  # all in one process: seconds saved for each
    judge(subject(name), "memory")


@pytest.mark.slow
@EVERY
def test_memory(name):
    judge(subject(name), "memory")
    print(name, outcome(subject(name), "memory").reason)


@EVERY
def test_begins_with_the_initial_design(name):
    assert outcome(subject(name), "initial_design").reason == "evaluated first"


@pytest.mark.parametrize("name", ["de", "cade", "cma-es", "sep-cma-es"])
def test_beats_random_search_on_the_sphere(toys, name):
    task = toys["task"](budget=1200, offered=0)
    ours = [float(toys["drive"](toys["make"](name, task, seed))[1].min()) for seed in range(4)]
    chance = [float(toys["drive"](toys["make"]("random", task, seed))[1].min()) for seed in range(4)]
    assert max(ours) < min(chance)
