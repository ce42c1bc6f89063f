"""What every registered algorithm must do, built-in or not."""

import json
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from snnbench import registry
from snnbench.parameters import describe
from snnbench.space import Categorical, Integer, Real, SearchSpace

NAMES = list(registry.entries("algorithm"))
EVERY = pytest.mark.parametrize("name", NAMES)


def test_the_roster():
    assert set(NAMES) >= {"random", "de", "cade", "cade-released", "cma-es", "sep-cma-es"}


@EVERY
def test_says_what_it_is(name):
    entry = registry.entries("algorithm")[name]
    assert 10 < len(entry.summary()) <= 75
    cls = entry.load()
    assert any(year in cls.reference for year in ("19", "20"))
    for row in describe(cls.Parameters):
        assert row["doc"], row["name"]
        assert row["source"], row["name"]


@EVERY
@pytest.mark.parametrize("offered", [None, 8, 1, 0])
def test_candidates(toys, name, offered):
    task = toys["task"](offered=offered, budget=300)
    algorithm = toys["make"](name, task)
    first = algorithm.ask()
    assert first.dtype == task.dtype
    design = task.initial(50)
    same = min(len(first), len(design))
    if offered is not None and name != "cade-released":
        assert len(first) >= offered
    assert torch.equal(first[:same], design[:same])
    points, _ = toys["drive"](toys["make"](name, task))
    assert len(points) == 300
    assert (points.abs() <= 5).all()
    if name != "cade-released":  # with CR about 1e-5, most of its trials are copies
        assert len(points.unique(dim=0)) > 250


@EVERY
def test_mixed_space(toys, name):
    space = SearchSpace([Real("lr", 1e-4, 1, log=True), Integer("steps", 1, 8), Categorical("mode", ("a", "b", "c"))])
    task = toys["task"](space=space, offered=3, budget=120)
    points, values = toys["drive"](toys["make"](name, task), lambda x: toys["sphere"](x - 0.3))
    assert ((points >= 0) & (points <= 1)).all()
    if name != "cade-released":
        assert values.min() < values[:3].min()


@EVERY
def test_boxes_of_different_widths(toys, name):
    from snnbench.space import RealVector

    space = SearchSpace([RealVector("narrow", 3, -0.1, 0.1), RealVector("wide", 3, 0.0, 100.0)])
    points, _ = toys["drive"](toys["make"](name, toys["task"](space=space, offered=0, budget=200)))
    assert (points[:, :3].abs() <= 0.1).all()
    assert ((points[:, 3:] >= 0) & (points[:, 3:] <= 100)).all()
    assert points[:, 3:].max() > 30


@EVERY
def test_seeds(toys, name):
    task = toys["task"](offered=0, budget=200)
    first, again, other = (toys["drive"](toys["make"](name, task, seed))[0] for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@EVERY
def test_leaves_global_state_and_the_outside_alone(toys, name, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random.seed(1)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what is watched
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    cls = registry.load("algorithm", name)
    dimension = min(400, cls.capabilities.max_dimension or 400)
    points, _ = toys["drive"](toys["make"](name, toys["task"](dimension, offered=8, budget=250)))
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    left = np.random.get_state()  # noqa: NPY002
    assert (left[1] == states[2][1]).all()
    assert left[2] == states[2][2]
    random.seed(2)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    again, _ = toys["drive"](toys["make"](name, toys["task"](dimension, offered=8, budget=250)))
    assert torch.equal(points, again)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def through_a_file(state):
    """As a checkpoint stores it: tensors as safetensors, everything else as JSON."""
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    plain = json.dumps({key: value for key, value in state.items() if key not in tensors}, allow_nan=False)
    return load(save({key: value.clone() for key, value in tensors.items()})) | json.loads(plain)


@EVERY
@pytest.mark.parametrize("asks", [0, 1, 2, 7])
def test_saved_state_has_the_same_future(toys, name, asks):
    task = toys["task"](offered=6, budget=200)
    original = toys["make"](name, task, seed=3)
    if asks:
        toys["drive"](original, asks=asks)
    state = through_a_file(original.state_dict())
    restored = toys["make"](name, task, seed=4)
    restored.load_state_dict(state)
    futures = [toys["drive"](algorithm, asks=12)[0] for algorithm in (original, restored)]
    assert torch.equal(*futures)


@EVERY
def test_two_from_one_state_do_not_share_memory(toys, name):
    task = toys["task"](offered=6, budget=200)
    original = toys["make"](name, task)
    toys["drive"](original, asks=3)
    copy = toys["make"](name, task)
    copy.load_state_dict(original.state_dict())
    expected, _ = toys["drive"](original, asks=10)
    assert torch.equal(toys["drive"](copy, asks=10)[0], expected)


@EVERY
@pytest.mark.parametrize("pattern", ["some", "first", "all"])
def test_survives_failed_candidates(toys, name, pattern):
    seen = [0]

    def failing(x):
        value, index = toys["sphere"](x), torch.arange(seen[0], seen[0] + len(x))
        seen[0] += len(x)
        failed = {"some": index % 3 == 0, "first": index < 60, "all": index >= 0}[pattern]
        return torch.where(failed, torch.inf, value)

    points, values = toys["drive"](toys["make"](name, toys["task"](offered=8, budget=400)), failing)
    assert len(points) == 400
    if pattern == "some" and name not in ("random", "cade-released"):
        assert values[-60:].min() < values[:60].min()


@EVERY
def test_last_tell_may_be_short(toys, name):
    task = toys["task"](offered=6, budget=500)
    for keep in (1, 3):
        algorithm = toys["make"](name, task)
        toys["drive"](algorithm, asks=4)
        x = algorithm.ask()[:keep]
        algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))
        best = algorithm.recommend()
        assert best is None or best.shape[1] == 10
    algorithm = toys["make"](name, task)
    x = algorithm.ask()[:2]
    algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))


@EVERY
def test_annotations_fit_the_candidates(toys, name):
    algorithm = toys["make"](name, toys["task"](offered=6))
    for _ in range(10):
        x = algorithm.ask()
        for when in ("before tell", "after tell"):
            for key, values in algorithm.annotations().items():
                assert values.shape == (len(x),), (key, when)
            if when == "before tell":
                algorithm.tell(x, toys["evaluations"](toys["sphere"](x)))


@pytest.mark.parametrize("name", ["de", "cade", "cma-es", "sep-cma-es"])
def test_beats_random_search_on_the_sphere(toys, name):
    task = toys["task"](budget=1200, offered=0)
    ours = [float(toys["drive"](toys["make"](name, task, seed))[1].min()) for seed in range(4)]
    chance = [float(toys["drive"](toys["make"]("random", task, seed))[1].min()) for seed in range(4)]
    assert max(ours) < min(chance)
