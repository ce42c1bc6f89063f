"""A gradient reference: gradients are charged to the budget, and a resumed run charges the same."""

import math
import os
import signal

import pytest

from snnbench.errors import UsageError
from snnbench.experiment.interrupt import Interrupted
from snnbench.experiment.loop import resume, run
from snnbench.experiment.plan import check, plans
from snnbench.experiment.record import load_evaluations, open_run
from snnbench.report.summary import overview, summary


@pytest.fixture
def sgd(plan):
    def make(problem="Slope", **options):
        toys = plan().problem.rpartition(":")[0]
        settings = ["lr=0.05", "batch=10", "checkpoints=6", *options.pop("settings", ())]
        (made,) = plans(["sgd"], [f"{toys}:{problem}"], device="cpu", settings=settings, **options)
        return made

    return make


def test_samples_of_gradients_are_charged(tmp_path, sgd, watcher):
    observer = watcher()
    result = run(sgd(budget=50), tmp_path, observer)
    charged = open_run(result.directory).content["charged_samples"]
    rows = load_evaluations(result.directory).to_pandas()
    assert len(rows) == 3 + 6
    assert len(rows) + math.ceil(charged / 40) == 50
    assert rows["algorithm.steps"].iloc[-1] * 10 == charged
    assert rows["objective.error"].iloc[-1] < 0.01 * rows["objective.error"].iloc[:3].min()
    assert observer.named("on_progress")[-1][0].evaluations == 50
    assert result.reference
    assert "not ranked" in summary(result, ["error"])
    assert "sgd*" in overview([(result, ["error"])])


def test_a_resumed_run_is_the_same(tmp_path, sgd, watcher):
    whole = run(sgd(budget=50), tmp_path / "whole")

    def interrupt(progress):
        if progress.evaluations > 20:
            os.kill(os.getpid(), signal.SIGINT)

    made = sgd(budget=50, settings=["evaluation.flush_seconds=0"])
    with pytest.raises(Interrupted):
        run(made, tmp_path / "parts", watcher(interrupt))
    done = resume(made.directory(tmp_path / "parts"))
    names = "evaluations.parquet", "recommendation.json"
    for name in names:
        assert (done.directory / name).read_bytes() == (whole.directory / name).read_bytes()
    counts = [open_run(d.directory).content["charged_samples"] for d in (whole, done)]
    assert counts[0] == counts[1]


def test_a_problem_without_gradients_is_refused(sgd):
    with pytest.raises(UsageError, match="sgd needs gradients, which the problem does not offer"):
        check(sgd("Bowl"))
