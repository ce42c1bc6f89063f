"""The comparison script as a module, and a small problem of our own."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_multiobjective_compare", Path(__file__).with_name("compare.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def steps() -> Any:
    """Two objectives in six dimensions; violations come in whole numbers, so that many are equal."""
    from pymoo.core.problem import Problem

    class Steps(Problem):
        def __init__(self) -> None:
            super().__init__(n_var=6, n_obj=2, n_ieq_constr=1, xl=np.zeros(6), xu=np.ones(6))

        def _evaluate(self, x: np.ndarray, out: dict, *args: Any, **kwargs: Any) -> None:
            g = 1 + x[:, 1:].sum(axis=1)
            out["F"] = np.column_stack([x[:, 0], g * (1 - np.sqrt(x[:, 0] / g))])
            out["G"] = np.floor(3 * (x[:, 1:].sum(axis=1) - 0.5))[:, None]

    return Steps()


def uniform(problem: Any, n: int, seed: int) -> torch.Tensor:
    """Points (n, d) of a problem's box, float64."""
    share = torch.rand(n, problem.n_var, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    lower, upper = torch.tensor(problem.xl), torch.tensor(problem.xu)
    return lower + share * (upper - lower)


@pytest.fixture
def same_as_pymoo(compare: ModuleType) -> Any:
    """Compare all candidates of a run with those of pymoo's own, from the same start and seed, in float64."""

    def check(name: str, problem: Any, population: int, generations: int, **parameters: object) -> None:
        from pymoo.core.evaluator import Evaluator
        from pymoo.optimize import minimize

        asked: list[np.ndarray] = []

        def remember(evaluated: Any) -> None:
            rows = evaluated.get("X") if isinstance(evaluated, np.ndarray) else evaluated.X
            asked.append(np.atleast_2d(rows).copy())

        start = uniform(problem, population, seed=5)
        algorithm = compare.make(
            name,
            compare.task(problem, population * generations, start, torch.float64),
            seed=7,
            population=population,
            **parameters,
        )
        candidates = compare.drive(algorithm, lambda x: compare.measure(problem, x))
        start = start[: algorithm.size()]
        engine = compare.engine(name, population, problem.n_obj, sampling=start.numpy())
        evaluator = Evaluator(callback=remember)
        minimize(problem, engine, ("n_eval", len(candidates)), seed=7, evaluator=evaluator)
        expected = np.concatenate(asked)[: len(candidates)]
        assert len(expected) >= population * (generations - 1)
        np.testing.assert_array_equal(candidates[: len(expected)], expected)

    return check
