"""jDE, JADE, SaDE, CoDE, SHADE and L-SHADE: their adaptation against the papers' formulas, archive and reduction."""

import numpy as np
import pytest
import torch
from scipy import stats

from snnbench.algorithms.code import COMPOSITE, PAIRS, Composite
from snnbench.algorithms.differential_evolution import Outcome, Pool
from snnbench.algorithms.differential_evolution.members import Members
from snnbench.algorithms.differential_evolution.sampling import cauchy_factors
from snnbench.algorithms.differential_evolution.success_history import SuccessHistory
from snnbench.algorithms.jade import AdaptiveMeans
from snnbench.algorithms.jde import SelfAdaptive
from snnbench.algorithms.lshade import initial_size
from snnbench.algorithms.sade import CANDIDATES, StrategyAdaptation

RNG = np.random.default_rng


def outcome(factors, rates, parents, trials, strategies=None, targets=None):
    n = len(factors)
    return Outcome(
        np.arange(n) if targets is None else np.array(targets),
        np.array(factors, float),
        np.array(rates, float),
        np.zeros(n, np.int64) if strategies is None else np.array(strategies),
        np.array(parents, float),
        np.array(trials, float),
    )


def test_cauchy_factors():
    rng = RNG(0)
    factors = cauchy_factors(np.full(20_000, 0.4), rng)
    assert factors.min() > 0
    assert factors.max() == 1
    law = stats.cauchy(0.4, 0.1)
    inside = factors[factors < 1]

    def cdf(x):
        return (law.cdf(x) - law.cdf(0)) / (law.cdf(1) - law.cdf(0))

    assert stats.kstest(inside, cdf).pvalue > 1e-3
    cut = law.sf(1) / law.sf(0)
    assert abs((factors == 1).mean() - cut) < 4 * np.sqrt(cut / 20_000)


def test_jde_values_survive_with_their_member():
    control, rng = SelfAdaptive(0.5, 0.5), RNG(1)
    first = control.sample(4, rng)
    assert set(first.factors[first.factors != 0.5]) | set(first.rates[first.rates != 0.9])
    # better, equal, worse, failed; the last two keep what they had
    control.learn(outcome([0.2, 0.3, 0.4, 0.6], [0.1, 0.2, 0.3, 0.4], [1, 1, 1, np.inf], [0, 1, 2, np.inf]), rng)
    assert control.factors == [0.2, 0.3, 0.5, 0.5]
    assert control.rates == [0.1, 0.2, 0.9, 0.9]
    control.learn(outcome([0.7], [0.8], [1], [0], targets=[2]), rng)  # told alone, in an asynchronous run
    assert control.factors == [0.2, 0.3, 0.7, 0.5]


def test_jde_draws():
    control, rng = SelfAdaptive(0.1, 0.3), RNG(2)
    n = 40_000
    factors, rates, *_ = control.sample(n, rng)
    new_f, new_cr = factors != 0.5, rates != 0.9
    for new, share in ((new_f, 0.1), (new_cr, 0.3), (new_f & new_cr, 0.03)):
        assert abs(new.mean() - share) < 4 * np.sqrt(share / n)
    assert stats.kstest(factors[new_f], stats.uniform(0.1, 0.9).cdf).pvalue > 1e-3
    assert stats.kstest(rates[new_cr], stats.uniform(0, 1).cdf).pvalue > 1e-3


def test_jade_means():
    control, rng = AdaptiveMeans(0.1, 0.05), RNG(3)
    good = [0.2, 0.9], [0.3, 0.5]
    control.learn(outcome([*good[0], 0.7, 0.7], [*good[1], 0.9, 0.9], [5, 4, 1, 1], [4, 1, 1, 2]), rng)
    assert control.factor == pytest.approx(0.9 * 0.5 + 0.1 * (0.04 + 0.81) / 1.1)
    assert control.rate == pytest.approx(0.9 * 0.5 + 0.1 * 0.4)
    kept = control.factor, control.rate
    control.learn(outcome([0.1], [0.1], [1], [1]), rng)  # no success, no change
    assert (control.factor, control.rate) == kept
    settings = control.sample(10, rng)
    assert settings.shares.tolist() == [0.2] * 10  # two of ten at least
    assert control.sample(100, rng).shares[0] == 0.05


@pytest.mark.parametrize("terminal", [False, True])
def test_success_history(terminal):
    control, rng = SuccessHistory(2, None, terminal), RNG(4)
    f, cr, w = np.array([0.2, 0.8]), np.array([0.5, 0.9]), np.array([0.25, 0.75])  # gains 1 and 3
    control.learn(outcome([*f, 0.9], [*cr, 0.1], [5, 4, 1], [4, 1, 1]), rng)
    assert control.factors == pytest.approx([(w @ f**2) / (w @ f), 0.5])
    assert control.rates == pytest.approx([(w @ cr**2) / (w @ cr) if terminal else w @ cr, 0.5])
    assert control.place == 1
    control.learn(outcome([0.3], [0.4], [1], [2]), rng)
    assert control.place == 1
    control.learn(outcome([0.3], [0.4], [2], [1]), rng)
    assert control.place == 0
    assert (control.factors[1], control.rates[1]) == pytest.approx((0.3, 0.4))


