"""Differential evolution with candidates pending: turns, late comparison, records that survive a checkpoint."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from snnbench.algorithm import Evaluations
from snnbench.errors import UsageError

NAMES = ["de", "cade", "cade-released", "jde", "jade", "sade", "code", "shade"]


def asynchronous(toys, **settings):
    return dataclasses.replace(toys["task"](**settings), asynchronous=True, workers=3)


def tell(algorithm, x, number, value):
    nothing = torch.zeros(1, 0, dtype=torch.float64)
    objectives = torch.tensor([[float(value)]], dtype=torch.float64)
    algorithm.tell(x[None], Evaluations(objectives, nothing, {}, ("",), np.array([number])))


class Workers:
    """Evaluates candidates on several workers that take a random time each."""

    def __init__(self, algorithm, function, workers=3, seed=0):
        self.algorithm, self.function, self.workers = algorithm, function, workers
        self.rng = np.random.default_rng(seed)
        self.waiting, self.busy, self.count, self.values = [], [], 0, []

    def step(self):
        """Keep all workers busy, then let one of them finish."""
        while len(self.busy) < self.workers:
            if not self.waiting:
                x = self.algorithm.task.space.clip_(self.algorithm.ask())
                self.waiting = [(self.count + row, x[row].clone()) for row in range(len(x))]
                self.count += len(x)
            self.busy.append(self.waiting.pop(0))
        number, x = self.busy.pop(int(self.rng.integers(len(self.busy))))
        self.values.append(float(self.function(x[None])))
        tell(self.algorithm, x, number, self.values[-1])


def test_a_trial_meets_what_its_target_is_worth_by_then(toys):
    algorithm = toys["make"]("de", asynchronous(toys, dimension=6), population=4, cr=1.0)
    design = algorithm.ask().clone()
    for number in range(4):
        tell(algorithm, design[number], number, 10.0 + number)
    trials = [algorithm.ask()[0].clone() for _ in range(9)]  # targets 0 1 2 3 0 1 2 3 0
    tell(algorithm, trials[4], 8, 5.0)
    assert algorithm.fitness.tolist() == [5.0, 11.0, 12.0, 13.0]
    assert torch.equal(algorithm.population[0], trials[4])
    tell(algorithm, trials[0], 4, 7.0)  # would have been good enough before
    assert torch.equal(algorithm.population[0], trials[4])
    tell(algorithm, trials[8], 12, 5.0)  # no worse
    assert torch.equal(algorithm.population[0], trials[8])
    tell(algorithm, trials[3], 7, np.inf)
    tell(algorithm, trials[2], 6, 1.0)
    assert algorithm.fitness.tolist() == [5.0, 11.0, 1.0, 13.0]
    assert torch.equal(algorithm.population[3], design[3])
    assert set(algorithm.pending) == {5, 9, 10, 11}


def test_a_late_member_of_the_initial_population(toys):
    algorithm = toys["make"]("de", asynchronous(toys, dimension=6), population=4)
    design = algorithm.ask().clone()
    tell(algorithm, design[1], 1, 3.0)
    trial = algorithm.ask()[0].clone()  # for member 0, which is still being evaluated
    tell(algorithm, trial, 4, 2.0)
    assert torch.equal(algorithm.population[0], trial)
    tell(algorithm, design[0], 0, 4.0)
    assert torch.equal(algorithm.population[0], trial)
    tell(algorithm, design[2], 2, 1.0)
    assert algorithm.fitness.tolist() == [2.0, 3.0, 1.0, np.inf]


@pytest.mark.parametrize("name", NAMES)
def test_finds_its_way(toys, name):
    overrides = {"initial": 0.5, "floor": 0.3} if name == "cade-released" else {"population": 20}
    task = asynchronous(toys, dimension=5, budget=1000, offered=0)
    loop = Workers(toys["make"](name, task, **overrides), toys["sphere"])
    for _ in range(1000):
        loop.step()
    assert min(loop.values) < 0.2 * min(loop.values[:20])


@pytest.mark.parametrize("name", NAMES)
def test_saved_with_candidates_pending(toys, name):
    task = asynchronous(toys, dimension=5, budget=2000, offered=7)
    first = Workers(toys["make"](name, task, seed=1), toys["sphere"])
    for steps in (0, 3, 40, 33):
        for _ in range(steps):
            first.step()
        state = first.algorithm.state_dict()
        plain = {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
        copied = {key: value.clone() for key, value in state.items() if isinstance(value, torch.Tensor)}
        copied |= json.loads(json.dumps(plain, allow_nan=False))
        second = Workers(toys["make"](name, task, seed=2), toys["sphere"])
        second.algorithm.load_state_dict(copied)
        second.rng.bit_generator.state = first.rng.bit_generator.state
        second.waiting, second.busy, second.count = list(first.waiting), list(first.busy), first.count
        already = len(first.values)
        for _ in range(60):
            first.step()
            second.step()
        assert first.values[already:] == second.values


def test_one_worker_is_the_sequential_algorithm(toys):
    """With nothing pending, an asynchronous run makes the candidates of the parameter `asynchronous`."""
    task = toys["task"](dimension=5, budget=300, offered=0)
    expected, _ = toys["drive"](toys["make"]("de", task, seed=3, population=10, asynchronous=True))
    loop = Workers(
        toys["make"]("de", dataclasses.replace(task, asynchronous=True), seed=3, population=10), toys["sphere"], 1
    )
    for _ in range(300):
        loop.step()
    assert loop.values == toys["sphere"](expected).tolist()


def test_a_shrinking_population_cannot(toys):
    with pytest.raises(UsageError, match="shrinks"):
        toys["make"]("cade", asynchronous(toys), base="lshade")
