"""Several candidates of one run at once: in order, or as they complete."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from snnbench.errors import SnnbenchError, UsageError
from snnbench.experiment.interrupt import Interrupted
from snnbench.experiment.loop import resume, run
from snnbench.experiment.plan import RunPlan, check
from snnbench.experiment.record import load_evaluations, load_timings, open_run


def rows(directory):
    return load_evaluations(directory).to_pandas()


def bytes_of(directory):
    return (directory / "evaluations.parquet").read_bytes()


@pytest.fixture
def forked(monkeypatch):
    """Workers as copies of this process, where it is not about how they start: each spares an import of torch."""
    if "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
        monkeypatch.setattr("snnbench.experiment.workers.multiprocessing.get_context", lambda method: context)


def test_workers_do_not_change_the_record(tmp_path, plan):
    alone = run(plan(budget=30), tmp_path / "alone")
    together = run(plan(budget=30, eval_workers=2), tmp_path / "together")
    assert bytes_of(alone.directory) == bytes_of(together.directory)
    assert alone.final == together.final
    times = load_timings(together.directory).to_pandas()
    assert set(times["worker"].dropna()) == {0, 1}
    workers = open_run(together.directory).content["workers"]
    assert workers["count"] == 2
    assert 0 < workers["utilisation"] <= 1
    assert run(plan(budget=30, eval_workers=3), tmp_path / "together").cached  # the same run


def test_asynchronous(forked, tmp_path, plan):
    made = plan("Steady", "Uneven", budget=40, eval_workers=2, asynchronous=True, settings=["problem.sleep=0.003"])
    found = rows(run(made, tmp_path).directory)
    assert len(found) == 40
    assert found["evaluation"].tolist() == list(range(40))
    assert sorted(found["candidate"]) == list(range(40))
    assert found["candidate"].tolist() != list(range(40))  # faster ones overtook slower ones
    assert found["algorithm.pending"].between(1, 3).all()
    assert open_run(made.directory(tmp_path)).content["plan"]["asynchronous"] is True


def test_asynchronous_with_one_worker_is_in_order(forked, tmp_path, plan):
    made = plan("Steady", budget=25, eval_workers=1, asynchronous=True)
    first, again = (rows(run(made, tmp_path / name).directory) for name in ("a", "b"))
    assert first["candidate"].tolist() == list(range(25))
    assert first.equals(again)


SCRIPT = """
import sys
from pathlib import Path
from snnbench.experiment.loop import run
from snnbench.experiment.plan import plans
if __name__ == "__main__":
    toys, out = sys.argv[1:]
    (made,) = plans(
        [f"{toys}:Steady"], [f"{toys}:Uneven"], budget=60, device="cpu", eval_workers=2, asynchronous=True,
        settings=["problem.sleep=0.01", "evaluation.flush_seconds=0.01"],
    )
    run(made, Path(out))
"""


def test_killed_asynchronous_run_goes_on_from_what_was_known(forked, tmp_path, plan):
    made = plan(
        "Steady", "Uneven", budget=60, eval_workers=2, asynchronous=True,
        settings=["problem.sleep=0.01", "evaluation.flush_seconds=0.01"],
    )  # fmt: skip
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    toys = made.problem.rpartition(":")[0]
    process = subprocess.Popen([sys.executable, str(script), toys, str(tmp_path / "out")])
    directory = made.directory(tmp_path / "out")
    while len(list((directory / "evaluations").glob("*.parquet"))) < 8:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    known = rows(directory)
    assert 8 <= len(known) < 60
    without = made.directory(tmp_path / "without a checkpoint")
    shutil.copytree(directory, without)
    (without / "checkpoint.safetensors").unlink(missing_ok=True)
    for killed in (directory, without):
        resume(killed)
        found = rows(killed)
        assert sorted(found["candidate"]) == list(range(60))
        assert found.iloc[: len(known)].reset_index(drop=True).equals(known)


def test_stopped_asynchronous_run_keeps_what_is_pending(forked, tmp_path, plan, watcher):
    made = plan("Steady", budget=20, eval_workers=2, asynchronous=True, settings=["problem.sleep=0.01"])

    def interrupt(progress):
        if progress.evaluations == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        run(made, tmp_path, watcher(interrupt))
    known = rows(made.directory(tmp_path))
    assert (made.directory(tmp_path) / "checkpoint.safetensors").exists()
    found = rows(resume(made.directory(tmp_path)).directory)
    assert found.iloc[: len(known)].equals(known)
    assert sorted(found["candidate"]) == list(range(20))


def test_the_number_of_workers_is_part_of_an_asynchronous_run(tmp_path, plan):
    two, three = (plan("Steady", eval_workers=n, asynchronous=True) for n in (2, 3))
    assert two.directory(tmp_path) != three.directory(tmp_path) != plan("Steady").directory(tmp_path)
    assert two.results_key() != three.results_key()
    assert plan(eval_workers=2).directory(tmp_path) == plan().directory(tmp_path)
    assert RunPlan.from_dict(two.to_dict()) == two


def test_what_cannot_be_asynchronous_is_refused(plan):
    with pytest.raises(UsageError, match=r"toys.Walk cannot run asynchronously \(bowl: error\); algorithms that fit: "):
        check(plan("Walk", eval_workers=2, asynchronous=True))
    with pytest.raises(UsageError, match="workers must be 1 to 1024, got 0"):
        plan(eval_workers=0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_worker_that_dies_or_fails_is_one_line(forked, tmp_path, plan, asynchronous):
    name, options = ("Steady" if asynchronous else "Walk"), {"eval_workers": 2, "asynchronous": asynchronous}
    deadly = plan(name, "Deadly", budget=60, **options)
    with pytest.raises(SnnbenchError, match=r"worker . was killed by signal 9 .* resume, with fewer --eval-workers"):
        run(deadly, tmp_path)
    assert open_run(deadly.directory(tmp_path)).status == "failed"
    assert "algorithm" not in open_run(deadly.directory(tmp_path)).content["stop"]
    broken = plan(name, "Broken", budget=60, **options)
    with pytest.raises(SnnbenchError, match="failed while evaluating: ZeroDivisionError: no such weight"):
        run(broken, tmp_path)


def test_candidate_numbers_are_told(tmp_path, plan):
    found = rows(run(plan("Steady", budget=20), tmp_path).directory)  # raises if a number is wrong
    assert np.array_equal(found["candidate"], np.arange(20))
