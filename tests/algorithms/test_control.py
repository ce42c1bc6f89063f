"""F and CR schedules against formulas computed here, step by step."""

import numpy as np
import pytest

from snnbench.algorithms.differential_evolution.control import Annealed, Constant, CosineAnnealing

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
    control.learn(np.zeros(size), np.zeros(size), parents, trials)


def test_constant():
    f, cr = Constant(0.5, 0.9).sample(4, np.random.default_rng(0))
    assert f.tolist() == [0.5] * 4
    assert cr.tolist() == [0.9] * 4


def test_plain():
    control, rng = schedule("plain"), np.random.default_rng(0)
    for g in range(3 * T):
        f, cr = control.sample(3, rng)
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
            f, cr = control.sample(2, rng)
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
    values = np.array([control.sample(1, rng) for _ in range(200)])[:, :, 0]
    assert values[:, 0].min() >= F_MIN
    assert values[:, 0].max() == F0
    assert values[:, 1].max() == CR0


def test_hold_keeps_values_while_more_than_one_member_improved():
    control, rng = schedule("hold"), np.random.default_rng(3)
    improved = [0, 1, 2, 5, 1, 3, 0, 0]
    held, last = 0, None
    for g, count in enumerate(improved):
        f, cr = (value[0] for value in control.sample(2, rng))
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
        assert np.array_equal(a, b)
        learn(first, count)
        learn(second, count)
