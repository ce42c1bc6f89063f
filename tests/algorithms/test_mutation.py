"""Mutation strategies against their formulas, written out in numpy."""

import numpy as np
import pytest
import torch
from scipy import stats

from snnbench.algorithms.differential_evolution import STRATEGIES
from snnbench.algorithms.differential_evolution.crossover import BinomialCrossover
from snnbench.algorithms.differential_evolution.mutation import distinct
from snnbench.algorithms.differential_evolution.trials import BLOCK, LONG_ROW, make_trials

N = 9
FITNESS = np.array([5.0, 3.0, 8.0, 1.0, 9.0, 4.0, np.inf, 2.0, 7.0])


def test_distinct_rows():
    rng = np.random.default_rng(0)
    targets = np.arange(N)
    counts = np.zeros((N, N))
    for _ in range(400):
        rows = distinct(targets, N, 5, rng)
        single = distinct(targets[4:5], N, 5, rng)
        for row, target in [*zip(rows, targets, strict=True), (single[0], 4)]:
            assert len({target, *row.tolist()}) == 6
            assert 0 <= row.min() <= row.max() < N
        np.add.at(counts, (targets, rows[:, 4]), 1)  # the last one drawn is the one most likely to be biased
    others = counts[~np.eye(N, dtype=bool)].reshape(N, N - 1)
    assert stats.chisquare(others.ravel()).pvalue > 1e-3


def test_single_row_is_uniform_too():
    rng = np.random.default_rng(1)
    rows = np.concatenate([distinct(np.array([2]), 6, 3, rng) for _ in range(3000)])
    for column in rows.T:
        assert stats.chisquare(np.bincount(column, minlength=6)[[0, 1, 3, 4, 5]]).pvalue > 1e-3


FORMULAS = {
    "rand/1": lambda x, i, r, best, pbest, f: x[r[0]] + f * (x[r[1]] - x[r[2]]),
    "best/1": lambda x, i, r, best, pbest, f: x[best] + f * (x[r[0]] - x[r[1]]),
    "current-to-best/1": lambda x, i, r, best, pbest, f: x[i] + f * (x[best] - x[i]) + f * (x[r[0]] - x[r[1]]),
    "current-to-pbest/1": lambda x, i, r, best, pbest, f: x[i] + f * (x[pbest] - x[i]) + f * (x[r[0]] - x[r[1]]),
    "rand/2": lambda x, i, r, best, pbest, f: x[r[0]] + f * (x[r[1]] - x[r[2]]) + f * (x[r[3]] - x[r[4]]),
}


def test_every_strategy_has_its_formula():
    assert set(FORMULAS) == set(STRATEGIES)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dimension", [7, 300, LONG_ROW + 5, BLOCK["cpu"] + 3])
@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_trials_follow_the_formula(name, dimension, rate):
    rng = np.random.default_rng(2)
    population = torch.from_numpy(rng.normal(size=(N, dimension)))  # float64, so that only the formula matters
    before = population.clone()
    targets = np.arange(N)
    factors = rng.uniform(0.2, 0.9, size=N)
    drawn = np.random.default_rng(11)
    donors = STRATEGIES[name].draw(targets, FITNESS, 0.3, drawn)
    crossover = BinomialCrossover(np.full(N, rate), dimension, True, rng, torch.Generator())
    trials = torch.full_like(population, torch.nan)
    make_trials(population, targets, donors, factors, crossover, trials)

    # the same draws again, to know which members were named
    repeat = np.random.default_rng(11)
    r = distinct(targets, N, 3 if name == "rand/1" else 5 if name == "rand/2" else 2, repeat)
    pbest = repeat.choice(np.argsort(FITNESS)[:3], N)
    x = population.numpy()
    for i in range(N):
        mutant = FORMULAS[name](x, i, r[i], 3, pbest[i], factors[i])
        trial = trials[i].numpy()
        is_mutant = np.isclose(trial, mutant, rtol=1e-12, atol=1e-12)
        is_target = trial == x[i]
        assert (is_mutant | is_target).all()
        if rate == 1:
            assert is_mutant.all()
        else:
            assert 1 <= (~is_target).sum() <= 1 + 0.01 * dimension + 6 * np.sqrt(0.01 * dimension)
    assert torch.equal(population, before)


def test_pbest_share():
    targets = np.zeros(2000, np.int64)
    donors = STRATEGIES["current-to-pbest/1"].draw(targets, FITNESS, 0.34, np.random.default_rng(3))
    best = donors.differences[0][0]
    assert set(best) == {3, 7, 1}
    donors = STRATEGIES["current-to-pbest/1"].draw(targets, FITNESS, 0.0, np.random.default_rng(3))
    assert set(donors.differences[0][0]) == {3}