def test_terminal_value_stays():
    control, rng = SuccessHistory(1, 0.11, True), RNG(5)
    control.learn(outcome([0.5, 0.5], [0.0, 0.0], [2, 2], [1, 1]), rng)
    assert control.rates == [-1.0]
    assert (control.sample(50, rng).rates == 0).all()
    control.learn(outcome([0.5], [0.7], [2], [1]), rng)
    assert control.rates == [-1.0]


def test_shares_of_shade_and_lshade():
    shade, lshade = SuccessHistory(5, None, False), SuccessHistory(5, 0.11, True)
    shares = shade.sample(50, RNG(6)).shares
    assert 2 / 50 <= shares.min() < 0.06 < 0.18 < shares.max() <= 0.2
    assert (np.rint(shares * 50) >= 2).all()
    assert lshade.sample(50, RNG(6)).shares.tolist() == [0.11] * 50
    assert lshade.sample(4, RNG(6)).shares.tolist() == [0.5] * 4
    assert shade.sample(4, RNG(6)).shares.tolist() == [0.5] * 4


def test_sade_learns_strategies_and_rates():
    control, rng = StrategyAdaptation(4, 3), RNG(7)
    n = 400
    for _ in range(2):
        assert np.bincount(control.sample(n, rng).strategies).tolist() == [100] * 4  # stochastic universal sampling
        which = np.arange(n) % 4
        # strategy 1 always succeeds, with CR = 0.2 or 0.3; strategy 2 half the time, with 0.8; the others never
        rates = np.where(which == 1, np.where(np.arange(n) % 8 < 4, 0.2, 0.3), np.where(which == 2, 0.8, 0.5))
        good = (which == 1) | ((which == 2) & (np.arange(n) % 8 < 4))
        control.learn(outcome(np.full(n, 0.5), rates, np.ones(n), np.where(good, 0.5, 2.0), which), rng)
    assert len(control.trials) == 2
    control.learn(outcome(np.full(n, 0.5), rates, np.ones(n), np.where(good, 0.5, 2.0), which), rng)
    settings = control.sample(n, rng)
    weights = np.array([0.01, 1.01, 0.51, 0.01])
    assert np.abs(np.bincount(settings.strategies, minlength=4) - n * weights / weights.sum()).max() <= 1
    assert np.median(settings.rates[settings.strategies == 1]) == pytest.approx(0.25, abs=0.05)
    assert np.median(settings.rates[settings.strategies == 2]) == pytest.approx(0.8, abs=0.05)
    assert settings.rates.min() >= 0
    assert settings.rates.max() <= 1
    assert stats.kstest(control.sample(5000, rng).factors, stats.norm(0.5, 0.3).cdf).pvalue > 1e-3
    for _ in range(3):  # the window moves on: now only strategy 0 succeeds
        control.learn(outcome(np.full(n, 0.5), rates, np.ones(n), np.where(which == 0, 0.5, 2.0), which), rng)
    assert len(control.trials) == 3
    assert np.bincount(control.sample(n, rng).strategies).argmax() == 0
    assert [s.whole for s in CANDIDATES] == [False, False, False, True]


def test_code_strategies_and_pairs():
    settings = Composite().sample(3000, RNG(8))
    assert settings.strategies.tolist() == [0, 1, 2] * 1000
    pairs = np.stack([settings.factors, settings.rates], axis=1)
    counts = [(pairs == pair).all(axis=1).sum() for pair in PAIRS]
    assert sum(counts) == 3000
    assert stats.chisquare(counts).pvalue > 1e-3
    pool = Pool(np.zeros(500, np.int64), np.full(500, 0.8), np.ones(500), np.arange(8.0))
    (k, plus, minus), (f, *_) = COMPOSITE[2].draw(pool, RNG(9)).differences
    assert (minus == 0).all()
    assert 0 in plus  # the released code does not keep the target out
    assert (f == 0.8).all()
    assert stats.kstest(k, stats.uniform(0, 1).cdf).pvalue > 1e-3
    (k, *_), (f, *_) = COMPOSITE[1].draw(pool, RNG(9)).differences
    assert stats.kstest(k, stats.uniform(0, 1).cdf).pvalue > 1e-3
    assert (f == 0.8).all()


def test_code_best_of_three_competes(toys):
    algorithm = toys["make"]("code", toys["task"](dimension=20, budget=1000), population=6)
    x = algorithm.ask()
    algorithm.tell(x, toys["evaluations"]([3.0] * 6))
    before = algorithm.population.clone()
    trials = algorithm.ask()
    assert trials.shape == (18, 20)
    assert algorithm.annotations()["strategy"].tolist() == [0, 1, 2] * 6
    fitness = [4, 2, 3] + [1, 0, 1] + [5, 5, 3] + [9] * 3 + [np.inf] * 3 + [np.inf, 3, 4]
    kept = trials.clone()
    algorithm.tell(trials, toys["evaluations"]([float(value) for value in fitness]))
    expected = before.clone()
    for member, row in ((0, 1), (1, 4), (2, 8), (5, 16)):
        expected[member] = kept[row]
    assert torch.equal(algorithm.population, expected)
    assert algorithm.fitness.tolist() == [2, 0, 3, 3, 3, 3]


