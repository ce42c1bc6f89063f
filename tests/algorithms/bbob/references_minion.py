"""minionpy (C++): JADE, L-SHADE, DE."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from harness import HALF, Function, Reference, Run, initial

VERSION = f"minionpy {version('minionpy')}"


def minion(kind: str, **options: Any) -> Run:
    """A run of one of minionpy's classes; its stop at convergence is switched off."""

    def run(function: Function, dimension: int, budget: int, seed: int, population: int) -> None:
        import minionpy

        def evaluate(x: Sequence[Sequence[float]], _: object = None) -> list[float]:
            errors: list[float] = function(np.array(x)).tolist()
            return errors

        own = {"population_size": population, "x_tol": -1.0, "f_tol": -1.0} | options
        own = {key: population if value == "population" else value for key, value in own.items()}
        start = initial(dimension, population, seed).tolist()
        getattr(minionpy, kind)(
            evaluate, [(-HALF, HALF)] * dimension, x0=start, maxevals=budget, seed=seed, options=own
        ).optimize()

    return run


REFERENCES = {
    "jade-minionpy": Reference(
        "jade",
        f"{VERSION}, JADE",
        # Left to itself, it shrinks its population as L-SHADE does, which JADE does not.
        minion("JADE", minimum_population_size="population"),
        population=100,
        remark="Not the same algorithm: this JADE does not use its learning rate c (see below).",
    ),
    "lshade-minionpy": Reference(
        "lshade",
        f"{VERSION}, LSHADE",
        minion("LSHADE"),
        population=180,
        remark="minionpy draws coordinates that leave the box anew; ours puts them halfway between bound and target.",
    ),
    "lshade-fixed-minionpy": Reference(
        "lshade",
        f"{VERSION}, LSHADE, both without reduction (SHADE 1.1)",
        minion("LSHADE", minimum_population_size="population", archive_size_ratio=1.0, memory_size=100),
        overrides={"final": 100, "archive": 1.0, "memory": 100},
        population=100,
    ),
    "shade-minionpy": Reference(
        "shade",
        f"{VERSION}, LSHADE without reduction (SHADE 1.1)",
        minion("LSHADE", minimum_population_size="population", archive_size_ratio=1.0, memory_size=100),
        population=100,
        remark="Not the same algorithm: SHADE of 2013 against its successor (see below).",
    ),
    "de-minionpy": Reference(
        "de",
        f"{VERSION}, Differential_Evolution",
        minion("Differential_Evolution", mutation_strategy="rand1bin", mutation_rate=0.5, crossover_rate=0.9),
        overrides={"f": 0.5, "cr": 0.9},
        population=50,
    ),
}
