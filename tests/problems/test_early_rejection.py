"""What is left early has lost, and everything else is as if nothing had been left."""

import json
import os
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from snnbench.cli import main
from snnbench.errors import AlgorithmError
from snnbench.experiment.interrupt import Interrupted
from snnbench.experiment.loop import run
from snnbench.experiment.observer import Observer
from snnbench.experiment.plan import plans
from snnbench.problem import Context
from snnbench.snn.rejection import evaluate_bounded, hardest_first
from snnbench.stats.results import load_results

SETTINGS = {
    "members": 3, "source_epochs": 2, "epochs": 1, "batch": 32, "width": 4, "blocks": "1-1-1", "calibration": 64,
    "search_samples": 240, "chunk": 100,
}  # fmt: skip


def assert_same(column, other):
    """Equal bits, in arrays too; F and CR of an initial population are NaN."""
    for one, two in zip(column, other, strict=True):
        assert np.array_equal(one, two) or (one != one and two != two), column.name


@pytest.fixture
def made(tmp_path, cache):
    """``made("de", early_rejection=True, ...)``: the run and its evaluations."""

    def make(algorithm, observer=None, out="runs", **options):
        settings = [f"problem.{name}={value}" for name, value in SETTINGS.items()] + options.pop("settings", [])
        given = {"budget": 33, "seeds": [4], "device": "cpu"} | options
        (plan,) = plans([algorithm], ["sew-digits"], settings=settings, **given)
        result = run(plan, tmp_path / out, observer, Context(cache_dir=cache))
        return result, pq.read_table(result.directory / "evaluations.parquet").to_pandas()

    return make


def test_out_of_memory_means_smaller_passes(digits, monkeypatch):
    evaluator = digits._evaluator
    images, labels = digits._samples["search"]
    x = digits.initial(2)
    order = hardest_first(evaluator, x, images, labels, "error")
    arguments = (x, images, labels, np.full(2, np.inf), "error", order)
    monkeypatch.setattr(evaluator, "chunk", 25)
    expected = evaluate_bounded(evaluator, *arguments)
    monkeypatch.setattr(evaluator, "chunk", 100)
    forward = evaluator.forward

    def small(network, x, tally=None):
        if tally is not None and len(x) > 30:
            raise torch.cuda.OutOfMemoryError("pretended")
        return forward(network, x, tally)

    monkeypatch.setattr(evaluator, "forward", small)
    with pytest.warns(RuntimeWarning, match="out of memory: going on with fewer samples per pass"):
        found = evaluate_bounded(evaluator, *arguments)
    assert evaluator.chunk <= 25
    assert found["error"].tolist() == expected["error"].tolist()
    assert found["spikes"].tolist() == expected["spikes"].tolist()


@pytest.mark.parametrize(
    ("algorithm", "objective"),
    [("de", "error"), ("cade", "loss"), ("jade", "error"), ("jde", "loss"), ("sade", "etc_loss")],
)
def test_the_same_candidates_and_the_same_that_are_accepted(made, algorithm, objective):
    options = {"objectives": [objective], "budget": 99}  # losses reject late, and how late depends on the processor
    _, whole = made(algorithm, **options)
    result, early = made(algorithm, **options, early_rejection=True)
    assert (early["digest"] == whole["digest"]).all()  # so all decisions were the same
    rejected = early["rejected"] > 0
    assert rejected.any()
    assert not rejected[early["generation"] == 0].any()
    for name in set(whole) - {"rejected"}:
        assert_same(early.loc[~rejected, name], whole.loc[~rejected, name])
    values = f"objective.{objective}"
    # Never above the exact value (up to the rounding of a sum), and above the best so far, so no curve changes.
    assert (early.loc[rejected, values] <= whole.loc[rejected, values] * (1 + 1e-9)).all()
    assert (early[values].cummin() == whole[values].cummin()).all()
    assert (early.loc[rejected, "cost"] < 240 * 4).all()
    assert (early.loc[~rejected, "cost"] == 240 * 4).all()
    assert result.early_rejection == {
        "rejected": int(rejected.sum()),
        "samples": pytest.approx(early["cost"].mean() / (240 * 4)),
    }
    assert not rejected[[point["evaluation"] for point in result.final if point["evaluation"] is not None]].any()


