"""BIPOP-CMA-ES: the regimes of pycma's fmin2, to the bit, and where runs start."""

import cma
import numpy as np
import pytest
import torch

from snnbench.space import Real, SearchSpace


def rastrigin(x):
    x = np.asarray(x, dtype=np.float64)
    return 10 * x.shape[-1] + (x**2 - 10 * np.cos(2 * np.pi * x)).sum(axis=-1)


def test_is_fmin2_with_bipop(toys, monkeypatch):
    """Given the same random numbers, pycma's own restart loop evaluates the same points."""
    budget, d, half = 12_000, 3, 2.0**12
    task = toys["task"](dimension=d, budget=budget, offered=0, half=half)
    # Powers of two, so that a step size in widths of the box is exactly pycma's step size.
    algorithm = toys["make"]("bipop-cma-es", task, seed=3, sigma_box=2.0**-9)
    monkeypatch.setattr(algorithm, "_anywhere", lambda: -10 + 20 * algorithm.rng.random(d))
    seen = []

    def ours(x):
        # In float64, as pycma has it: candidates are float32.
        values = np.array([rastrigin(point) for point in algorithm.drawn[: len(x)]])
        seen.extend(np.array(point) for point in algorithm.drawn[: len(x)])
        return torch.from_numpy(values)

    toys["drive"](algorithm, ours)
    rng = np.random.Generator(np.random.SFC64(3))
    monkeypatch.setattr(np.random, "uniform", lambda: rng.random())
    theirs = []

    def function(x):
        theirs.append(np.array(x))
        return float(rastrigin(x))

    options = {
        "seed": np.nan,
        "randn": lambda *shape: rng.standard_normal(shape),
        "maxfevals": budget,
        "maxstd": 2 * half / 3,
        "verbose": -9,
        "verb_log": 0,
        "eval_final_mean": False,  # left to itself, it evaluates the mean at the end of each run as well
    }
    cma.fmin2(
        function,
        lambda: -10 + 20 * rng.random(d),
        2.0**4,
        options,
        bipop=True,
        restarts={"maxrestarts": 9},
    )
    assert algorithm.restarts >= 6
    assert algorithm.doubled >= 2
    assert len(theirs) >= budget - 200
    shared = min(len(seen), len(theirs))
    assert np.array_equal(np.array(seen)[:shared], np.array(theirs)[:shared])


def test_both_regimes_get_their_share(toys):
    task = toys["task"](dimension=2, budget=20_000, offered=0)
    algorithm = toys["make"]("bipop-cma-es", task)
    sizes = []

    def noted(x):
        sizes.append(len(x))
        return torch.from_numpy(rastrigin(x.numpy()))

    toys["drive"](algorithm, noted)
    assert {6, 12, 24} <= set(sizes)
    assert len({size for size in sizes if size not in {6 * 2**k for k in range(10)}}) >= 2  # of small runs
    assert 0.25 < algorithm.small / (algorithm.small + algorithm.large) < 0.75


def test_flat_objective_restarts_and_stays_bounded(toys):
    sizes = []

    def flat(x):
        sizes.append(len(x))
        return torch.zeros(len(x))

    algorithm = toys["make"]("bipop-cma-es", toys["task"](budget=4000, offered=4), doublings=3)
    toys["drive"](algorithm, flat)
    assert algorithm.restarts >= 5
    assert max(sizes) == int(8 * (4 + 3 * np.log(10)))


def test_restarts_elsewhere(toys):
    """In a space of weights from the next best points of the design, in other spaces anywhere in the box."""
    design = None
    for space in (None, SearchSpace([Real(f"x{i}", 0.0, 1.0) for i in range(4)])):
        task = toys["task"](dimension=4, budget=3000, offered=5, space=space)
        algorithm = toys["make"]("bipop-cma-es", task)
        design = task.initial(5)
        started = []
        original = algorithm._restart

        def noted(original=original, started=started):
            run = original()
            started.append(run[0].copy())
            return run

        algorithm._restart = noted
        target = design[0].double()
        toys["drive"](algorithm, lambda x, target=target: toys["sphere"](x - target))
        assert len(started) >= 3
        order = toys["sphere"](design - target).argsort()
        known = [bool((design[order].double() == torch.from_numpy(mean)).all(dim=1).any()) for mean in started]
        assert started[0].tolist() == design[order[0]].tolist()
        assert known == ([True] * len(known) if space is None else [True] + [False] * (len(known) - 1))


@pytest.mark.parametrize("asks", [5, 60, 200])
def test_saved_state_across_restarts(toys, asks):
    task = toys["task"](dimension=2, budget=20_000, offered=3)
    original = toys["make"]("bipop-cma-es", task, seed=1)
    toys["drive"](original, asks=asks)
    restored = toys["make"]("bipop-cma-es", task, seed=2)
    restored.load_state_dict(original.state_dict())
    assert (restored.restarts, restored.small, restored.large) == (original.restarts, original.small, original.large)
    futures = [toys["drive"](algorithm, asks=100)[0] for algorithm in (original, restored)]
    assert torch.equal(*futures)
