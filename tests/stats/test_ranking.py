"""Ranks from tables of results: what they must say, and what must not change them."""

import json

import numpy as np
import pandas as pd
import pytest

from snnbench.errors import UsageError
from snnbench.report.ranking import content, shown
from snnbench.stats.measures import remarks
from snnbench.stats.ranking import rank
from snnbench.stats.results import load_results

QUALITY = {"good": 0.0, "fair": 0.1, "poor": 0.3}


def results(problems=8, seeds=10, quality=QUALITY, noise=0.02, **changes):
    rng = np.random.default_rng(0)
    rows = [
        {
            "run": f"runs/p{p}/{name}/{seed}",
            "problem": f"p{p}",
            "version": 1,
            "variant": "",
            "algorithm": name,
            "seed": seed,
            "budget": 100,
            "objectives": "error",
            "status": "complete",
            "device": "cpu",
            "official": True,
            "reference": False,
            "ideal": 0.0,
            "worst": 1.0 + p,
            "test": (0.2 + level + noise * rng.normal()) * (1.0 + p),
        }
        | changes
        for p in range(problems)
        for name, level in quality.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def ranks(ranking):
    return {s.algorithm: s.rank for s in ranking.standings}


def test_a_recommendation_that_violates_a_constraint_is_infinitely_bad(recorded):
    """However small its error: it is no solution."""
    for seed, (error, constraint) in enumerate([(0.1, 0.2), (0.3, 0.0), (0.2, None), (0.4, -1.0)]):
        run = recorded(seed=seed, final=[[error]])
        path = run / "recommendation.json"
        found = json.loads(path.read_text())
        found["final"][0]["test"]["constraints"] = [-0.5, constraint]
        path.write_text(json.dumps(found))
    runs = load_results(recorded.folder).sort_values("seed")
    assert runs["test"].tolist() == [np.inf, 0.3, np.inf, 0.4]
    assert runs["search"].tolist() == [0.1, 0.3, 0.2, 0.4]
    assert remarks(runs, "test") == [
        "2 runs recommend nothing that is feasible and finite on the test split: infinitely bad"
    ]
    assert remarks(runs[1:2], "test") == []


def test_clear_differences_are_found():
    found = rank(results())
    assert ranks(found) == {"good": 1, "fair": 2, "poor": 3}
    assert [s.value for s in found.standings] == [1.0, 2.0, 3.0]
    assert found.omnibus.p < 1e-6
    for task in found.tasks:
        assert [s.algorithm for s in task.standings] == ["good", "fair", "poor"]
        assert [s.rank for s in task.standings] == [1, 2, 3]
    best = found.standings[0]
    assert (best.better, best.worse, best.low, best.high) == (2, 0, 1.0, 1.0)


def test_equal_algorithms_share_their_rank():
    found = rank(results(quality={"a": 0.0, "b": 0.0, "c": 0.0}))
    assert set(ranks(found).values()) == {1}
    assert "no pair is" in shown(found, details=False) or found.omnibus.p <= 0.05


def test_order_of_rows_changes_nothing():
    table = results()
    expected = content(rank(table))
    assert content(rank(table.sample(frac=1, random_state=3))) == expected


def test_another_algorithm_changes_no_pair_before_correction():
    few, many = results(), results(quality=QUALITY | {"extra": 0.05})
    many = pd.concat([few, many[many["algorithm"] == "extra"]])
    before, after = rank(few), rank(many)
    for old, new in zip([before, *before.tasks], [after, *after.tasks], strict=True):
        for pair, found in old.verdicts.pairs.items():
            assert new.verdicts.pairs[pair] == found


def test_failed_runs_rank_last_and_are_never_dropped():
    table = results()
    lost = table["algorithm"].eq("good") & table["seed"].lt(6)
    table.loc[lost, ["status", "test"]] = ["failed", np.inf]
    found = rank(table)
    assert found.standings[-1].algorithm == "good"
    assert found.standings[-1].failed == 48
    assert any("48 failed runs" in note for note in found.notes)
    assert "failed" in shown(found, details=True)


def test_all_failed():
    found = rank(results(status="failed", test=np.inf))
    assert set(ranks(found).values()) == {1}
    assert "inf" in shown(found, details=True)


def test_an_algorithm_that_is_missing_somewhere_is_named_and_ranked_where_it_ran():
    table = results()
    found = rank(table[~(table["algorithm"].eq("fair") & table["problem"].eq("p3"))])
    assert set(ranks(found)) == {"good", "poor"}
    assert found.incomplete == {"fair": ["p3"]}
    assert "fair (not on p3)" in shown(found, details=False)
    assert {s.algorithm for s in found.tasks[0].standings} == set(QUALITY)


def test_one_problem_and_few_seeds():
    found = rank(results(problems=1, seeds=2))
    assert found.standings == []
    text = shown(found, details=False)
    assert "2 seeds are too few to tell any two apart" in text
    assert [s.rank for s in found.tasks[0].standings] == [1, 1, 1]


def test_few_problems_say_what_they_cannot_show():
    text = shown(rank(results(problems=4)), details=False)
    assert "can give no p below 0.12" in " ".join(text.split())
    assert "too few to tell any two apart" in " ".join(text.split())


@pytest.mark.parametrize("column", ["version", "budget", "variant", "objectives", "device", "official"])
def test_mixtures_are_refused_or_noted(column):
    other = {
        "version": 2,
        "budget": 50,
        "variant": "steps=2",
        "objectives": "loss",
        "device": "cuda",
        "official": False,
    }
    table = results(seeds=4)
    changed = table.copy()
    changed[column] = other.get(column, False)
    changed["seed"] += 100
    both = pd.concat([table, changed])
    with pytest.raises(UsageError, match=r"--allow-mixed"):
        rank(both)
    noted = rank(both, mixed=True)
    assert noted.notes
    assert len(noted.tasks) == (8 if column in ("device", "official") else 16)


def test_conditions():
    table = results()
    assert set(ranks(rank(table, where=["algorithm=good,poor"]))) == {"good", "poor"}
    assert len(rank(table, where=["problem=p1,p2"]).tasks) == 2
    with pytest.raises(UsageError, match="no complete run with budget=7"):
        rank(table, where=["budget=7"])
    with pytest.raises(UsageError, match="column=value"):
        rank(table, where=["colour=red"])


def test_what_cannot_be_ranked():
    with pytest.raises(UsageError, match="only one algorithm"):
        rank(results(quality={"alone": 0.0}))
    with pytest.raises(UsageError, match="no complete run"):
        rank(results(status="interrupted"))
    table = results()
    with pytest.raises(UsageError, match="there twice"):
        rank(pd.concat([table, table.iloc[:1]]))
    with pytest.raises(UsageError, match="alpha"):
        rank(table, alpha=1.5)
    with pytest.raises(UsageError, match="unknown measure"):
        rank(table, "luck")


def test_gradient_references_are_not_ranked():
    table = results()
    table["reference"] = table["algorithm"].eq("good")
    found = rank(table)
    assert set(ranks(found)) == {"fair", "poor"}
    assert any("good: uses gradients" in note for note in found.notes)


def test_text_fits_a_terminal():
    names = {f"a-rather-long-algorithm-name-{i}": 0.05 * i for i in range(12)}
    text = shown(rank(results(quality=names)), details=True)
    assert max(map(len, text.splitlines())) <= 80


def test_corrected_verdicts_are_those_of_scikit_posthocs():
    """Holm over pairs, of Mann-Whitney on each problem and of the signed-rank test across problems."""
    posthocs = pytest.importorskip("scikit_posthocs")
    table = results(problems=10, seeds=8, quality={"a": 0.0, "b": 0.015, "c": 0.02, "d": 0.05})
    found = rank(table)
    for task in found.tasks:
        own = table[table["problem"] == task.task]
        expected = posthocs.posthoc_mannwhitney(own, val_col="test", group_col="algorithm", p_adjust="holm")
        for pair, p in task.verdicts.corrected.items():
            assert p == pytest.approx(expected.loc[pair])
    long = found.scores.melt(var_name="algorithm", value_name="score", ignore_index=False)
    expected = posthocs.posthoc_wilcoxon(long, val_col="score", group_col="algorithm", p_adjust="holm")
    assert len(found.verdicts.corrected) == 6
    for pair, p in found.verdicts.corrected.items():
        assert p == pytest.approx(expected.loc[pair])


def test_results_are_one_call_away():
    import snnbench
    from snnbench.stats.results import load_results

    assert snnbench.load_results is load_results
    assert "load_results" in snnbench.__all__
    with pytest.raises(AttributeError, match="has no attribute 'results'"):
        _ = snnbench.results