def test_an_interrupted_run_and_one_with_workers_end_with_the_same_bytes(made):
    whole, _ = made("cade", early_rejection=True)

    class Interrupt(Observer):
        def on_progress(self, progress):
            if progress.evaluations == 17:
                os.kill(os.getpid(), signal.SIGINT)

    hasty = ["evaluation.chunk=1", "evaluation.flush_seconds=0"]
    with pytest.raises(Interrupted):
        made("cade", Interrupt(), "other", early_rejection=True, settings=hasty)
    other, _ = made("cade", None, "other", early_rejection=True, settings=hasty)
    pooled, _ = made("cade", None, "pooled", early_rejection=True, eval_workers=2)
    for result in (other, pooled):
        assert (result.directory / "evaluations.parquet").read_bytes() == (
            whole.directory / "evaluations.parquet"
        ).read_bytes()
        assert result.final == whole.final


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("random", {}),
        ("code", {}),
        ("ga", {}),
        ("de", {"objectives": ["energy"]}),
        ("nsga2", {"objectives": ["error", "loss"]}),
    ],
)
def test_where_exact_values_are_needed_none_is_left(made, algorithm, options):
    _, whole = made(algorithm, **options, budget=20)
    result, early = made(algorithm, **options, budget=20, early_rejection=True)
    assert result.early_rejection == {"rejected": 0, "samples": 1.0}
    for name in whole:
        assert_same(early[name], whole[name])


def test_bounds_at_the_very_value_and_just_below(digits):
    images, labels = digits._samples["search"]
    x = digits.initial(2)
    for metric in ("error", "loss"):
        exact = digits.measure(x, "search")[metric]
        order = hardest_first(digits._evaluator, digits.initial(3), images, labels, metric)
        assert sorted(order.samples.tolist()) == list(range(len(labels)))
        assert np.isclose(order.burden[-1], digits.measure(digits.initial(3), "search")[metric].mean())
        kept = evaluate_bounded(digits._evaluator, x, images, labels, exact, metric, order)
        assert kept["rejected"].tolist() == [0, 0]
        assert np.array_equal(kept[metric], exact)
        left = evaluate_bounded(digits._evaluator, x, images, labels, np.array([-1.0, np.inf]), metric, order)
        assert left["rejected"].tolist() == [1, 0]
        assert left["cost"][0] < left["cost"][1]


def test_a_candidate_that_is_not_finite_fails_for_the_same_reason(digits):
    images, labels = digits._samples["search"]
    x = digits.initial(1)
    x[0, -5:] = torch.inf
    order = hardest_first(digits._evaluator, digits.initial(3), images, labels, "loss")
    found = evaluate_bounded(digits._evaluator, x, images, labels, np.array([0.1]), "loss", order)
    expected = digits.measure(x, "search")
    assert found["failure"].tolist() == expected["failure"].tolist() != [""]
    assert found["rejected"].tolist() == [0]


def test_runs_with_and_without_are_told_apart(made, tmp_path):
    made("de", budget=12)
    result, _ = made("de", budget=12, early_rejection=True)
    assert json.loads((result.directory / "run.json").read_text())["plan"]["early_rejection"] is True
    variants = load_results(tmp_path / "runs")["variant"]
    assert sorted("early rejection" in variant for variant in variants) == [False, True]


def test_wrong_bounds_are_the_algorithms_fault(made, monkeypatch):
    from snnbench.algorithms.de import DE

    monkeypatch.setattr(DE, "bounds", lambda self: np.array([np.nan] * 8))
    with pytest.raises(AlgorithmError, match="bounds must return one number per candidate"):
        made("de", early_rejection=True)


def test_a_suite_fixes_it(capsys):
    assert main(["run", "--suite", "smoke", "--early-rejection"]) == 2
    assert "--early-rejection does not go with --suite" in capsys.readouterr().err
