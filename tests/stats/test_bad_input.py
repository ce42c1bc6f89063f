"""Records that are few, odd, damaged or hostile: a right answer, or one clear line."""

import json

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from snnbench.cli import main
from snnbench.errors import UsageError
from snnbench.report.ranking import content, shown
from snnbench.stats.measures import MEASURES
from snnbench.stats.ranking import rank
from snnbench.stats.results import load_results
from snnbench.stats.selection import select


def table(values, algorithms, status=None):
    """Results with the values (problems, algorithms, seeds)."""
    rows = [
        {
            "run": f"{p}/{a}/{s}", "problem": f"p{p}", "version": 1, "variant": "", "algorithm": algorithms[a],
            "seed": s, "budget": 10, "objectives": "error",
            "status": "failed" if np.isinf(values[p, a, s]) else "complete",
            "device": "cpu", "official": True, "reference": False, "ideal": 0.0, "worst": 1.0, "test": values[p, a, s],
        }
        for p, a, s in np.ndindex(values.shape)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@st.composite
def matrices(draw):
    """Values with ties and failures, of few or many problems, algorithms and seeds."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(2, 4), st.integers(1, 4)))
    cells = st.sampled_from([0.1, 0.2, 0.25, 0.4, np.inf])
    return np.array(draw(st.lists(cells, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))).reshape(shape)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(matrices(), st.randoms(use_true_random=False))
def test_order_changes_nothing_and_other_algorithms_no_pair(values, random):
    names = ["b", "a", "d", "c"][: values.shape[1]]
    results = table(values, names)
    found = rank(results)
    expected = content(found)
    rows = list(range(len(results)))
    random.shuffle(rows)
    assert content(rank(results.iloc[rows])) == expected
    assert json.loads(json.dumps(expected, allow_nan=False)) == json.loads(json.dumps(expected))
    assert max(map(len, shown(found, True).splitlines())) <= 80
    for standing in found.standings or found.tasks[0].standings:
        assert 1 <= standing.rank <= len(names)
    if len(names) > 2:
        fewer = rank(results[results["algorithm"] != names[-1]])
        for old, new in zip([fewer, *fewer.tasks], [found, *found.tasks], strict=True):
            for pair, outcome in old.verdicts.pairs.items() if old.verdicts else ():
                assert new.verdicts.pairs[pair] == outcome


@pytest.mark.parametrize("value", [0.3, np.inf])
def test_ties_everywhere_are_one_shared_rank(value):
    found = rank(table(np.full((6, 3, 5), value), ["a", "b", "c"]))
    assert {s.rank for s in found.standings} == {1}
    assert found.omnibus.p == 1.0
    assert {p.effect for t in [found, *found.tasks] for p in t.verdicts.pairs.values()} == {0.0}


def test_algorithms_that_were_told_the_budget_are_named(recorded):
    for name in ("a", "b"):
        damage(recorded(algorithm=name), ("algorithm.horizon", name == "b"))
    assert any(
        note.startswith("b: depends on the budget") for note in rank(load_results(recorded.folder), "ecdf").notes
    )
    assert not rank(load_results(recorded.folder), "test").notes


def test_algorithms_that_were_told_penalties_are_named(recorded):
    for algorithm, penalty in (("de", True), ("tpe", False)):
        plan = {"problem": "p", "algorithm": algorithm, "budget": 10, "seed": 0, "penalty": penalty}
        recorded(algorithm=algorithm, plan=plan)
    notes = select(load_results(recorded.folder)).notes
    assert "told penalised objectives in the place of constraints on p: de" in notes


def test_runs_from_other_members_are_not_ranked_together_silently(recorded):
    for name, digest in (("a", "11"), ("b", "22")):
        recorded(algorithm=name, about={"description": {"checkpoints": [{"sha256": "00"}, {"sha256": digest}]}})
    runs = load_results(recorded.folder)
    with pytest.raises(UsageError, match=r"p was run from differently trained networks .* --allow-mixed"):
        rank(runs)
    assert any("differently trained" in note for note in rank(runs, mixed=True).notes)


def damage(run, how):
    """What happens to files."""
    evaluations, recommendation, record = (
        run / name for name in ("evaluations.parquet", "recommendation.json", "run.json")
    )
    if how == "truncated":
        evaluations.write_bytes(evaluations.read_bytes()[:-40])
    elif how == "empty":
        evaluations.write_bytes(b"")
    elif how == "no recommendation":
        recommendation.unlink()
    elif how == "recommends a word":
        recommendation.write_text('{"start": [], "final": ["good"]}')
    else:
        changed = json.loads(record.read_text())
        place, value = how
        *path, last = place.split(".")
        inner = changed
        for key in path:
            inner = inner[key]
        inner[last] = value
        record.write_text(json.dumps(changed))


EDITS = [("problem", {}), ("problem.objectives", []), ("evaluations", "many"), ("plan.budget", "10"), ("timings", None),
         ("problem.reference_points", {"error": None}), ("algorithm", "de"), ("schema_version", 99)]  # fmt: skip


@pytest.mark.parametrize("how", [*EDITS, "no recommendation", "recommends a word"])
def test_an_edited_run_is_left_out_and_said_so(recorded, capsys, how):
    for name in ("a", "b"):
        for seed in range(3):
            run = recorded(algorithm=name, seed=seed, values=[0.5, 0.4], budget=2)
    damage(run, how)
    assert main(["rank", str(recorded.folder)]) == 0
    assert "1 unreadable run is left out" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["truncated", "empty"])
def test_damaged_evaluations_are_one_line(recorded, capsys, how):
    recorded(algorithm="a")
    damage(recorded(algorithm="b"), how)
    for measure in ("search", "anytime", "ecdf"):
        assert main(["rank", str(recorded.folder), "--measure", measure]) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert "evaluations.parquet is truncated" in printed.err


def test_nan_counts_as_the_worst(recorded):
    recorded(algorithm="a", values=[np.nan, 0.5, np.nan], final=[[np.nan]])
    recorded(algorithm="b", values=[0.9, 0.9, 0.9])
    runs = load_results(recorded.folder)
    assert [s.algorithm for s in rank(runs).tasks[0].standings] == ["b", "a"]
    assert [s.algorithm for s in rank(runs, "search").tasks[0].standings] == ["a", "b"]
    for measure in ("anytime", "ecdf"):
        assert all(np.isfinite(s.value) for s in rank(runs, measure).tasks[0].standings)


def test_one_seed_one_problem_every_measure(recorded, capsys):
    for name in ("a", "b"):
        recorded(algorithm=name, objectives=("error", "energy"), values=np.full((4, 2), 0.5))
    for measure in MEASURES:
        assert main(["rank", str(recorded.folder), "--measure", measure]) == 0
        assert "1 seeds are too few" in capsys.readouterr().out


def test_names_steer_no_terminal(recorded, capsys):
    for name in ("a", "b"):
        run = recorded(algorithm=name)
    damage(run, ("algorithm.name", "\x1b[31m<b>\\input{x}\nrank 0"))
    assert main(["rank", str(recorded.folder), "--problems"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "�[31m<b>\\input{x}�rank 0" in printed
