"""What a run records, and what it does about algorithms and problems that misbehave."""

import json

import numpy as np
import pytest
from safetensors.torch import load_file

from snnbench.errors import AlgorithmError, RecordError, SnnbenchError, UsageError
from snnbench.experiment.log import ROW_GROUP
from snnbench.experiment.loop import resume, run
from snnbench.experiment.record import find_runs, load_evaluations, load_timings, open_run


def rows_of(directory):
    return load_evaluations(directory).to_pandas()


def test_record_of_a_run(tmp_path, plan, watcher):
    observer = watcher()
    result = run(plan(budget=25), tmp_path, observer)
    rows = rows_of(result.directory)
    assert list(rows["evaluation"]) == list(range(25))  # exact, though generations have 3 and then 7
    assert list(rows["generation"]) == [0] * 3 + [1] * 7 + [2] * 7 + [3] * 7 + [4]
    assert (rows["objective.error"] == rows["error"]).all()
    assert rows["algorithm.step"].isna().sum() == 3  # not annotated in the initial generation
    x = np.column_stack([rows["x.rate"], (rows["x.steps"] - 0.5) / 8, rows["x.leak"]])
    assert (x[:, 0] >= 0).all()
    assert (x[:, 0] <= 1).all()
    assert set(rows["x.steps"]) <= set(range(1, 9))
    assert rows["x.leak"].between(1e-3, 1.0).all()
    assert np.allclose(rows["spikes"][4][:2], [rows["x.rate"][4], 2 * rows["x.rate"][4]])
    assert load_evaluations(result.directory).schema.field("spikes").metadata[b"shape"] == b"[3, 2]"
    assert "seconds" not in rows
    timings = load_timings(result.directory).to_pandas()
    assert {"evaluation", "seconds", "evaluate", "ask", "tell", "problem.seconds"} == set(timings)
    content = json.loads((result.directory / "run.json").read_text())
    assert (content["status"], content["stop"], content["evaluations"]) == ("complete", "budget", 25)
    assert content["algorithm"]["parameters"] == {"size": 7, "step": 0.3}
    assert content["problem"]["description"] == {"optimum": 0.5}
    assert content["environment"]["versions"]["torch"]
    assert len(set(content["seeds"].values())) == 4
    events = [event for event, *_ in observer.seen]
    assert events[0] == "on_plan"
    assert events.index("on_prepare") < events.index("on_start") < events.index("on_progress")
    assert events[-1] == "on_finish"
    (info,) = observer.named("on_start")[0]
    assert info.start[0]["test"]["error"] > 0
    last = observer.named("on_progress")[-1][0]
    assert last.evaluations == 25
    assert last.best == (rows["error"].min(),)


def test_same_seed_same_bytes_other_seed_others(tmp_path, plan):
    files = [
        (run(plan(seed=seed, budget=30), tmp_path / name).directory / "evaluations.parquet").read_bytes()
        for seed, name in ((0, "a"), (0, "b"), (1, "a"))
    ]
    assert files[0] == files[1] != files[2]


def test_parts_and_chunks_leave_no_trace_in_large_records(tmp_path, plan):
    few = plan(algorithm="Walk", budget=ROW_GROUP + 500, settings=["size=501"])
    many = plan(
        algorithm="Walk",
        budget=ROW_GROUP + 500,
        settings=["toys.Walk.size=501", "evaluation.chunk=100", "evaluation.flush_seconds=0"],
    )
    a, b = run(few, tmp_path / "a").directory, run(many, tmp_path / "b").directory
    assert (a / "evaluations.parquet").read_bytes() == (b / "evaluations.parquet").read_bytes()
    assert len(rows_of(a)) == ROW_GROUP + 500


