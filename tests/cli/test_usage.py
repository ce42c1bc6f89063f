"""Bad input: one line that says what would work, and exit code 2 (or 1); never a traceback."""

import json

import pytest

from snnbench.cli.options import names, seeds
from snnbench.errors import UsageError

RUN = ("run", "--algo", "de", "--problem", "sew-digits")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--algo", "cad", "--problem", "sew-digits"), "did you mean cade"),
        (("run", "--algo", "cade", "--problem", "sew-digit"), "did you mean sew-digits"),
        ((*RUN, "--objectives", "eror"), "did you mean error"),
        ((*RUN, "--set", "ff=1"), "f"),
        ((*RUN, "--set", "f=abc"), "must be float"),
        ((*RUN, "--set", "cr=1.5"), "[0, 1]"),
        ((*RUN, "--set", "problem.blocks=1-x"), "blocks"),
        ((*RUN, "--budget", "-5"), "at least 1"),
        ((*RUN, "--budget", "0"), "at least 1"),
        ((*RUN, "--budget", "many"), "whole number"),
        ((*RUN, "--budget"), "expected one argument"),
        ((*RUN, "--seed", "x"), "seeds must look like"),
        ((*RUN, "--seeds", "5:5"), "at least one"),
        ((*RUN, "--seeds", "3:x"), "seeds must look like"),
        ((*RUN, "--seed", "1", "--seeds", "0:2"), "not both"),
        ((*RUN, "--time-limit", "-1"), "positive"),
        ((*RUN, "--device", "tpu"), "auto, cpu or cuda:N"),
        ((*RUN, "--data-dir", "nowhere"), "no folder"),
        (("run", "--algo", "de"), "--problem"),
        (("run", "--algo", "cade", "--problem", "sew-digits", "--objectives", "error,energy"), "random"),
        (("run", "--algo", "cma-es", "--problem", "sew-digits"), "sep-cma-es"),
        (("run", "--algo", "./none.py:Mine", "--problem", "sew-digits"), "does not exist"),
        (("runn",), "did you mean run"),
        (("resume", "nothing-here"), "not a run directory"),
        (("status", "nothing-here"), "is no folder"),
        (("info", "cadee"), "did you mean cade"),
        (("list", "algoritms"), "algorithms"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_one_line_and_exit_code_2(in_process, arguments, expected):
    done = in_process(*arguments)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert expected in lines[0]
    assert "Traceback" not in done.stderr + done.stdout


def test_missing_data_names_file_places_and_remedy(in_process):
    # No network is needed to fail: the address is replaced by one where nobody listens.
    done = in_process("data", "check", "cifar100")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "cifar100" in done.stderr + done.stdout


def test_list_knows_everything_that_is_registered(in_process):
    found = json.loads(in_process("list", "--json").stdout)
    assert {row["name"] for row in found["problems"]} >= {"sew-digits", "sew-cifar10", "sew-cifar100"}
    algorithms = {row["name"]: row["summary"] for row in found["algorithms"]}
    assert set(algorithms) >= {"random", "de", "cade", "cade-released", "cma-es", "sep-cma-es"}
    assert all(algorithms.values()), "every algorithm has a line of description"
    nsga3 = next(row for row in found["algorithms"] if row["name"] == "nsga3")
    assert nsga3["family"] == "multi-objective"
    assert nsga3["capabilities"]["min_objectives"] == 2
    assert nsga3["capabilities"]["constraints"]
    assert nsga3["missing"] == []


def test_list_says_what_is_missing_and_fits_80_columns(in_process, monkeypatch):
    monkeypatch.setattr("snnbench.declared.missing", lambda modules: [name for name in modules if name == "optuna"])
    shown = in_process("list", "algorithms").stdout.splitlines()
    assert max(map(len, shown)) < 80
    assert "  multi-objective" in shown
    first = next(i for i, line in enumerate(shown) if line.strip().startswith("tpe "))
    text = " ".join(line.strip() for line in shown[first : first + 5])
    assert "any number of objectives" in text
    assert "not installed: optuna; pip install 'snnbench[bayes]'" in text
    assert sum("not installed" in line for line in shown) == 1
    assert "optuna: not installed; pip install 'snnbench[bayes]'" in " ".join(in_process("info", "tpe").stdout.split())


def test_info_tells_what_is_searched_and_between_which_points(in_process):
    shown = " ".join(in_process("info", "silent-digits").stdout.split())
    assert "variables train_size: real, 0.1 to 1, logarithmic frames: integer, 4 to 10" in shown
    assert "momentum: real, 0.8 to 0.999" in shown
    assert "from ideal to worst error: 0 to 1 loss: 0 to 2.303" in shown
    assert "mixing: 80 coordinates, -8 to 8" in in_process("info", "soup-digits").stdout
    assert "edge_01: categorical, one of zero, skip, conv1x1" in in_process("info", "snas-digits").stdout
    assert "number: 19,810" in in_process("info", "sew-digits").stdout  # in a box that is known when members are


@pytest.mark.parametrize("name", ["cade", "sew-digits", "cifar10"])
def test_info_names_parameters_and_sources(in_process, name):
    done = in_process("info", name)
    assert done.returncode == 0, done.stderr
    assert name in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert json.loads(in_process("info", name, "--json").stdout)["name"] == name


def test_doctor_reports_versions(in_process):
    facts = json.loads(in_process("doctor", "--json").stdout)
    assert facts["environment" if "environment" in facts else "versions"]


def test_names_and_seeds():
    assert names(["a,b", " c "]) == ["a", "b", "c"]
    assert seeds(None, "2:5") == [2, 3, 4]
    assert seeds(None, "1,7") == [1, 7]
    assert seeds("4", None) == [4]
    assert seeds(None, None) == [0]
    with pytest.raises(UsageError):
        seeds("-1", None)


@pytest.mark.parametrize("problem", ["sew-digits", "threshold-digits"])
def test_an_unusable_cache_is_noticed_before_training(in_process, tmp_path, problem):
    (tmp_path / "file").write_text("")
    done = in_process("prepare", problem, "--cache-dir", tmp_path / "file")
    assert done.returncode == 2
    assert "--cache-dir" in done.stderr
    assert "training" not in done.stdout


def test_too_many_seeds(in_process):
    assert in_process(*RUN, "--seeds", "0:99999999999").returncode == 2
