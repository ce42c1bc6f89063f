"""Suites: what a file may say, and the runs it stands for."""

import pytest

from snnbench import registry
from snnbench.errors import UsageError
from snnbench.experiment.plan import check
from snnbench.experiment.suite import load_suite, suite_plans, suites

GOOD = """
name = "mine"
version = 3
seeds = "2:4"
penalty = true
algorithms = ["random", { name = "de", settings = { population = 12 } }, "cma-es"]
[[problems]]
name = "sew-digits"
version = 1
budget = 7
objectives = ["loss"]
[[problems]]
name = "silent-digits"
version = 1
budget = 9
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


def test_runs_of_a_suite(tmp_path):
    suite = load_suite(written(tmp_path, GOOD))
    plans, reasons = suite_plans(suite, device="cpu")
    assert suite.title == "mine (version 3)"
    assert len(reasons) == 1
    assert "sew-digits" in reasons[0]
    assert "cma-es" in reasons[0]  # 20,000 dimensions
    assert [plan.seed for plan in plans] == [2] * 5 + [3] * 5  # a whole table after every seed
    assert {(p.problem, p.algorithm, p.budget) for p in plans} == {
        ("sew-digits", "random", 7),
        ("sew-digits", "de", 7),
        ("silent-digits", "random", 9),
        ("silent-digits", "de", 9),
        ("silent-digits", "cma-es", 9),
    }
    for plan in plans:
        assert plan.objectives == (("loss",) if plan.problem == "sew-digits" else ())
        assert dict(plan.algorithm_settings) == ({"population": 12} if plan.algorithm == "de" else {})
        assert plan.penalty == (plan.problem == "silent-digits" and plan.algorithm != "random")
        check(plan)


def test_a_part_of_a_suite(tmp_path):
    suite = load_suite(written(tmp_path, GOOD))
    plans, _ = suite_plans(suite, ["cade"], ["silent-digits"], [3], ["population=11", "evaluation.chunk=2"])
    assert [(p.problem, p.algorithm, p.seed) for p in plans] == [("silent-digits", "cade", 3)]
    assert plans[0].algorithm_settings == (("population", 11),)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("version = 3\n", "", "lacks version"),
        ("version = 3", 'version = "3"', "whole number"),
        ("version = 3", "version = 0", "at least 1"),
        ('"2:4"', '"2-4"', "seeds must look like"),
        ('"2:4"', "[]", "at least one seed"),
        ('"2:4"', "[-1]", "seeds must look like"),
        ('"2:4"', '"0:1000000"', "more than"),
        ('"random",', '"random", "random",', "twice"),
        ('"random",', "7,", "an algorithm is a name"),
        ("budget = 7", "budgets = 7", "problem 1 lacks budget"),
        ("budget = 7", "budget = 7\nbugdet = 8", "did you mean budget?"),
        ('["loss"]', '"loss"', "list of names"),
        ("settings = { population", "settings = { nothing = [1], population", "single value"),
        ("penalty = true", "penalty = 1", "true or false"),
        ("name = ", "name : ", "no TOML|not a TOML"),
    ],
)
def test_bad_files_are_named_in_one_line(tmp_path, before, after, words):
    with pytest.raises(UsageError, match=words) as refused:
        load_suite(written(tmp_path, GOOD.replace(before, after, 1)))
    assert "\n" not in str(refused.value)
    assert "mine.toml" in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('name = "sew-digits"\nversion = 1', 'name = "sew-digits"\nversion = 2', "version 2.*has version 1"),
        ('name = "sew-digits"', 'name = "sew-digit"', "did you mean sew-digits"),
        ('"random"', '"randon"', "did you mean random"),
        ("population = 12", "populations = 12", "population"),
        ('["loss"]', '["los"]', "did you mean loss"),
    ],
)
def test_parts_that_are_not_there(tmp_path, before, after, words):
    with pytest.raises(UsageError, match=words):
        suite_plans(load_suite(written(tmp_path, GOOD.replace(before, after, 1))))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"problems": ["etc-digits"]}, "unknown problem of the suite"),
        ({"settings": ["problem.steps=3"]}, "fixes its problems"),
        ({"settings": ["sew-digits.steps=3"]}, "fixes its problems"),
        ({"settings": ["nothing=3"]}, "no algorithm of these runs"),
    ],
)
def test_what_a_suite_does_not_allow(tmp_path, arguments, words):
    with pytest.raises(UsageError, match=words):
        suite_plans(load_suite(written(tmp_path, GOOD)), **arguments)


def test_unknown_suite():
    with pytest.raises(UsageError, match="did you mean digits"):
        load_suite("digit")
    with pytest.raises(UsageError, match="no suite file"):
        load_suite("nowhere.toml")


@pytest.mark.parametrize("name", ["smoke", "digits", "paper"])
def test_shipped_suites_fit_what_is_registered(name):
    suite = load_suite(name)
    assert suite.name == name == suites()[name].stem
    for problem in suite.problems:
        kind = registry.load("problem", problem.name)
        assert kind.version == problem.version
        assert problem.budget <= kind.default_budget
    for algorithm in suite.algorithms:
        assert registry.load("algorithm", algorithm.name)


def test_digits_holds_every_embedded_problem_but_those_of_temporal_consistency():
    embedded = {n for n in registry.entries("problem") if n.startswith(("sew", "soup", "threshold", "silent", "snas"))}
    embedded = {n for n in embedded if {"digits", "events"} & set(n.split("-"))}
    assert {problem.name for problem in load_suite("digits").problems} == embedded
