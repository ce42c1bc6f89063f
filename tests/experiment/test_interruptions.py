"""A run can be stopped in every way there is, and loses nothing."""

import json
import os
import random
import resource
import signal
import stat
import time

import pytest

from snnbench.errors import SnnbenchError, UsageError
from snnbench.experiment import disk
from snnbench.experiment.interrupt import Interrupted
from snnbench.experiment.lock import is_locked, locked
from snnbench.experiment.loop import resume, run
from snnbench.experiment.record import load_evaluations, load_timings, open_run

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(work) -> int:
    """Start `work` in a process of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def bytes_of(directory):
    return (directory / "evaluations.parquet").read_bytes()


@forks
def test_killed_again_and_again_gives_the_same_bytes(tmp_path, plan):
    budget, calm, hasty = 60, ["evaluation.chunk=3"], ["evaluation.flush_seconds=0.01", "problem.sleep=0.01"]
    whole = run(plan(budget=budget, settings=["problem.sleep=0.01", *calm]), tmp_path / "whole")
    made = plan(budget=budget, settings=hasty)
    directory = made.directory(tmp_path / "killed")
    moments = random.Random(1)
    kills = 0
    for _ in range(40):
        child = in_child(lambda: run(made, tmp_path / "killed"))
        time.sleep(moments.uniform(0.02, 0.25))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        if (directory / "run.json").exists():
            assert load_evaluations(directory).num_rows <= budget  # readable at any moment
            if open_run(directory).status == "complete":
                break
    assert kills >= 3
    result = run(made, tmp_path / "killed")
    assert bytes_of(result.directory) == bytes_of(whole.directory)
    assert [p["digest"] for p in result.final] == [p["digest"] for p in whole.final]
    assert result.final == whole.final
    assert not list(directory.glob("**/*.tmp"))
    assert not (directory / "evaluations").exists()


def test_nothing_recorded_is_evaluated_again(tmp_path, plan, watcher, monkeypatch):
    calls = tmp_path / "calls"
    monkeypatch.setenv("BOWL_LOG", str(calls))
    made = plan(budget=40, settings=["evaluation.chunk=2", "evaluation.flush_seconds=0"])

    def interrupt(progress):
        if progress.evaluations == 14:  # generations end at 3, 10, 17
            os.kill(os.getpid(), signal.SIGINT)

    for moment in (14, None):
        observer = watcher(interrupt if moment else lambda progress: None)
        if moment:
            with pytest.raises(Interrupted) as stopped:
                run(made, tmp_path, observer)
            assert stopped.value.exit_code == 130
            assert str(stopped.value.directory) in str(stopped.value)
            record = open_run(stopped.value.directory)
            assert record.status == "interrupted"
            assert load_evaluations(record.directory).num_rows == 14
        else:
            resume(made.directory(tmp_path), observer)
    searched = sum(int(line.split()[1]) for line in calls.read_text().splitlines() if line.startswith("search"))
    in_start = 1  # the pick of the initial design, measured once before the search
    assert searched == 40 + in_start
    undisturbed = run(made, tmp_path / "other")
    assert bytes_of(made.directory(tmp_path)) == bytes_of(undisturbed.directory)


def test_interrupted_between_generations_leaves_a_checkpoint_of_all(tmp_path, plan, watcher):
    made = plan(budget=40)

    def interrupt(progress):
        if progress.evaluations == 10:  # 3 + 7: the last of its generation
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        run(made, tmp_path, watcher(interrupt))
    assert load_evaluations(made.directory(tmp_path)).num_rows == 10
    done = resume(made.directory(tmp_path))
    assert bytes_of(done.directory) == bytes_of(run(made, tmp_path / "other").directory)
    assert open_run(done.directory).content["sessions"] == 2


def test_without_a_checkpoint_the_whole_record_is_replayed(tmp_path, plan, watcher, monkeypatch):
    made = plan(budget=30)

    def interrupt(progress):
        if progress.evaluations == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted) as stopped:
        run(made, tmp_path, watcher(interrupt))
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    (made.directory(tmp_path) / "checkpoint.safetensors").unlink()
    calls = tmp_path / "calls"
    monkeypatch.setenv("BOWL_LOG", str(calls))
    done = resume(made.directory(tmp_path))
    assert sum(int(t.split()[1]) for t in calls.read_text().splitlines() if t.startswith("search")) == 13
    monkeypatch.delenv("BOWL_LOG")
    assert bytes_of(done.directory) == bytes_of(run(made, tmp_path / "other").directory)


def test_second_interrupt_is_immediate(tmp_path, plan, watcher):
    before = signal.getsignal(signal.SIGINT)  # a shell's background job may have it ignored

    def interrupt(progress):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(plan(budget=40), tmp_path, watcher(interrupt))
    assert open_run(plan(budget=40).directory(tmp_path)).status == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("at", ["evaluations.parquet", "recommendation.json", "start.json", "timings.parquet"])
def test_killed_after_the_search_only_the_rest_is_done(tmp_path, plan, monkeypatch, at):
    made = plan(budget=20)
    keep = disk.replacing

    def die(path):
        if path.name == at:
            raise SystemExit(9)
        return keep(path)

    for module in ("disk", "log", "checkpoint"):
        monkeypatch.setattr(f"snnbench.experiment.{module}.replacing", die)
    with pytest.raises(SystemExit):
        run(made, tmp_path)
    monkeypatch.undo()
    done = resume(made.directory(tmp_path))
    assert not done.cached
    assert bytes_of(done.directory) == bytes_of(run(made, tmp_path / "other").directory)
    assert resume(done.directory).cached


@forks
def test_full_disk_keeps_what_is_recorded(tmp_path, plan):
    made = plan(budget=1500, settings=["evaluation.flush_seconds=0.02"])
    directory = made.directory(tmp_path)

    def limited():
        # Compacted files grow beyond this, parts do not.
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        try:
            run(made, tmp_path)
        except SnnbenchError as error:
            (tmp_path / "message").write_text(str(error))

    _, status = os.waitpid(in_child(limited), 0)
    assert status == 0
    message = (tmp_path / "message").read_text()
    assert (
        message
        == f"disk full: 1500 evaluations are kept in {directory}; free space, then `snnbench resume {directory}`"
    )
    assert json.loads((directory / "run.json").read_text())["status"] == "interrupted"
    assert not list(directory.glob("**/*.tmp"))
    assert not (directory / "evaluations.parquet").exists()
    assert load_evaluations(directory).num_rows == 1500
    assert resume(directory).evaluations == 1500


def test_no_space_in_the_middle_of_the_search(tmp_path, plan, monkeypatch):
    made = plan(budget=60, settings=["evaluation.flush_seconds=0", "evaluation.chunk=1"])
    parts, sync, failed = made.directory(tmp_path) / "evaluations", os.fsync, []

    def full(descriptor):
        file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if file and not failed and len(list(parts.glob("*.parquet"))) >= 3:
            failed.append(True)
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SnnbenchError, match=r"disk full: \d+ evaluations are kept in .*snnbench resume"):
        run(made, tmp_path)
    monkeypatch.undo()
    kept = load_evaluations(made.directory(tmp_path)).num_rows
    assert 0 < kept < 60
    record = open_run(made.directory(tmp_path))
    assert (record.status, record.content["stop"], record.content["evaluations"]) == ("interrupted", "disk full", kept)
    done = resume(record.directory)
    assert bytes_of(done.directory) == bytes_of(run(made, tmp_path / "other").directory)


def test_time_limit(tmp_path, plan):
    made = plan(budget=100_000, time_limit=0.3, settings=["problem.sleep=0.01", "evaluation.chunk=1"])
    result = run(made, tmp_path)
    assert result.stop == "time limit"
    assert 3 <= result.evaluations <= 40
    assert load_evaluations(result.directory).num_rows == result.evaluations
    assert result.final
    seconds = load_timings(result.directory).column("seconds").to_numpy()
    assert (seconds[1:] >= seconds[:-1]).all()
    assert run(made, tmp_path).cached


@forks
def test_one_process_per_run(tmp_path, plan):
    made = plan(budget=20)
    directory = made.directory(tmp_path)
    reader, writer = os.pipe()

    def hold():
        with locked(directory):
            os.write(writer, b"x")
            time.sleep(30)

    child = in_child(hold)
    os.read(reader, 1)
    try:
        assert is_locked(directory)
        with pytest.raises(UsageError, match="another process is working on"):
            run(made, tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert not is_locked(directory)
    assert run(made, tmp_path).evaluations == 20
