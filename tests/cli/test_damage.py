"""Runs that lack a file, or lie where nothing can be written, and files of authors with the usual mistakes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snnbench.experiment import lock
from snnbench.experiment.disk import DiskFull
from snnbench.experiment.record import open_run
from snnbench.report import plots

TOYS = Path(__file__).parents[1] / "experiment" / "toys.py"
RUN = ("run", "--problem", "snas-digits", "--budget", "6", "--device", "cpu")


@pytest.fixture
def runs(in_process, tmp_path):
    assert in_process(*RUN, "--algo", "random,de,sobol", "--out", str(tmp_path / "runs")).returncode == 0
    return tmp_path / "runs"


def one(runs, algorithm):
    return next((runs / "snas-digits" / algorithm).iterdir())


@pytest.mark.parametrize("name", ["evaluations.parquet", "recommendation.json"])
def test_a_complete_run_without_a_file_is_told_by_every_verb(in_process, runs, name):
    (one(runs, "de") / name).unlink()
    status = in_process("status", str(runs))
    assert "unreadable" in status.stdout
    assert name in status.stdout
    assert "1 unreadable run is left out" in in_process("rank", str(runs)).stdout
    again = in_process(*RUN, "--algo", "de", "--out", str(runs))
    assert again.returncode == 2
    assert name in again.stderr
    assert len(again.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", ["rank", "plot", "report"])
def test_nothing_readable_is_one_line(in_process, runs, verb):
    for algorithm in ("de", "random", "sobol"):
        os.truncate(one(runs, algorithm) / "run.json", 100)
    done = in_process(verb, str(runs))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "unreadable" in done.stderr


def test_a_lock_that_cannot_be_opened_locks_nothing(runs, monkeypatch):
    record = open_run(one(runs, "de"))
    record.save(status="running")

    def read_only(path, flags, *rest):
        if str(path).endswith("lock") and flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(30, "Read-only file system")
        return opened(path, flags, *rest)

    opened = os.open
    with monkeypatch.context() as patched:
        patched.setattr(lock.os, "open", read_only)
        assert open_run(one(runs, "de")).status == "interrupted"


AUTHORS = """from snnbench.algorithm import Algorithm


class Mine(Algorithm):
    state = ()

    def ask(self):
        return self.task.space.sample(2, self.generator)

    def tell(self, x, found):
        pass