def test_archive_of_members():
    rng = RNG(10)
    members = Members(torch.arange(4.0)[:, None].repeat(1, 3), archive=3)
    for step in range(20):
        old = members.population.clone()
        member, new = step % 4, torch.full((3,), 100.0 + step)
        members.replace(member, new, archive=True, rng=rng)
        expected = old.clone()
        expected[member] = new
        assert torch.equal(members.population, expected)
        archived = members.pool[members.archived][:, 0].tolist()
        assert old[member, 0].item() in archived
        assert len(archived) == len(set(archived)) == min(step + 1, 3)
        assert sorted(members.rows + members.archived + members.free) == list(range(7))
    twin = Members.load(members.state_dict(), torch.device("cpu"))
    members.replace(0, torch.zeros(3), archive=False, rng=rng)
    assert twin.population[0, 0] != 0  # it has memory of its own
    members.shrink([0, 3], 1, rng)
    assert members.population[:, 0].tolist() == [0.0, 119.0]
    assert len(members.archived) == members.limit == 1
    assert sorted(members.rows + members.archived + members.free) == list(range(7))


def test_archive_holds_what_was_replaced(toys):
    algorithm = toys["make"]("jade", toys["task"](dimension=30, budget=10_000), population=4)
    x = algorithm.ask()
    algorithm.tell(x, toys["evaluations"]([4.0, 3.0, np.inf, 1.0]))
    before = algorithm.population.clone()
    algorithm.tell(algorithm.ask(), toys["evaluations"]([2.0, 3.0, 5.0, 7.0]))
    archived = algorithm.members.pool[algorithm.members.archived]
    # equal ones replace without being archived, and what had failed is not worth keeping
    assert torch.equal(archived, before[:1])
    without = toys["make"]("jade", toys["task"](dimension=30, budget=10_000), population=4, archive=0.0)
    assert len(without.ask()) == 4
    assert without.members.pool.shape[0] == 4


def test_lshade_shrinks_linearly_to_four(toys):
    task = toys["task"](dimension=5, budget=2000)
    algorithm = toys["make"]("lshade", task, population=60)
    left, sizes = task.budget, []
    while left > 0:
        x = algorithm.ask()[:left]
        left -= len(x)
        fitness = toys["sphere"](x)
        best = min(float(fitness.min()), float(algorithm.fitness.min()))
        algorithm.tell(x, toys["evaluations"](fitness))
        assert float(algorithm.fitness.min()) == best
        assert len(algorithm.members.archived) <= round(2.6 * len(algorithm.fitness))
        if left and len(x) != 60:
            expected = round(60 + (4 - 60) * (2000 - left) / 2000)
            assert len(algorithm.fitness) == max(4, expected)
        sizes.append(len(algorithm.fitness))
    assert sizes[0] == 60
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 6
    assert initial_size(10, 100_000) == 180
    assert initial_size(10, 5000) == 100
    assert initial_size(20_000_000, 5000) == 100
    assert initial_size(2, 100) == 18


@pytest.mark.parametrize("base", ["jde", "jade", "sade", "code", "shade", "lshade"])
@pytest.mark.parametrize("schedule", ["plain", "noise", "hold", "oscillating"])
def test_cade_drives_adaptive_variants(toys, base, schedule):
    task = toys["task"](budget=1800, offered=0)
    algorithm = toys["make"]("cade", task, base=base, schedule=schedule, population=20)
    plain = toys["make"](base, task, population=20)
    assert [s.name for s in algorithm.parts.strategies] == [s.name for s in plain.parts.strategies]
    assert algorithm.parts.archive == plain.parts.archive
    _, values = toys["drive"](algorithm)
    assert values[-100:].min() < 0.7 * values[:20].min()


def test_cade_scales_what_the_base_proposes(toys):
    """At the floor, F is at most f_min / f of what JADE's rule allows, so at most 0.2."""
    task = toys["task"](budget=20 * 31, offered=0)
    algorithm = toys["make"]("cade", task, base="jade", population=20)
    notes = []
    for _ in range(31):
        x = algorithm.ask()
        notes.append(algorithm.annotations()["F"].copy())
        algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
    assert np.max(notes[1]) > 0.5
    assert np.max(notes[-1]) <= 0.2 * 1.05
    assert 0.2 < algorithm.parts.control.inner.factor <= 1  # learned unscaled
    other = toys["make"]("cade", task, base="jade", strategy="rand/1", archive=0.5, bounds="clip", population=20)
    assert [s.name for s in other.parts.strategies] == ["rand/1"]
    assert other.parts.archive == 0.5
