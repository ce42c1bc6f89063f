"""pycma's own loops: `fmin2` with restarts of one population size, and with BIPOP restarts."""

from importlib.metadata import version
from typing import Any

import numpy as np
from harness import HALF, Function, Reference, Run

VERSION = f"cma {version('cma')}, fmin2"


def fmin2(**restarts: Any) -> Run:
    """A run of pycma, bounds and restarts its own; it starts uniformly in the box, with the step size of ours."""

    def run(function: Function, dimension: int, budget: int, seed: int, population: int) -> None:
        import cma

        rng = np.random.default_rng([seed, 1])
        options = {"bounds": [-HALF, HALF], "maxfevals": budget, "seed": seed + 1, "verbose": -9, "verb_log": 0}
        if population:
            options["popsize"] = population
        cma.fmin2(
            lambda x: float(function(x[None])[0]),
            lambda: rng.uniform(-HALF, HALF, dimension),
            0.3 * 2 * HALF,
            options,
            **restarts,
        )

    return run


REFERENCES = {
    "cma-es-pycma": Reference(
        "cma-es",
        f"{VERSION} with restarts",
        fmin2(restarts={"maxrestarts": 10**6}, incpopsize=1),
        population=0,
        remark="Where points leave the box, pycma bends the coordinates and ours reflects; pycma also stops on a flat "
        "fitness and on its limit of iterations.",
    ),
    "bipop-cma-es-pycma": Reference(
        "bipop-cma-es",
        f"{VERSION} with bipop=True",
        fmin2(bipop=True, restarts={"maxrestarts": 9}),
        population=0,
        remark="Where points leave the box, pycma bends the coordinates and ours reflects.",
    ),
}
