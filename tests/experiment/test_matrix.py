"""A matrix of runs in several processes: whoever is killed, the results are those of an undisturbed one."""

import contextlib
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from snnbench.errors import AlgorithmError
from snnbench.experiment.lock import locked
from snnbench.experiment.loop import run
from snnbench.experiment.matrix import Cell, look, seconds_left, survey
from snnbench.experiment.plan import plans
from snnbench.experiment.scheduler import Scheduler
from snnbench.problem import Context

from .conftest import TOYS

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


class Quiet:
    """Counts what a scheduler tells; `act` sees every overview."""

    def __init__(self, act=lambda overview: None):
        self.act, self.ended, self.news, self.closed = act, [], [], False

    def on_begin(self, overview):
        self.total = len(overview.cells)

    def on_news(self, worker, news):
        self.news.append(news)

    def on_cell(self, cell):
        self.ended.append(cell)

    def on_tick(self, overview):
        self.act(overview)

    def on_stop(self):
        self.stopped = True

    def close(self):
        self.closed = True


def matrix(budget=30, seeds=range(3), sleep=0.0, algorithms=("Walk",), problems=("Bowl",)):
    names = [f"{TOYS}:{name}" for name in algorithms]
    settings = [f"problem.sleep={sleep}", "evaluation.chunk=2", "evaluation.flush_seconds=0.01"]
    return plans(names, [f"{TOYS}:{p}" for p in problems], list(seeds), budget, settings=settings, device="cpu")


def made(runs, out, workers=2, observer=None, **options):
    return Scheduler(runs, out, workers, Context(), observer or Quiet(), **options).run()