"""
MISTAKES = {
    "leaves": ("def ask(self):\n        raise SystemExit(0)", "failed in ask: SystemExit: 0"),
    "speaks in lines": ("def ask(self):\n        raise ValueError('one\\ntwo \\udc80')", "ValueError: one two ?"),
    "no super": ("def __init__(self, task, parameters=None, seed=0):\n        pass", "must call super().__init__"),
    "no dataclass": ("class Parameters:\n        size = 3", "must be a frozen dataclass"),
    "no capabilities": ("capabilities = 3", "must be a snnbench.algorithm.Capabilities"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_of_an_author_are_one_line_and_stop_nobody_else(in_process, tmp_path, name):
    body, message = MISTAKES[name]
    (tmp_path / "mine.py").write_text(AUTHORS + f"    {body}\n")
    mine = f"{tmp_path / 'mine.py'}:Mine"
    done = in_process(*RUN, "--algo", f"{mine},random", "--out", str(tmp_path / "runs"))
    assert done.returncode in (1, 2)
    said = done.stdout + done.stderr  # in a matrix among the progress of the others
    assert any(message in line for line in said.splitlines())
    assert "Traceback" not in said
    assert in_process("test", mine).returncode in (1, 2)
    if "must be" not in message:  # what a class declares is refused before anything starts
        assert (one(tmp_path / "runs", "random") / "evaluations.parquet").exists()


def test_neither_algorithm_nor_problem(in_process, tmp_path):
    (tmp_path / "duck.py").write_text("class Duck:\n    def ask(self): ...\n    def tell(self, x, found): ...\n")
    done = in_process("test", f"{tmp_path / 'duck.py'}:Duck")
    assert done.returncode == 2
    assert "snnbench.algorithm.Algorithm" in done.stderr


def test_a_problem_that_cannot_be_prepared_stops_nobody_else(in_process, tmp_path):
    source = shutil.copy(TOYS, tmp_path / "mine.py")
    with open(source, "a") as file:
        file.write("\n\nclass Broken(Bowl):\n    def prepare(self):\n        raise ValueError('no data')\n")
        file.write("\n\nclass Odd(Bowl):\n    def initial(self, n):\n        return torch.zeros(3, 7)\n")
    problems = ",".join(f"{source}:{name}" for name in ("Broken", "Odd", "Bowl"))
    command = ["run", "--algo", "random", "--problem", problems, "--budget", "6", "--out", str(tmp_path / "runs")]
    done = in_process(*command, "--device", "cpu")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "failed in prepare: ValueError: no data" in said
    assert "initial(" in said
    assert "got (3, 7)" in said
    assert "Traceback" not in said
    assert len(list((tmp_path / "runs").rglob("evaluations.parquet"))) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_ends_training(tmp_path):
    command = [sys.executable, "-m", "snnbench", "prepare", "threshold-digits", "--cache-dir", str(tmp_path / "cache")]
    with subprocess.Popen(
        [*command, "--set", "problem.epochs=100000"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout:
            if "training" in line:
                break
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 130
    assert "Traceback" not in rest
    assert "interrupted" in rest


@pytest.mark.parametrize(
    "arguments", [("plot", "--kind", "final-results", "--out"), ("export", "--to", "csv", "--out"), ("report", "--out")]
)
def test_what_is_made_of_the_rest_says_what_is_left_out(in_process, runs, tmp_path, arguments):
    os.truncate(one(runs, "de") / "run.json", 100)
    done = in_process(arguments[0], str(runs), *arguments[1:], str(tmp_path / "out.html"))
    assert done.returncode == 0
    assert "1 unreadable run is left out (the first: " in done.stdout + done.stderr
    assert str(one(runs, "de")) in done.stdout + done.stderr


@pytest.mark.skipif(os.name != "posix" or not os.geteuid(), reason="root may write anywhere")
def test_a_complete_run_in_a_read_only_folder_is_shown(in_process, runs):
    directory = one(runs, "de")
    (directory / "convergence.png").unlink()
    directory.chmod(0o500)
    done = in_process(*RUN, "--algo", "de", "--out", str(runs))
    directory.chmod(0o700)
    assert done.returncode == 0
    assert "plot    none" in done.stdout


def test_a_plot_that_cannot_be_written_is_one_line(in_process, runs, monkeypatch):
    def full(*_):
        raise DiskFull("no space left")

    monkeypatch.setattr(plots, "save", full)
    done = in_process(*RUN, "--algo", "de", "--out", str(runs))
    assert done.returncode == 0
    assert "plot    none" in done.stdout
    assert "record  " in done.stdout


@pytest.mark.parametrize("setting", ["problem.width=80000000", "problem.width=8000000000000"])
def test_a_network_that_no_memory_holds_is_one_line(in_process, tmp_path, setting):
    done = in_process("run", "--problem", "sew-digits", "--algo", "de", "--set", setting, "--dry-run")
    assert done.returncode == 2
    assert done.stderr == f"snnbench: sew-digits: not enough memory for its networks with {setting[8:]}\n"


def test_a_strategy_that_a_problem_does_not_have(in_process, tmp_path):
    arguments = ("--budget", "6", "--algo", "de", "--out", str(tmp_path), "--set", "evaluation.strategy=lookup")
    done = in_process("run", "--problem", "snas-digits", *arguments)
    assert done.returncode == 2
    assert done.stderr == ("snnbench: snas-digits cannot be evaluated by lookup; evaluation.strategy takes auto\n")


def test_more_calibration_samples_than_there_are(in_process, tmp_path):
    arguments = ("--budget", "6", "--algo", "de", "--out", str(tmp_path), "--cache-dir", str(tmp_path / "cache"))
    for problem in ("sew-digits", "soup-digits"):
        done = in_process("run", "--problem", problem, *arguments, "--set", "problem.calibration=1001")
        assert done.returncode == 2
        assert f"{problem}: calibration=1,001, but the search split has 1,000 samples" in done.stderr
    assert not list(tmp_path.rglob("*.safetensors"))
