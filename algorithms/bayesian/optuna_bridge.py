"""A search space in Optuna's terms."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from snnbench.space import Categorical, Integer, RealVector, SearchSpace


def distributions(space: SearchSpace) -> dict[str, Any]:
    """Optuna's distribution of every coordinate, in their order; a vector's are named ``name[i]``."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for v in space.variables:
        if isinstance(v, Categorical):
            found[v.name] = CategoricalDistribution(range(len(v.choices)))
        elif isinstance(v, Integer):
            found[v.name] = IntDistribution(v.low, v.high, log=v.log)
        elif isinstance(v, RealVector):
            found |= {f"{v.name}[{i}]": FloatDistribution(v.low, v.high) for i in range(v.size)}
        else:
            found[v.name] = FloatDistribution(v.low, v.high, log=v.log)
    return found


def to_optuna(space: SearchSpace, x: torch.Tensor) -> np.ndarray:
    """Points (n, d) as Optuna's internal numbers (n, d): values of reals and integers, indices of choices."""
    values = space.decode(x)
    columns = []
    for variable in space.variables:
        value = values[variable.name]
        if isinstance(variable, Categorical):
            value = np.array([variable.choices.index(choice) for choice in value])
        columns.append(value.reshape(len(x), -1).astype(np.float64))
    return np.concatenate(columns, axis=1)


def from_optuna(space: SearchSpace, rows: np.ndarray) -> torch.Tensor:
    """The inverse of `to_optuna`, float32."""
    values: dict[str, Any] = {}
    start = 0
    for variable in space.variables:
        block = rows[:, start : start + variable.size]
        start += variable.size
        if isinstance(variable, Categorical):
            values[variable.name] = [variable.choices[int(index)] for index in block[:, 0]]
        else:
            values[variable.name] = block if isinstance(variable, RealVector) else block[:, 0]
    return space.encode(values)


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's messages on new studies, and its notes on experimental and deprecated arguments."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