def results(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("evaluations.parquet"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    for plan in matrix(sleep=0.004):
        run(plan, out)
    return results(out)


def test_several_processes_make_what_one_makes(tmp_path, undisturbed):
    observer = Quiet()
    runs = [*matrix(problems=["Homeless"]), *matrix(sleep=0.004)]
    cells = made(runs, tmp_path, observer=observer)
    assert [cell.state for cell in cells] == ["failed"] * 3 + ["complete"] * 3
    assert all("no such data" in cell.detail for cell in cells[:3])
    assert [news.text for news in observer.news if news.kind == "message"] == ["2 more runs need the same data"]
    assert results(tmp_path) == undisturbed
    assert observer.closed
    assert len(observer.ended) == 4  # the data was missed once
    assert multiprocessing.active_children() == []
    again = Quiet()
    assert [cell.state for cell in made(matrix(sleep=0.004), tmp_path, observer=again)] == ["complete"] * 3
    assert again.ended == again.news == []  # nothing was made again


def test_a_failed_run_is_listed_and_tried_again_only_when_asked(tmp_path):
    runs = matrix(algorithms=("Walk", "Raises"), seeds=[0])
    for plan in runs:
        with contextlib.suppress(AlgorithmError):
            run(plan, tmp_path)
    states = {cell.plan.algorithm.rpartition(":")[2]: cell for cell in made(runs, tmp_path)}
    assert states["Walk"].state == "complete"
    assert states["Raises"].state == "failed"
    assert "index 8 is out of bounds" in states["Raises"].detail
    observer = Quiet()
    made(runs, tmp_path, observer=observer, retry_failed=True)
    assert [cell.state for cell in observer.ended] == ["failed"]
    assert "index 8 is out of bounds" in observer.ended[0].detail


@posix
def test_workers_killed_at_random_cost_nothing(tmp_path, undisturbed):
    moments, killed = random.Random(5), []

    def kill(overview):
        busy = [w for w in overview.workers if w.plan is not None and w.latest.kind == "progress"]
        busy = [w for w in busy if w.process.pid not in killed]  # its end may not have been noticed yet
        if busy and len(killed) < 2:
            victim = moments.choice(busy)
            os.kill(victim.process.pid, signal.SIGKILL)
            killed.append(victim.process.pid)

    observer = Quiet(kill)
    cells = made(matrix(sleep=0.06), tmp_path, observer=observer)
    assert len(killed) == 2
    assert [news.kind for news in observer.news].count("died") == 2
    assert [cell.state for cell in cells] == ["complete"] * 3
    assert list(results(tmp_path).values()) == list(undisturbed.values())


@posix
def test_the_whole_thing_killed_and_started_again(tmp_path, undisturbed):
    program = (
        "from snnbench.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    )  # fmt: skip
    command = [
        sys.executable, "-c", program, "run", "--algo", f"{TOYS}:Walk", "--problem", f"{TOYS}:Bowl", "--seeds", "0:3",
        "--budget", "30", "--set", "problem.sleep=0.02", "--set", "evaluation.chunk=2", "--device", "cpu",
        "--set", "evaluation.flush_seconds=0.01", "--workers", "2", "--out", str(tmp_path),
    ]  # fmt: skip
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not any(tmp_path.rglob("evaluations/*.parquet")):
        time.sleep(0.02)
        assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 60  # orphans notice, write what they have, and end
    while any(look(plan, tmp_path).state == "running" for plan in matrix(sleep=0.02)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not all(look(plan, tmp_path).state == "complete" for plan in matrix(sleep=0.02))
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not any(look(plan, tmp_path).state == "running" for plan in matrix(sleep=0.02)):
        time.sleep(0.02)
    second.send_signal(signal.SIGINT)
    text, _ = second.communicate()
    assert second.returncode == 130
    assert "the same command continues where it stopped" in text
    third = subprocess.run(command, capture_output=True, text=True)
    assert third.returncode == 0
    assert "3 complete" in third.stdout
    assert list(results(tmp_path).values()) == list(undisturbed.values())


def test_a_run_of_another_process_is_left_to_it_and_taken_over(tmp_path):
    runs = matrix(seeds=[0, 1])
    held = locked(runs[0].directory(tmp_path))
    held.__enter__()
    seen = []

    def release(overview):
        states = [cell.state for cell in overview.cells]
        if states == ["running", "complete"] and not seen:
            seen.append(states)
            held.__exit__(None, None, None)

    cells = made(runs, tmp_path, observer=Quiet(release))
    assert seen
    assert [cell.state for cell in cells] == ["complete", "complete"]


def test_two_schedulers_on_one_matrix(tmp_path, undisturbed):
    other = threading.Thread(target=made, args=(matrix(sleep=0.004), tmp_path, 1))
    other.start()
    cells = made(matrix(sleep=0.004), tmp_path, workers=1)
    other.join()
    assert [cell.state for cell in cells] == ["complete"] * 3
    assert results(tmp_path) == undisturbed


def test_what_is_on_disk(tmp_path):
    runs = matrix(seeds=range(4), budget=10)
    for plan in runs[:3]:
        run(plan, tmp_path)
    (runs[1].directory(tmp_path) / "run.json").write_text("{")
    changed = runs[2].directory(tmp_path) / "run.json"
    content = json.loads(changed.read_text())
    content["problem"]["version"] = 7
    changed.write_text(json.dumps(content))
    cells = survey(runs, tmp_path)
    assert [cell.state for cell in cells] == ["complete", "unreadable", "other version", "missing"]
    assert "version 7" in cells[2].detail
    assert cells[0].seconds is not None
    after = made(runs, tmp_path)  # what cannot be read is left alone
    assert [cell.state for cell in after] == ["complete", "unreadable", "other version", "complete"]


def test_time_left_is_judged_by_runs_alike(tmp_path):
    walk, single = (matrix(seeds=[0, 1], algorithms=(name,)) for name in ("Walk", "Single"))

    def cell(plan, state, seconds=None):
        return Cell(plan, tmp_path, state, "", seconds)

    cells = [cell(walk[0], "complete", 10.0), cell(walk[1], "missing"), cell(single[0], "running"),
             cell(single[1], "failed")]  # fmt: skip
    assert seconds_left(cells, {single[0]: 4.0}, 2) == (10.0 + 6.0) / 2
    assert seconds_left(cells[1:], {}, 2) != seconds_left(cells[1:], {}, 2)  # NaN: nothing is known
