"""What a comparison on COCO's bbob functions consists of: the functions, our runs, their runs, the statistics.

Independent implementations live in ``references_<library>.py`` beside this file, each with a dictionary `REFERENCES`
from a name to a `Reference`; a new file is found by itself.
"""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from snnbench import registry
from snnbench.algorithm import Task
from snnbench.evaluations import Evaluations
from snnbench.parameters import resolve
from snnbench.space import RealVector, SearchSpace

FUNCTIONS = range(1, 25)
HALF = 5.0
"""All 24 functions are searched in [-5, 5]^d."""

TARGET = 1e-8
"""Errors below bbob's last target count as this: beyond it, it is rounding that differs."""


class Function:
    """A bbob function minus its minimum, which keeps the best of the first `budget` evaluations.

    Whatever an optimizer itself calls its result or its budget, it is judged by `best`.

    Parameters
    ----------
    number, instance, dimension
        As in the suite; numbers are 1 to 24.
    budget
        Evaluations that count.
    """

    def __init__(self, number: int, dimension: int, budget: int, instance: int = 1) -> None:
        import ioh

        self.problem = ioh.get_problem(number, instance, dimension, ioh.ProblemClass.BBOB)
        self.minimum = float(self.problem.optimum.y)
        self.budget = budget
        self.evaluations = 0
        self.best = math.inf

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Errors (n,) of points (n, d) of the box."""
        points = np.ascontiguousarray(x, dtype=np.float64)
        errors = np.array(self.problem(points), dtype=np.float64) - self.minimum
        counted = errors[: max(0, self.budget - self.evaluations)]
        self.evaluations += len(errors)
        self.best = min(self.best, float(counted.min(initial=math.inf)))
        return errors


Run = Callable[[Function, int, int, int, int], None]


@dataclass(frozen=True)
class Reference:
    """An independent implementation and what it is compared with.

    Attributes
    ----------
    algorithm
        Our algorithm's registered name.
    title
        Library, version and class, for the table.
    run
        ``run(function, dimension, budget, seed, population)`` minimises; `Function.best` is the result.
    overrides
        Parameters of ours for this comparison, where the two define something differently.
    population
        Members of both, if the command line does not say; 0 for each one's own default.
    remark
        What the two do differently all the same.
    """

    algorithm: str
    title: str
    run: Run
    overrides: dict[str, Any] = field(default_factory=dict)
    population: int = 50
    remark: str = ""


def references() -> dict[str, Reference]:
    """Every reference of every ``references_*.py`` whose library is installed."""
    found: dict[str, Reference] = {}
    for path in sorted(Path(__file__).parent.glob("references_*.py")):
        try:
            found |= importlib.import_module(path.stem).REFERENCES
        except ModuleNotFoundError as error:
            print(f"{path.stem}: left out, {error}")
    return found


def initial(dimension: int, population: int, seed: int) -> np.ndarray:
    """The uniform initial population (n, d) that both sides start from, where a library lets us say so."""
    return np.random.default_rng([seed, 20_240_917]).uniform(-HALF, HALF, size=(population, dimension))


def run_ours(
    name: str, function: Function, dimension: int, seed: int, population: int, overrides: dict[str, Any]
) -> None:
    """One run of a registered algorithm, in float64 and without anything but ask and tell."""
    space = SearchSpace([RealVector("x", dimension, -HALF, HALF)])
    design = torch.from_numpy(initial(dimension, population, seed)) if population else torch.empty(0, dimension)
    task = Task(space, ("f",), function.budget, lambda n: design[:n], dtype=torch.float64)
    cls = registry.load("algorithm", name)
    chosen = dict(overrides)
    if population and "population" in cls.Parameters.__dataclass_fields__:
        chosen.setdefault("population", population)
    algorithm = cls(task, resolve(cls.Parameters, chosen, name), seed)
    left = function.budget
    while left > 0:
        x = space.clip_(algorithm.ask())[:left]
        errors = torch.from_numpy(function(x.numpy()))
        told = np.arange(function.budget - left, function.budget - left + len(x))
        nothing = torch.zeros(len(x), 0, dtype=torch.float64)
        algorithm.tell(x, Evaluations(errors[:, None], nothing, {}, ("",) * len(x), told))
        left -= len(x)


def compare(ours: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mann-Whitney over functions, Holm-corrected: p of "different" and p of "ours worse", one per row.

    Parameters
    ----------
    ours, theirs
        Final errors (functions, seeds).
    """
    ours, theirs = np.maximum(ours, TARGET), np.maximum(theirs, TARGET)
    two, worse = (
        np.array([stats.mannwhitneyu(a, b, alternative=side).pvalue for a, b in zip(ours, theirs, strict=True)])
        for side in ("two-sided", "greater")
    )
    return holm(two), holm(worse)


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values (n,); a NaN (all results equal) counts as 1."""
    p = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    result = np.empty(len(p))
    result[order] = np.minimum(adjusted, 1.0)
    return result