def test_complete_runs_are_returned_and_others_refused(tmp_path, plan):
    first = run(plan(budget=10), tmp_path)
    again = run(plan(budget=10), tmp_path)
    assert (first.cached, again.cached) == (False, True)
    assert again.final == first.final
    content = json.loads((first.directory / "run.json").read_text())
    content["problem"]["source_sha256"] = "0" * 64
    (first.directory / "run.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"toys.Bowl has changed since .*--fresh"):
        run(plan(budget=10), tmp_path)
    assert not run(plan(budget=10), tmp_path, fresh=True).cached
    assert run(plan(budget=10), tmp_path).cached


def test_interrupted_run_of_other_data_is_refused(tmp_path, plan):
    result = run(plan(budget=10), tmp_path)
    content = json.loads((result.directory / "run.json").read_text())
    content["status"] = "interrupted"
    content["problem"]["description"] = {"optimum": 0.25, "source": "/elsewhere"}
    (result.directory / "run.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"problem.description.optimum was 0.25, now 0.5"):
        run(plan(budget=10), tmp_path)


def test_fresh_deletes_only_its_own(tmp_path, plan):
    result = run(plan(budget=10), tmp_path)
    (result.directory / "notes.txt").write_text("mine")
    run(plan(budget=10), tmp_path, fresh=True)
    assert (result.directory / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("algorithm", "message", "kept"),
    [
        ("Raises", r"^toys.Raises failed in tell: IndexError: index 8 is out of bounds$", 17),
        ("WrongShape", r"^toys.WrongShape: ask must return candidates of shape \(n, 3\), n >= 1, got \(3, 2\)$", 0),
        ("Nan", r"^toys.Nan: ask returned NaN or infinite coordinates$", 3),
        ("Opaque", r"^toys.Opaque: of its state, algorithm.thing is a object, which a checkpoint cannot hold; use", 3),
        ("Unbuildable", r"^toys.Unbuildable failed in its constructor: RuntimeError: not today$", 0),
    ],
)
def test_algorithms_that_break_the_contract(tmp_path, plan, algorithm, message, kept):
    made = plan(algorithm, budget=40)
    with pytest.raises(AlgorithmError, match=message):
        run(made, tmp_path)
    record = open_run(made.directory(tmp_path))
    assert record.status == "failed"
    assert record.content["stop"] == "algorithm error"
    assert record.content["error"]["message"]
    assert len(rows_of(record.directory)) == kept == record.content["evaluations"]
    with pytest.raises(AlgorithmError, match=message):  # again, from the record
        resume(record.directory)


def test_a_problem_that_raises(tmp_path, plan):
    made = plan("Walk", "Broken", budget=40, settings=["step=3"])
    with pytest.raises(SnnbenchError, match=r"^problem broken failed while evaluating: ZeroDivisionError: no such w"):
        run(made, tmp_path)
    assert open_run(made.directory(tmp_path)).status == "failed"


def test_candidates_that_yield_nan_never_stop_a_run(tmp_path, plan):
    result = run(plan(budget=60, settings=["problem.poison=0.5"]), tmp_path)
    rows = rows_of(result.directory)
    failed = rows["failure"] != ""
    assert 0 < failed.sum() < 60
    assert (rows["failure"][failed] == "not finite: error").all()
    assert np.isinf(rows["objective.error"][failed]).all()
    assert result.final[0]["search"]["error"] == rows["objective.error"].min() < np.inf


def test_all_candidates_fail(tmp_path, plan):
    result = run(plan(budget=12, settings=["problem.poison=1.5"]), tmp_path)
    assert (result.evaluations, result.final) == (12, [])
    assert "reason" in json.loads((result.directory / "recommendation.json").read_text())


def test_out_of_gpu_memory_halves_chunks_and_says_so_once(tmp_path, plan, watcher):
    observer = watcher()
    result = run(plan("Walk", "Crowded", budget=60), tmp_path, observer)
    assert result.evaluations == 60
    (message,) = observer.named("on_message")
    assert "smaller chunks" in message[0]
    assert rows_of(result.directory)["error"].equals(rows_of(run(plan(budget=60), tmp_path).directory)["error"])


def test_pick_is_best_on_validation_not_on_search(tmp_path, plan):
    # Search: 0.05 < 0.25 < 0.45 < 0.95. Validation: 0.45 gives 0.6, 0.25 gives 0.8, 0.05 gives 1.0, 0.95 gives 2.
    result = run(plan("Grid", "Plateau", budget=8), tmp_path)
    (final,) = result.final
    assert final["validation"]["error"] == pytest.approx(0.6)
    assert final["search"]["error"] == pytest.approx(0.45)
    assert final["test"]["error"] == pytest.approx(0.6)
    assert final["evaluation"] == 2
    assert final["source"] == "recommended by the algorithm"
    vectors = load_file(result.directory / "recommendation.safetensors")["x"]
    assert vectors.tolist() == [[pytest.approx(0.45), 0.5, 0.5]]
    # Initial design 0.1, 0.9, 0.3: validation 0.9, 2, 0.7.
    (start,) = result.start
    assert (start["source"], start["evaluation"]) == ("initial design 2", None)
    assert start["validation"]["error"] == pytest.approx(0.7)
    assert start["search"]["error"] == pytest.approx(0.3)


def test_test_split_is_seen_once(tmp_path, plan, monkeypatch):
    monkeypatch.setenv("BOWL_LOG", str(tmp_path / "calls"))
    run(plan(budget=40), tmp_path)
    tests = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("test")]
    assert tests == ["test 1", "test 1"]  # the start's pick and the final pick


def test_two_objectives_keep_what_nothing_dominates(tmp_path, plan):
    result = run(plan(budget=80, objectives=["error", "energy"]), tmp_path)
    validation = np.array([[p["validation"]["error"], p["validation"]["energy"]] for p in result.final])
    assert len(validation) > 3
    for row in validation:
        assert not ((validation <= row).all(axis=1) & (validation < row).any(axis=1)).any()
    rows = rows_of(result.directory)
    for point in result.final:
        assert rows["digest"][point["evaluation"]] == point["digest"]
    assert len(load_file(result.directory / "recommendation.safetensors")["x"]) == len(validation)


def test_large_spaces_have_no_variable_columns(tmp_path, plan):
    result = run(plan("Walk", "Wide", budget=10), tmp_path)
    assert not [name for name in rows_of(result.directory) if name.startswith("x.")]
    assert result.start == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "run.json").write_text("{"), r"run.json is truncated or no JSON"),
        (lambda d: (d / "run.json").write_text('{"schema_version": 99}'), r"record schema 99, this snnbench reads 1"),
        (lambda d: (d / "run.json").write_text('{"schema_version": 1}'), r"lacks status, plan, problem, algorithm"),
        (lambda d: cut(d / "evaluations.parquet"), r"evaluations.parquet is truncated .*--fresh"),
        (lambda d: cut(d / "checkpoint.safetensors"), r"checkpoint.safetensors is truncated .*delete it and resume"),
        (lambda d: cut(d / "start.json"), r"start.json is truncated or no JSON; delete it and resume"),
        (lambda d: (d / "evaluations.parquet").unlink(), r"checkpoint knows 20 evaluations, the record holds only 0"),
    ],
)
def test_damaged_records(tmp_path, plan, damage, message):
    result = run(plan(budget=20), tmp_path)
    content = json.loads((result.directory / "run.json").read_text())
    (result.directory / "run.json").write_text(json.dumps(content | {"status": "interrupted"}))
    damage(result.directory)
    with pytest.raises(RecordError, match=message) as caught:
        resume(result.directory)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_damaged_checkpoint_can_be_deleted_as_advised(tmp_path, plan):
    result = run(plan(budget=20), tmp_path)
    before = (result.directory / "evaluations.parquet").read_bytes()
    content = json.loads((result.directory / "run.json").read_text())
    (result.directory / "run.json").write_text(json.dumps(content | {"status": "interrupted"}))
    (result.directory / "checkpoint.safetensors").unlink()
    assert resume(result.directory).final == result.final
    assert (result.directory / "evaluations.parquet").read_bytes() == before


def test_record_that_does_not_match(tmp_path, plan):
    a, b = plan(budget=20, seed=0), plan(budget=20, seed=1)
    first, second = run(a, tmp_path).directory, run(b, tmp_path).directory
    (first / "evaluations.parquet").write_bytes((second / "evaluations.parquet").read_bytes())
    (first / "checkpoint.safetensors").unlink()
    content = json.loads((first / "run.json").read_text())
    (first / "run.json").write_text(json.dumps(content | {"status": "interrupted"}))
    with pytest.raises(RecordError, match=r"does not match what toys.Walk asks for at evaluation 3"):
        resume(first)


def test_runs_are_found(tmp_path, plan):
    made = [run(plan(budget=5, seed=seed), tmp_path).directory for seed in (1, 0)]
    assert find_runs(tmp_path) == sorted(made)
    assert find_runs(made[0]) == [made[0]]
    assert find_runs(tmp_path / "nowhere") == []


def test_not_a_run(tmp_path):
    with pytest.raises(RecordError, match="is not a run directory"):
        resume(tmp_path)
    with pytest.raises(RecordError, match="is not a run directory"):
        load_evaluations(tmp_path / "nowhere")
