"""TPE is Optuna's, with our bookkeeping."""

import math

import numpy as np
import optuna
import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.algorithms.bayesian.optuna_bridge import from_optuna, to_optuna
from snnbench.parameters import resolve
from snnbench.space import Categorical, Integer, Real, RealVector, SearchSpace

SPACE = SearchSpace(
    [
        Real("rate", 1e-4, 1, log=True),
        Integer("steps", 1, 8),
        Categorical("mode", ("a", "b", "c")),
        Integer("width", 2, 500, log=True),
        RealVector("w", 2, -3.0, 5.0),
    ]
)


def make(objectives=1, constraints=0, seed=0, offered=0, asynchronous=False, **overrides):
    def initial(n):
        return SPACE.sample(min(n, offered), torch.Generator().manual_seed(9))

    names = tuple(f"f{i}" for i in range(objectives))
    task = Task(SPACE, names, 60, initial, constraints=constraints, asynchronous=asynchronous)
    cls = registry.load("algorithm", "tpe")
    return cls(task, resolve(cls.Parameters, overrides, "tpe"), seed)


def values_of(x, objectives, constraints):
    v = SPACE.decode(x)
    mode = np.array([{"a": 0.0, "b": 1.0, "c": 0.5}[m] for m in v["mode"]])
    base = np.log10(v["rate"]) ** 2 + 0.1 * (v["steps"] - 5) ** 2 + mode + np.log(v["width"] / 50) ** 2
    goals = np.stack([base + (v["w"] ** 2).sum(1), base + ((v["w"] - 2) ** 2).sum(1)], axis=1)
    limits = np.stack([v["w"][:, 0] - 1, 0.01 - v["rate"]], axis=1)
    return torch.from_numpy(goals[:, :objectives].copy()), torch.from_numpy(limits[:, :constraints].copy())


def drive(algorithm, asks):
    points = []
    for _ in range(asks):
        x = SPACE.clip_(algorithm.ask())
        y, c = values_of(x, len(algorithm.task.objectives), algorithm.task.constraints)
        algorithm.tell(x, Evaluations(y, c, {}, ("",) * len(x)))
        points.append(x.clone())
    return torch.cat(points) if points else torch.empty(0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("objectives", "constraints"), [(1, 0), (1, 2), (2, 0), (2, 2)])
def test_suggests_what_optuna_itself_suggests(objectives, constraints):
    """`study.optimize` with the same seed on the same function, evaluated where ours is: to float32 coordinates."""
    points, told = [], {}

    def objective(trial):
        v = {
            "rate": [trial.suggest_float("rate", 1e-4, 1, log=True)],
            "steps": [trial.suggest_int("steps", 1, 8)],
            "mode": ["abc"[trial.suggest_categorical("mode", range(3))]],
            "width": [trial.suggest_int("width", 2, 500, log=True)],
            "w": [[trial.suggest_float(f"w[{i}]", -3.0, 5.0) for i in range(2)]],
        }
        x = SPACE.encode(v)
        points.append(x)
        y, c = values_of(x, objectives, constraints)
        told[trial.number] = c[0].tolist()
        return y[0].tolist()

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    limits = (lambda trial: told[trial.number]) if constraints else None
    sampler = optuna.samplers.TPESampler(seed=5, multivariate=objectives == 1, constraints_func=limits)
    study = optuna.create_study(sampler=sampler, directions=["minimize"] * objectives)
    study.optimize(objective, n_trials=30)
    optuna.logging.set_verbosity(verbosity)
    assert torch.equal(drive(make(objectives, constraints, seed=5), 30), torch.cat(points))


def test_the_design_is_known_to_the_estimator():
    algorithm = make(offered=6, startup=8)
    x = drive(algorithm, 1)
    trials = algorithm.study.trials
    assert len(x) == len(trials) == 6
    assert torch.equal(from_optuna(SPACE, to_optuna(SPACE, x))[:, 1:4], SPACE.encode(SPACE.decode(x))[:, 1:4])
    decoded = SPACE.decode(x)
    assert [t.params["steps"] for t in trials] == decoded["steps"].tolist()
    assert [t.params["rate"] for t in trials] == pytest.approx(decoded["rate"].tolist())
    assert [t.value for t in trials] == pytest.approx(values_of(x, 1, 0)[0][:, 0].tolist())


@pytest.mark.parametrize(("objectives", "constraints"), [(1, 0), (2, 1)])
@pytest.mark.parametrize("asks", [0, 3, 15])
def test_saved_state(objectives, constraints, asks):
    original = make(objectives, constraints, seed=1, offered=4)
    drive(original, asks)
    restored = make(objectives, constraints, seed=2, offered=4)
    restored.load_state_dict(original.state_dict())
    assert torch.equal(drive(original, 12), drive(restored, 12))


@pytest.mark.parametrize("objectives", [1, 2])
def test_failures_and_infeasible_candidates(objectives):
    algorithm = make(objectives, 1)
    for number in range(30):
        x = algorithm.ask()
        y, c = values_of(x, objectives, 1)
        if number % 2:
            y, c = torch.full_like(y, math.inf), torch.full_like(c, math.inf)
        algorithm.tell(x, Evaluations(y, c, {}, ("",) * len(x)))
        assert x.isfinite().all()


def test_optunas_verbosity_is_left_alone(capfd):
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    try:
        drive(make(), 3)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(optuna.logging.INFO)
    assert capfd.readouterr() == ("", "")


def test_is_better_than_its_own_start():
    algorithm = make(offered=10)
    points = drive(algorithm, 50)
    values = values_of(points, 1, 0)[0][:, 0]
    assert values[30:].median() < values[:10].median() / 2
