"""Every registered algorithm passes the checks that are shipped to authors, and what else is asked of the built-in."""

import dataclasses
import functools

import pytest

from snnbench import registry
from snnbench.testing import CHECKS, Subject, judge, outcome
from snnbench.testing.memory import measure

NAMES = list(registry.entries("algorithm"))
EVERY = pytest.mark.parametrize("name", NAMES)

# Memory peaks that are promised, in populations. Of the others it is only reported: `pytest -m slow -k memory -rP`.
POPULATIONS = dict.fromkeys(("de", "cade", "cade-released"), 4.0)


# Seconds per generation. They share models and loop, so one stands for all in the quick tests, and of it the first
# checks (scbo, which is faster, does all); test_bayesian.py has the others make a few candidates in every situation.
FIRST = ("declarations", "candidates", "initial_design", "mixed_space")
QUICK_CHECKS = {"gp-ei": FIRST, "qparego": FIRST[:1], "qnehvi": FIRST[:1], "turbo": FIRST[:1]}

# Less work for Gaussian processes, where they have these parameters.
QUICK = {"restarts": 1, "raw_samples": 16, "samples": 16, "candidates": 50}


@functools.cache
def subject(name):
    """One for all tests of an algorithm: they share what they find out."""
    fields = {field.name for field in dataclasses.fields(registry.load("algorithm", name).Parameters)}
    settings = {key: value for key, value in QUICK.items() if key in fields}
    return Subject(name, settings, populations=POPULATIONS.get(name), seconds=0.15)


def test_the_roster():
    assert set(NAMES) >= {"random", "de", "cade", "cade-released", "cma-es", "sep-cma-es"}


def pairs():
    """Every algorithm with every check; what takes long with models of the whole record is marked slow."""
    for name in NAMES:
        for check in CHECKS:
            late = check not in QUICK_CHECKS.get(name, CHECKS)
            if check != "memory":
                yield pytest.param(name, check, marks=[pytest.mark.slow] if late else [], id=f"{name}-{check}")


@pytest.mark.parametrize(("name", "check"), list(pairs()))
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


@pytest.mark.parametrize("name", [name for name in NAMES if "initial_design" in QUICK_CHECKS.get(name, CHECKS)])
def test_begins_with_the_initial_design(name):
    assert outcome(subject(name), "initial_design").reason.endswith("points evaluated first")


@pytest.mark.parametrize("name", ["de", "cade", "cma-es", "sep-cma-es"])
def test_beats_random_search_on_the_sphere(toys, name):
    task = toys["task"](budget=1200, offered=0)
    ours = [float(toys["drive"](toys["make"](name, task, seed))[1].min()) for seed in range(4)]
    chance = [float(toys["drive"](toys["make"]("random", task, seed))[1].min()) for seed in range(4)]
    assert max(ours) < min(chance)
