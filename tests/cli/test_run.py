"""The main job, small: run, show, resume, and what is on disk afterwards."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

TINY = [
    arg
    for setting in ("members=4", "source_epochs=1", "epochs=1", "width=2", "search_samples=100", "chunk=100")
    for arg in ("--set", f"problem.{setting}")
]
RUN = ["run", "--algo", "de", "--problem", "sew-digits", *TINY]

# What has nothing to do with networks is tried on a function of a microsecond, in this process.
TOYS = Path(__file__).parents[1] / "experiment" / "toys.py"
TOY = ["run", "--algo", "de", "--problem", f"{TOYS}:Bowl", "--device", "cpu"]


def test_a_run_from_nothing_to_a_report(snnbench, in_process, tmp_path):
    done = snnbench(*RUN, "--budget", "12")
    assert done.returncode == 0, done.stderr
    assert "estimate on cpu" in done.stdout
    assert "test accuracy" in done.stdout
    assert "12 evaluations" in done.stdout
    (directory,) = (path.parent for path in (tmp_path / "runs").rglob("run.json"))
    assert (directory / "convergence.png").read_bytes().startswith(b"\x89PNG")
    evaluations = pd.read_parquet(directory / "evaluations.parquet")
    assert len(evaluations) == 12
    final = json.loads((directory / "recommendation.json").read_text())["final"][0]
    assert evaluations["objective.error"].min() <= final["search"]["error"]
    content = json.loads((directory / "run.json").read_text())
    assert content["status"] == "complete"
    assert content["problem"]["standard"] is False

    again = in_process(*RUN, "--budget", "12")
    assert again.returncode == 0
    assert "complete before" in again.stdout
    assert "complete" in in_process("status").stdout


def test_a_matrix_ends_with_one_line_per_run(in_process):
    done = in_process(*TOY, "--algo", "random", "--seeds", "0:2", "--budget", "6")
    assert done.returncode == 0, done.stderr
    last = [line for line in done.stdout.splitlines() if line.startswith("toys.Bowl  ")]
    assert len(last) == 4
    assert all(len(line) <= 80 for line in last)


def test_dry_run_measures_and_records_nothing(in_process, tmp_path):
    done = in_process(*RUN, "--seeds", "0:3", "--budget", "10", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "3 runs; about" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_several_objectives_end_with_a_front(in_process):
    arguments = ["run", "--algo", "random", "--problem", f"{TOYS}:Bowl", "--device", "cpu"]
    done = in_process(*arguments, "--objectives", "error,energy", "--budget", "8")
    assert done.returncode == 0, done.stderr
    assert "none better than another" in done.stdout


def test_another_run_in_the_same_place_is_not_overwritten(in_process, tmp_path):
    assert in_process(*TOY, "--budget", "6").returncode == 0
    (path,) = (tmp_path / "runs").rglob("run.json")
    content = json.loads(path.read_text())
    content["schema_version"] = 999
    path.write_text(json.dumps(content))
    refused = in_process(*TOY, "--budget", "6")
    assert refused.returncode == 2
    assert "schema" in refused.stderr
    path.write_text("{")
    assert in_process("resume", path.parent).returncode == 2
    assert in_process(*TOY, "--budget", "6", "--fresh").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_cleanly_with_a_hint(tmp_path):
    long = [*TOY, "--budget", "100000", "--set", "problem.sleep=0.01", "--out", str(tmp_path / "runs")]
    command = [sys.executable, "-m", "snnbench.cli", *long]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "runs").rglob("start.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "snnbench resume" in errors
    assert "Traceback" not in errors
