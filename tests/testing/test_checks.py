"""The conformance checks: each catches what it is there for, and nothing else complains."""

import importlib.util
import sys
import unittest
from pathlib import Path

import pytest

from snnbench.errors import UsageError
from snnbench.testing import CHECKS, AlgorithmConformance, Subject, judge, outcome, results
from snnbench.testing.example import Example

FILE = Path(__file__).with_name("broken.py")
COSTLY = {"complete_run", "memory"}


def load():
    spec = importlib.util.spec_from_file_location("broken_algorithms", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


broken = load()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """One of the broken ones writes files where it stands."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", broken.INTENDED, ids=lambda kind: kind.__name__)
def test_caught_by_the_intended_check_alone(kind):
    intended = broken.INTENDED[kind]
    subject = Subject(f"{FILE}:{kind.__name__}", populations=6.0, seconds=0.1)
    # Those that take seconds are run where they are meant, and on the correct one below.
    names = [name for name in CHECKS if name not in COSTLY or name == intended]
    found = {result.name: result for result in results(subject, names)}
    assert [name for name, result in found.items() if result.outcome == "failed"] == [intended]
    assert broken.MESSAGES.get(kind, "") in found[intended].reason
    assert "\n" not in found[intended].reason


def test_every_check_catches_something():
    harmless = {"initial_design", "overhead"}  # say something, judge nothing
    assert set(broken.INTENDED.values()) == set(CHECKS) - harmless


class TestExample(AlgorithmConformance):
    """What `snnbench new` writes passes all."""

    algorithm = Example
    populations = 6.0


def test_all_checks_are_tests():
    assert {f"test_{name}" for name in CHECKS} <= set(dir(TestExample))
    assert TestExample.test_seeds.__doc__


def test_a_check_after_a_failed_one_is_skipped():
    subject = Subject(broken.WrongShape)
    result = outcome(subject, "shared_memory")
    assert (result.outcome, result.blocked) == ("skipped", "candidates")
    with pytest.raises(unittest.SkipTest, match="candidates"):
        judge(subject, "shared_memory")
    with pytest.raises(AssertionError, match="shape"):
        judge(subject, "candidates")


def test_an_exception_is_reported_with_its_line():
    result = outcome(Subject(broken.WholeOnly), "short_tell")
    line = next(i for i, text in enumerate(FILE.read_text().splitlines(), 1) if "population - 1" in text)
    assert result.reason.endswith(f"(broken.py, line {line})")
    assert isinstance(result.error, IndexError)


def test_budgets_follow_the_pace():
    fast, slow = Subject(Example), Subject(broken.Slow, seconds=0.1)
    assert fast.task().budget == 250
    assert not fast.slow
    assert slow.slow
    assert 6 + 2 <= slow.task().budget < 20  # the initial design, then at least two candidates of its own
    assert outcome(slow, "saved_state").outcome == "ok"
    assert outcome(slow, "candidates").outcome == "ok"


def test_without_its_library_nothing_is_judged():
    class Needy(Example):
        """Needs a library."""

        requires = ("no_such_module",)
        extra = "bayes"

    result = outcome(Subject(Needy), "candidates")
    assert result.outcome == "skipped"
    assert "no_such_module" in result.reason
    assert "snnbench[bayes]" in result.reason


def test_settings_are_used_and_checked():
    assert Subject(Example, {"population": "5"}).parameters.population == 5
    with pytest.raises(UsageError, match=r"\[4, 10000\]"):
        Subject(Example, {"population": 2})
    with pytest.raises(UsageError, match="did you mean seeds"):
        list(results(Subject(Example), ["seds"]))
