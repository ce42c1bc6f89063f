"""What people read at the end of a run."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from snnbench.experiment.observer import Progress, StartInfo
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.record import RunResult
from snnbench.report import convergence, live, text
from snnbench.report.convergence import terminal_plot
from snnbench.report.summary import overview, summary


def point(error, accuracy, spikes):
    values = {"error": error, "accuracy": [0.5, accuracy], "spikes": spikes, "energy": 2.0 * spikes}
    return {"search": values, "validation": values | {"error": error + 0.01}, "test": values | {"error": 1 - accuracy}}


@pytest.fixture
def result(tmp_path):
    plan = RunPlan("sew-digits", "de", budget=200, seed=3)
    start, final = point(0.08, 0.9, 2000.0), point(0.05, 0.925, 1990.0)
    return RunResult(tmp_path, plan, "budget", 200, [start], [final], {"search": 10.0})


def test_summary_says_that_nothing_feasible_was_found(result):
    assert "no feasible" not in summary(result, ["error"])
    result.final[0]["validation"]["constraints"] = [-1.0, 0.25]
    result.final[0]["test"]["constraints"] = [-1.0, 0.5]
    lines = summary(result, ["error"]).splitlines()
    assert "no feasible candidate: what follows violates constraints by 0.25" in lines
    assert "infeasible" in overview([(result, ["error"])])
    result.final[0]["validation"]["constraints"] = [-1.0, 0.0]
    assert "infeasible on test, by 0.5, although not on validation" in summary(result, ["error"])


def test_summary_shows_every_split_before_and_after(result):
    shown = summary(result, ["error"])
    assert "200 evaluations in 10 s (20/s)" in shown
    lines = {line.split("  ")[0]: line.split() for line in shown.splitlines() if line}
    assert lines["error at start"][-3:] == ["0.08", "0.09", "0.1"]
    assert lines["error at end"][-3:] == ["0.05", "0.06", "0.075"]
    assert "90.00 % -> 92.50 %" in shown
    assert "2,000 -> 1,990" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_summary_says_when_nothing_could_be_evaluated(result):
    failed = RunResult(result.directory, result.plan, "budget", 5, [], [], {"search": 1.0})
    assert "no candidate could be evaluated" in summary(failed, ["error"])
    assert "failed" in overview([(failed, ["error"]), (result, ["error"])])


def test_summary_shows_what_fixed_solutions_reach(result):
    lines = {"plain average": {"error": 0.31, "loss": 1.0}, "other": {"loss": 2.0}}
    shown = summary(dataclasses.replace(result, reference_lines=lines), ["error"])
    assert "for comparison, error on test of\n  plain average        0.31" in shown
    assert "other" not in shown


def test_front_of_several_objectives_shows_test_values(result):
    both = RunResult(result.directory, result.plan, "budget", 9, [], result.start + result.final, {"search": 1.0})
    shown = summary(both, ["error", "energy"])
    assert "2 candidates" in shown
    assert "0.075" in shown
    assert "3,980" in shown


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0.0 s"),
        (0.04, "40 ms"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (3599, "59 min 59 s"),
        (90061, "1 d 1 h"),
        (np.inf, "?"),
    ],
)
def test_durations(seconds, expected):
    assert text.duration(seconds) == expected


def test_sizes_and_numbers():
    assert text.size(999) == "999 B"
    assert text.size(49_706_680) == "50 MB"
    assert text.number(1.23456e-7) == "1.235e-07"
    assert text.number(float("inf")) == "inf"


def test_terminal_plot_falls_from_left_to_right():
    best = np.minimum.accumulate(np.linspace(0.09, 0.03, 300))
    chart = terminal_plot(best, "error").splitlines()
    assert max(map(len, chart)) <= 80
    assert "0.09" in chart[1]
    assert "0.03" in chart[9]
    filled = [line.count("█") for line in chart[1:10]]
    assert filled == sorted(filled), "each row is filled at least as far as the one above it"


def test_terminal_plot_stays_silent_without_anything_to_show():
    assert terminal_plot(np.array([0.1, 0.1, 0.1, 0.1]), "error") == ""
    assert terminal_plot(np.array([np.inf, np.inf, np.inf]), "error") == ""


def test_plain_display_prints_lines_and_not_too_many(result, capsys):
    display = live.PlainDisplay(interval=1e9)
    display.on_plan(result.plan, Path("runs/x"))
    for epoch in range(5):
        display.on_prepare("training", epoch, 4)
    display.on_start(StartInfo(Path("runs/x"), 10, 200, 0, ("error",), result.start))
    for done in range(1, 201):
        display.on_progress(Progress(done, 200, (0.05,), 20.0, (200 - done) / 20, done // 10))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "sew-digits · de · seed 3 · budget 200 evaluations"
    assert lines[1] == "training"
    assert lines[2] == "start: error 0.08 on search, test accuracy 90.00 %"
    assert lines[3].startswith("200/200 evaluations, best error 0.05")
    assert len(lines) == 4


def test_terminal_display_draws_a_bar_and_leaves_none_behind(result, monkeypatch):
    from rich.console import Console

    display = live.TerminalDisplay()
    screen = io.StringIO()
    display.console = Console(file=screen, force_terminal=True, width=80, highlight=False)
    display.on_plan(result.plan, Path("runs/x"))
    display.on_prepare("training [8/8]", 1, 4)
    display.on_start(StartInfo(Path("runs/x"), 10, 200, 50, ("error",), result.start))
    display.on_progress(Progress(100, 200, (0.05,), 20.0, 5.0, 10))
    display._bar.refresh()
    display.on_message("half memory")
    display.on_finish(result)
    shown = screen.getvalue()
    for expected in ("continuing after 50", "test accuracy 90.00 %", "100/200", "error 0.05", "20/s", "5.0 s left"):
        assert expected in shown
    assert display._bar is None


def test_best_so_far_is_of_feasible_evaluations(monkeypatch, tmp_path):
    columns = {
        "objective.error": [3.0, 1.0, 2.0, 0.5],
        "constraint.0": [0.0, 0.1, -1.0, -1.0],
        "constraint.1": [0.0] * 3 + [1.0],
    }
    monkeypatch.setattr(
        convergence,
        "load_evaluations",
        lambda directory, wanted: pa.table(columns).select([name for name in columns if wanted(name)]),
    )
    values, best = convergence.best_so_far(tmp_path, "error")
    assert values.tolist() == columns["objective.error"]
    assert best.tolist() == [3.0, 3.0, 2.0, 2.0]
