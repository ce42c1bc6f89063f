"""Mutation strategies against their formulas, written out in numpy."""

import numpy as np
import pytest
import torch
from scipy import stats

from snnbench.algorithms.differential_evolution import STRATEGIES, Pool
from snnbench.algorithms.differential_evolution.bounds import BOUNDS, clip
from snnbench.algorithms.differential_evolution.crossover import BinomialCrossover
from snnbench.algorithms.differential_evolution.mutation import distinct
from snnbench.algorithms.differential_evolution.trials import BLOCK, LONG_ROW, SPAN, Recipe, make_trials

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
    "current-to-best/2": lambda x, i, r, best, pbest, f: (
        x[i] + f * (x[best] - x[i]) + f * (x[r[0]] - x[r[1]]) + f * (x[r[2]] - x[r[3]])
    ),
    "current-to-rand/1": lambda x, i, r, k, pbest, f: x[i] + k * (x[r[0]] - x[i]) + f * (x[r[1]] - x[r[2]]),
}
DRAWN = {"rand/1": 3, "rand/2": 5, "current-to-best/2": 4, "current-to-rand/1": 3}
"""How many distinct members a strategy draws; the others draw two."""


def made(population, donors, targets, crossover, repair=clip, box=(-1e9, 1e9), seed=0):
    """Trials of these donors, all members of a population that is the whole pool."""
    trials = torch.full_like(population[: len(targets)], torch.nan)
    recipe = Recipe(
        targets,
        donors.base,
        donors.differences,
        crossover,
        *(torch.tensor(bound, dtype=population.dtype) for bound in box),
        repair,
        np.random.default_rng(seed),
    )
    make_trials(population, recipe, trials)
    return trials


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
    pool = Pool(targets, factors, np.full(N, 0.3), FITNESS)
    donors = STRATEGIES[name].draw(pool, np.random.default_rng(11))
    crossover = BinomialCrossover(np.full(N, rate), dimension, True, rng, torch.Generator())
    trials = made(population, donors, targets, crossover)

    # the same draws again, to know which members were named
    repeat = np.random.default_rng(11)
    best = np.full(N, 3)
    pbest = donors.differences[0][1]
    if name == "current-to-pbest/1":
        r = np.stack(donors.differences[1][1:], axis=1)
        assert all(len({i, *row.tolist()}) == 3 for i, row in enumerate(r))
    else:
        r = distinct(targets, N, DRAWN.get(name, 2), repeat)
    if name == "current-to-rand/1":
        best = repeat.random(N)  # K
    x = population.numpy()
    for i in range(N):
        mutant = FORMULAS[name](x, i, r[i], best[i], pbest[i], factors[i])
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
    n = 2000
    targets = np.zeros(n, np.int64)
    draw = STRATEGIES["current-to-pbest/1"].draw
    donors = draw(Pool(targets, np.ones(n), np.full(n, 0.34), FITNESS), np.random.default_rng(3))
    assert set(donors.differences[0][1]) == {3, 7, 1}
    donors = draw(Pool(targets, np.ones(n), np.zeros(n), FITNESS), np.random.default_rng(3))
    assert set(donors.differences[0][1]) == {3}
    shares = np.repeat([0.0, 0.34], n // 2)  # each trial its own share
    best = draw(Pool(targets, np.ones(n), shares, FITNESS), np.random.default_rng(3)).differences[0][1]
    assert set(best[: n // 2]) == {3}
    assert set(best[n // 2 :]) == {3, 7, 1}


def test_second_donor_may_come_from_the_archive():
    n, archived = 6000, 4
    targets = np.full(n, 2)
    pool = Pool(targets, np.ones(n), np.full(n, 0.1), FITNESS, archived)
    _, first, second = STRATEGIES["current-to-pbest/1"].draw(pool, np.random.default_rng(4)).differences[1]
    assert (first != second).all()
    assert stats.chisquare(np.bincount(first, minlength=N)[np.arange(N) != 2]).pvalue > 1e-3
    among = np.bincount(second, minlength=N + archived)
    assert among[2] == 0
    # archived members are hit by every trial's second donor, members only where they are not its first
    expected = np.full(N + archived, n / (N + archived - 2))
    expected[:N] *= (N - 2) / (N - 1)
    assert stats.chisquare(np.delete(among, 2), np.delete(expected, 2)).pvalue > 1e-3


@pytest.mark.parametrize("dimension", [40, LONG_ROW + 5, SPAN + LONG_ROW])
def test_trials_do_not_depend_on_the_number_of_threads(dimension):
    """Nor on how a row is cut for them: every span has a random stream of its own."""
    population = torch.randn(N, dimension, generator=torch.Generator().manual_seed(0))
    pool = Pool(np.arange(3), np.full(3, 0.5), np.full(3, 0.1), FITNESS)
    threads, made_with = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            rng = np.random.default_rng(8)
            donors = STRATEGIES["rand/1"].draw(pool, rng)
            crossover = BinomialCrossover(np.array([0.9, 0.3, 0.2]), dimension, True, rng, torch.Generator())
            made_with.append(made(population, donors, pool.targets, crossover))
    finally:
        torch.set_num_threads(threads)
    assert not made_with[0].isnan().any()
    assert torch.equal(made_with[0], made_with[1])
    assert torch.equal(made_with[0], made_with[2])


@pytest.mark.parametrize("rates", [[0.9] * N, [0.9, 0.5, 0.02, 0.3, 1.0, 0.7, 0.99, 0.1, 0.5]])
def test_rows_drawn_together_cross_at_their_own_rates_independently(rates):
    d = 4 * LONG_ROW + 5
    assert SPAN // d > N  # so that crossover is drawn for all of them at once
    rng = np.random.default_rng(21)
    population = torch.from_numpy(rng.normal(size=(N, d)))
    targets, rates = np.arange(N), np.array(rates)
    donors = STRATEGIES["rand/1"].draw(Pool(targets, np.full(N, 0.5), np.full(N, 0.1), FITNESS), rng)
    crossed = made(population, donors, targets, BinomialCrossover(rates, d, False, rng, torch.Generator()), seed=3)
    crossed = (crossed != population).numpy()
    error = np.sqrt(rates * (1 - rates) / d)
    assert (np.abs(crossed.mean(axis=1) - rates) <= 5 * error).all()
    assert crossed[rates == 1].all()
    mixed = crossed[rates < 1]
    rows = np.concatenate([mixed, mixed[:, np.roll(np.arange(d), 1)]])  # neighbours must be independent as well
    between = np.corrcoef(rows)[~np.eye(len(rows), dtype=bool)]
    assert np.abs(between).max() < 5 / np.sqrt(d)


REPAIRED = {
    "clip": lambda v, target: v,
    "midpoint": lambda v, target: np.where(v < -1, (target - 1) / 2, np.where(v > 1, (target + 1) / 2, v)),
    "reflect": lambda v, target: np.where(v < -1, -2 - v, np.where(v > 1, 2 - v, v)),
}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("dimension", [50, LONG_ROW + 5])
@pytest.mark.parametrize("rate", [1.0, 0.5, 0.01])
def test_mutants_outside_the_box(name, dimension, rate):
    rng = np.random.default_rng(12)
    population = torch.from_numpy(rng.uniform(-1, 1, size=(N, dimension)))
    targets = np.arange(N)
    donors = STRATEGIES["rand/1"].draw(Pool(targets, np.full(N, 0.7), np.ones(N), FITNESS), rng)
    crossover = BinomialCrossover(np.full(N, rate), dimension, True, rng, torch.Generator())
    trials = made(population, donors, targets, crossover, BOUNDS[name], (-1.0, 1.0)).numpy()
    x = population.numpy()
    (scale, plus, minus) = donors.differences[0]
    mutant = x[donors.base] + scale[:, None] * (x[plus] - x[minus])
    outside = np.abs(mutant) > 1
    assert 0.05 < outside.mean() < 0.6
    crossed = trials != x
    assert abs(crossed.mean() - rate) < 0.1
    if name == "redraw":
        assert np.abs(trials).max() <= 1
        np.testing.assert_allclose(trials[crossed & ~outside], mutant[crossed & ~outside], 1e-6, 1e-12)
        if rate == 1:
            assert stats.kstest(trials[outside][:5000], stats.uniform(-1, 2).cdf).pvalue > 1e-3
        return
    np.testing.assert_allclose(trials[crossed], REPAIRED[name](mutant, x)[crossed], 1e-6, 1e-12)
    if name == "midpoint":
        assert np.abs(trials).max() <= 1
