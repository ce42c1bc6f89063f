"""F and CR schedules against formulas computed here, step by step."""

import numpy as np
import pytest

from snnbench.algorithms.differential_evolution.control import (
    Annealed,
    Constant,
    Control,
    CosineAnnealing,
    Outcome,
    Scaled,
    Settings,
)

F0, F_MIN, CR0, CR_MIN, T = 0.8, 0.1, 0.9, 1e-3, 7


def schedule(name, clipped=False, period=T):
    control = CosineAnnealing(Annealed(F0, F_MIN), Annealed(CR0, CR_MIN), name, period, clipped)
    control.begin(100)
    return control


def cosine(x0, m, g, period):
    return m + (x0 - m) * (1 + np.cos(np.pi * g / period)) / 2


def learn(control, improved, size=5):
    parents = np.ones(size)
    trials = np.where(np.arange(size) < improved, 0.5, 1.5)
    nothing = np.zeros(size)
    outcome = Outcome(np.arange(size), nothing, nothing, nothing, parents, trials)
    control.learn(outcome, np.random.default_rng(0))


def test_constant():
    f, cr, *_ = Constant(0.5, 0.9).sample(4, np.random.default_rng(0))
    assert f.tolist() == [0.5] * 4
    assert cr.tolist() == [0.9] * 4


def test_plain():
    control, rng = schedule("plain"), np.random.default_rng(0)
    for g in range(3 * T):
        f, cr, *_ = control.sample(3, rng)
        assert f == pytest.approx([cosine(F0, F_MIN, g, T)] * 3)
        assert cr == pytest.approx([cosine(CR0, CR_MIN, g, T)] * 3)
    assert schedule("plain").sample(1, rng)[0] == pytest.approx([F0])


def test_oscillating_goes_negative_unless_clipped():
    control, rng = schedule("oscillating", period=5), np.random.default_rng(0)
    values = [control.sample(1, rng)[0][0] for _ in range(12)]
    assert values == pytest.approx([F_MIN + (F0 - F_MIN) * np.cos(np.pi * g / 5) / 2 for g in range(12)])
    assert min(values) < 0
    control = schedule("oscillating", clipped=True, period=5)
    assert min(control.sample(1, rng)[0][0] for _ in range(12)) == F_MIN


def test_noise_is_uniform_and_apart_for_f_and_cr():
    rng = np.random.default_rng(1)
    f_noise, cr_noise = [], []
    for _ in range(400):
        control = schedule("noise")
        for g in range(5):
            f, cr, *_ = control.sample(2, rng)
            assert f[0] == f[1]
            f_noise.append(f[0] - cosine(F0, F_MIN, g, T))
            cr_noise.append(cr[0] - cosine(CR0, CR_MIN, g, T))
    f_unit = (np.array(f_noise) - F_MIN) / (F0 - F_MIN)
    cr_unit = (np.array(cr_noise) - CR_MIN) / (CR0 - CR_MIN)
    for unit in (f_unit, cr_unit):
        assert -1e-9 < unit.min() < 0.01
        assert 0.99 < unit.max() < 1 + 1e-9
        assert abs(unit.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(f_unit, cr_unit)[0, 1]) < 0.1


def test_noise_clipped_to_floor_and_initial():
    control, rng = schedule("noise", clipped=True), np.random.default_rng(2)
    values = np.array([control.sample(1, rng)[:2] for _ in range(200)])[:, :, 0]
    assert values[:, 0].min() >= F_MIN
    assert values[:, 0].max() == F0
    assert values[:, 1].max() == CR0


def test_hold_keeps_values_while_more_than_one_member_improved():
    control, rng = schedule("hold"), np.random.default_rng(3)
    improved = [0, 1, 2, 5, 1, 3, 0, 0]
    held, last = 0, None
    for g, count in enumerate(improved):
        f, cr = (value[0] for value in control.sample(2, rng)[:2])
        if g and improved[g - 1] > 1:
            held += 1
            assert (f, cr) == last
        else:
            assert (f, cr) != last
            base = cosine(F0, F_MIN, g - held, T)
            assert base + F_MIN <= f <= base + F0
        last = f, cr
        learn(control, count)
    assert held == 3


def test_period_defaults_to_all_generations():
    control = CosineAnnealing(Annealed(F0, F_MIN), Annealed(CR0, CR_MIN), "plain")
    control.begin(20)
    values = [control.sample(1, np.random.default_rng(0))[0][0] for _ in range(21)]
    assert values[0] == pytest.approx(F0)
    assert values[20] == pytest.approx(F_MIN)
    assert (np.diff(values) < 0).all()


def test_state():
    first, rng = schedule("hold"), np.random.default_rng(4)
    for count in (0, 3, 4):
        first.sample(2, rng)
        learn(first, count)
    second = CosineAnnealing(Annealed(F0, F_MIN), Annealed(CR0, CR_MIN), "hold", clipped=False)
    second.load_state_dict(first.state_dict())
    for count in (2, 0, 0):
        a, b = first.sample(2, np.random.default_rng(count)), second.sample(2, np.random.default_rng(count))
        assert np.array_equal(a[:2], b[:2])
        learn(first, count)
        learn(second, count)


class Recording(Control):
    """Proposes the same values always and remembers what it is told."""

    def __init__(self):
        self.told = []

    def sample(self, size, rng):
        return Settings(np.full(size, 0.6), np.full(size, 0.4), np.arange(size) % 2)

    def learn(self, outcome, rng):
        self.told.append(outcome)

    def state_dict(self):
        return {"told": len(self.told)}


def test_scaled_multiplies_and_teaches_what_was_proposed():
    inner = Recording()
    control, rng = Scaled(schedule("plain", clipped=True), inner), np.random.default_rng(5)
    for g in range(T):
        f, cr, strategies, _ = control.sample(4, rng)
        assert f == pytest.approx([0.6 * cosine(F0, F_MIN, g, T) / F0] * 4)
        assert cr == pytest.approx([0.4 * cosine(CR0, CR_MIN, g, T) / CR0] * 4)
        assert strategies.tolist() == [0, 1, 0, 1]
        control.learn(Outcome(np.arange(4), f, cr, strategies, np.ones(4), np.zeros(4)), rng)
        assert inner.told[-1].factors == pytest.approx([0.6] * 4)
        assert inner.told[-1].rates == pytest.approx([0.4] * 4)
    assert control.state_dict()["schedule"]["generation"] == T


def test_gains_are_finite():
    """A failed target that is improved on counts as much as the greatest gain, and never as infinity."""
    parents, trials = np.array([np.inf, 5.0, 3.0, 1.0, np.inf]), np.array([2.0, 1.0, 2.5, 1.0, np.inf])
    nothing = np.zeros(5)
    outcome = Outcome(np.arange(5), nothing, nothing, nothing, parents, trials)
    assert outcome.improved.tolist() == [True, True, True, False, False]
    assert outcome.gains.tolist() == [4.0, 4.0, 0.5]
    alone = Outcome(np.arange(1), nothing, nothing, nothing, np.array([np.inf]), np.array([2.0]))
    assert alone.gains.tolist() == [1.0]
