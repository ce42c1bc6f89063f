"""Equivalence up to a margin: against definitions, against enumeration, and in words."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from snnbench.errors import UsageError
from snnbench.report.equivalence import content, shown
from snnbench.stats.equivalence import PRIOR, bayesian_signed_rank, equivalences, tost
from snnbench.stats.ranking import rank
from snnbench.stats.tests import signed_rank_greater

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("n", [3, 10, 25])
def test_one_sided_signed_rank_is_scipys(n):
    d = RNG.normal(0.2, 1.0, n)
    assert signed_rank_greater(d) == pytest.approx(stats.wilcoxon(d, alternative="greater", method="exact").pvalue)


def test_one_sided_signed_rank_with_ties_and_zeros_by_enumeration():
    d = np.array([0.0, 1.0, 1.0, -1.0, 2.0, -2.0, 3.0])
    ranks = stats.rankdata(np.abs(d))[d != 0]
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=6)]
    observed = ranks[d[d != 0] > 0].sum()
    assert signed_rank_greater(d) == pytest.approx(np.mean([s >= observed - 1e-9 for s in sums]))
    assert signed_rank_greater(np.zeros(4)) == 1.0


def test_one_sided_signed_rank_of_many_is_near_scipys():
    d = RNG.normal(0.2, 1.0, 60)
    expected = stats.wilcoxon(d, alternative="greater", method="approx", correction=True).pvalue
    assert signed_rank_greater(d) == pytest.approx(expected, rel=0.02)


def test_equivalence_is_not_the_absence_of_a_difference():
    noisy = np.array([0.3, -0.3, 0.25, -0.2, 0.1, -0.15])
    assert stats.wilcoxon(noisy).pvalue > 0.5
    assert tost(noisy, 0.05) > 0.3
    assert tost(noisy / 100, 0.05) == pytest.approx(2.0**-6)  # the least that six problems can give
    assert tost(np.full(6, 0.04), 0.05) == pytest.approx(2.0**-6)  # all differ, and are equivalent
    assert tost(np.full(6, 0.05), 0.05) == 1.0  # exactly the margin is not within it


def test_bayesian_signed_rank_follows_its_definition():
    """By sampling the process one draw at a time, with sums written out."""
    d, margin, n = np.array([0.03, 0.08, -0.01, 0.06, 0.02, 0.07]), 0.04, 2000
    rng, points, won = np.random.default_rng(9), [0.0, *np.array([0.03, 0.08, -0.01, 0.06, 0.02, 0.07])], np.zeros(3)
    for _ in range(n):
        weights = rng.gamma([PRIOR] + [1.0] * len(d))
        mass = np.zeros(3)
        for (u, a), (v, b) in itertools.product(zip(weights, points, strict=True), repeat=2):
            mass[0 if a + b > 2 * margin else 2 if a + b < -2 * margin else 1] += u * v
        won[mass.argmax()] += 1
    found = bayesian_signed_rank(d, margin)
    assert sum(found) == pytest.approx(1.0)
    assert found == pytest.approx(tuple(won / n), abs=4 * 0.5 / np.sqrt(n))
    mirrored = bayesian_signed_rank(-d, margin)
    assert mirrored[::-1] == pytest.approx(found, abs=0.03)
    assert bayesian_signed_rank(d[::-1], margin)[1] == found[1]


def results(problems=8):
    rows = [
        {
            "run": f"{p}/{name}/{seed}", "problem": f"p{p}", "version": 1, "variant": "", "algorithm": name,
            "seed": seed, "budget": 10, "objectives": "error", "status": "complete", "device": "cpu",
            "official": True, "reference": False, "ideal": 0.0, "worst": 1.0, "test": level + 0.01 * p + 0.001 * seed,
        }
        for p in range(problems)
        for name, level in {"a": 0.1, "an-algorithm-with-a-long-name[x=1]": 0.105, "poor": 0.4}.items()
        for seed in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_pairs_are_named_and_failures_are_never_equivalent_to_success():
    table = results()
    ranking = rank(table)
    found = equivalences(ranking.scores, 0.02)
    verdicts = {tuple(p["algorithms"]): p["verdict"] for p in content(ranking, found, 0.02)["pairs"]}
    long = "an-algorithm-with-a-long-name[x=1]"
    assert verdicts == {
        ("a", long): "equivalent, a better",
        ("a", "poor"): "a better",
        (long, "poor"): f"{long} better",
    }
    text = shown(ranking, found, 0.02)
    assert max(map(len, text.splitlines())) <= 80
    assert "equivalent, first better" in text
    table.loc[table["algorithm"] == "a", ["test", "status"]] = [np.inf, "failed"]
    failed = equivalences(rank(table).scores, 0.02)["a", "poor"]
    assert failed.corrected == 1.0
    assert failed.second > 0.99


def test_what_cannot_be_tested():
    few = rank(results(problems=3))
    assert "too few problems to show" in " ".join(shown(few, equivalences(few.scores, 0.1), 0.1).split())
    for margin in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match="margin"):
            equivalences(few.scores, margin)
    with pytest.raises(UsageError, match="two or more"):
        equivalences(rank(results(problems=1)).scores, 0.1)


@pytest.mark.slow
def test_type_one_error_of_equivalence():
    """Algorithms that differ by exactly the margin are called equivalent in at most 5 % of cases."""
    rng = np.random.default_rng(1)
    wrong = [tost(rng.normal(0.05, 0.02, 12), 0.05) <= 0.05 for _ in range(5_000)]
    assert 0.03 <= np.mean(wrong) <= 0.055
