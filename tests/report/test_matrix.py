"""What is shown of a matrix of runs."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest

from snnbench.experiment.matrix import Cell
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.pool import News, Worker
from snnbench.experiment.scheduler import Overview
from snnbench.report.matrix import LiveMatrix, PlainMatrix, closing, counts_text, grid


def cell(problem="sew-digits", algorithm="de", seed=0, state="complete", **more):
    plan = RunPlan(problem, algorithm, 10, seed)
    return Cell(plan, plan.directory(Path("runs")), state, **more)


@pytest.fixture
def cells():
    return [
        cell(seconds=3.0),
        cell(seed=1, state="failed", detail="[bold]NaN[/bold] in ask"),
        cell("soup-digits", state="missing"),
        cell("soup-digits", "cade", state="interrupted"),
    ]


def test_grid_counts_complete_runs_and_marks_failures(cells):
    lines = [line.split() for line in grid(cells).splitlines()]
    assert lines[1] == ["de", "1/2", "1!", "0/1"]
    assert lines[2] == ["cade", "-", "0/1"]
    assert lines[3:] == [["(1)", "sew-digits"], ["(2)", "soup-digits"]]


def test_closing_lines_say_what_to_do(cells):
    text = closing(cells, "runs")
    assert counts_text(cells) == text.splitlines()[0] == "1 complete, 1 interrupted, 1 failed, 1 missing"
    assert "runs/sew-digits/de/budget10-seed1: failed: [bold]NaN[/bold] in ask" in text
    assert "--retry-failed" in text
    assert "the same command continues" in text
    assert closing(cells[:1], "runs").splitlines() == ["1 complete", "next: snnbench rank runs"]
    many = [replace(cells[1], plan=replace(cells[1].plan, seed=seed)) for seed in range(30)]
    assert "... and 20 more: `snnbench status runs`" in closing(many, "runs")


def overview(cells):
    worker = Worker(0, None, None, cells[2].plan, time.monotonic())  # type: ignore[arg-type]
    worker.latest = News("progress", "", 4, 10, (0.25,), 12.0)
    return Overview(cells, [worker], time.monotonic())


def test_lines_for_logs(cells, capsys):
    shown = PlainMatrix(interval=0.0)
    state = overview(cells)
    shown.on_begin(state)
    shown.on_news(state.workers[0], News("died", "worker 0 was killed by signal 9"))
    shown.on_news(state.workers[0], News("message", "chunk halved"))
    shown.on_cell(replace(cells[2], state="complete", seconds=4.0))
    shown.on_cell(replace(cells[3], state="running"))
    shown.on_tick(state)
    shown.on_stop()
    shown.close()
    assert capsys.readouterr().out.splitlines() == [
        "4 runs: 1 complete, 1 interrupted, 1 failed, 1 missing",
        "worker 0 was killed by signal 9; its run is continued",
        "soup-digits: chunk halved",
        "[3/4] soup-digits · de · seed 0: complete in 4.0 s",
        "soup-digits · cade · seed 0: another process works on it",
        "1 complete, 1 interrupted, 1 failed, 1 missing; 6.0 s left",
        "stopping: runs under way write what they have",
    ]


def test_live_tables(cells):
    from rich.console import Console

    shown = LiveMatrix()
    shown.console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    state = overview(cells)
    shown.on_begin(state)
    shown.on_cell(cells[1])
    shown.on_tick(state)
    shown.close()
    text = shown.console.file.getvalue()
    assert "sew-digits · de · seed 1: failed: [bold]NaN[/bold] in ask" in text  # text of a record is no markup
    for part in ("1/2", "0/2", "search 40.00 %", "0.25", "12 s"):
        assert part in text
    assert max(len(line) for line in text.replace("\r", "\n").split("\n")) < 200
