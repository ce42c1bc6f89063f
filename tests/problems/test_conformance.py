"""Every registered problem declares itself properly, and the embedded ones pass all checks shipped to authors."""

import functools

import pytest

from snnbench import registry
from snnbench.testing import PROBLEM_CHECKS, ProblemSubject, judge

NAMES = list(registry.entries("problem"))

# Smaller than the frozen versions, so that preparation and thirty evaluations take seconds.
TINY_SEW = {"members": 2, "source_epochs": 1, "epochs": 1, "width": 2, "search_samples": 100}
TINY_ANN = {"epochs": 2, "train_samples": 200, "search_samples": 60, "calibration": 40}
TINY_CELL = {"train_samples": 80, "held_samples": 40, "short_epochs": 1, "width": 2, "hidden": 8, "score_batch": 8}
TINY_TRAINING = {"epochs": 1, "train_samples": 40, "held_samples": 40, "max_steps": 3}
SMALL: dict[str, dict[str, object]] = {
    "sew-digits": TINY_SEW,
    "sew-events": TINY_SEW,
    "soup-digits": TINY_SEW,
    "threshold-digits": TINY_ANN,
    "threshold-digits-attacked": TINY_ANN,
    "threshold-digits-hybrid": TINY_ANN | {"tune_epochs": 1, "tune_samples": 60},
    "silent-digits": {"level": "easy"},
    "silent-digits-stdp": {"level": "easy", "steps": 8, "labelled": 40},
    "snas-digits": TINY_CELL,
    "snas-digits-backward": TINY_CELL,
    "etc-digits": TINY_TRAINING | {"width": 2},
    "etc-events": TINY_TRAINING,
}


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    """One for all tests of a problem: it is prepared once."""
    folder = tmp_path_factory.mktemp("cache")
    return functools.cache(lambda name: ProblemSubject(name, SMALL[name], cache_dir=folder))


@pytest.mark.parametrize("name", NAMES)
def test_declarations(name, tmp_path):
    judge(ProblemSubject(name, cache_dir=tmp_path), "declarations")


@pytest.mark.parametrize(("name", "check"), [(name, check) for name in SMALL for check in PROBLEM_CHECKS])
def test_conformance(subject, name, check):
    judge(subject(name), check)


def test_every_embedded_problem_is_checked():
    embedded = {name for name in NAMES if "digits" in name or "events" in name.split("-")}
    assert embedded == set(SMALL)
