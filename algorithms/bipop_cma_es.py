"""CMA-ES restarted with two population sizes (BIPOP), on pycma."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snnbench.algorithm import Capabilities
from snnbench.algorithms.cma_es import CMAES, CMAParameters
from snnbench.algorithms.initial_design import holds_weights
from snnbench.parameters import param


@dataclass(frozen=True)
class BIPOPParameters(CMAParameters):
    """Parameters of `BIPOPCMAES`."""

    doublings: int = param(
        9, "how often the population doubles at most", low=0, high=20, source="pycma's example of fmin2"
    )


class BIPOPCMAES(CMAES):
    """CMA-ES restarted with large and with small populations (pycma).

    Whenever pycma stops, the search begins anew in one of two regimes, that which has had fewer evaluations
    (Hansen 2009, as in pycma's ``fmin2(bipop=True)``):

    - *large*: the population is twice that of the last large run;
    - *small*: population lambda (last / lambda)^(U^2) with ``last`` that of the last large run, initial step size
      times 100^(-V), U and V uniform in [0, 1], and at most half the evaluations that large runs have had so far.

    The first run, with population lambda, counts as small. After `doublings` the large population stays as it is. A
    run starts where `cma-es` starts; restarts start from the next best points of the initial design if the space
    holds weights, and uniformly in the box otherwise.

    All of pycma's stops are honoured, its limit on iterations and the one on a flat fitness included, since going on
    with another population is what the algorithm does about them.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(max_dimension=300, min_dimension=2)
    Parameters: ClassVar[type] = BIPOPParameters
    reference: ClassVar[str] = (
        "N. Hansen, Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed, GECCO Companion, "
        "2389-2396, 2009, doi:10.1145/1570256.1570333; N. Hansen, Y. Akimoto and P. Baudis, CMA-ES/pycma, "
        "doi:10.5281/zenodo.2559634"
    )

    def _reset(self, seed: int) -> None:
        super()._reset(seed)
        self.large, self.small = 0, 0
        self.doubled = 0
        self.large_run = False
        self.limits: dict[str, float] = {}

    def _restart(self) -> tuple[np.ndarray, float, dict[str, Any]]:
        # fmin2 doubles the unrounded default; pycma rounds it down where it is used
        default = self.parameters.population or 4 + 3 * math.log(self.task.space.dimension)
        options: dict[str, Any] = {"popsize": default}
        shrink = 1.0
        if self.restarts:
            options |= self.limits
            self.large_run = self.small >= max(1, self.large)
            if self.large_run:
                self.doubled = min(self.doubled + 1, self.parameters.doublings)
                options["popsize"] *= 2**self.doubled
            else:
                shrink = 0.01 ** self.rng.random()
                size = int(default * (2**self.doubled) ** (self.rng.random() ** 2))
                options |= {"popsize": size, "maxiter": min(options["maxiter"], 0.5 * self.large / size)}
        if self.starts and (self.restarts == 0 or holds_weights(self.task)):
            mean, step = self.starts[self.restarts % len(self.starts)]
        else:
            mean, step = self._anywhere(), self.parameters.sigma_box
        return mean, step * shrink, options

    def _ended(self, strategy: Any) -> None:
        if not self.limits:  # as in fmin2, those of the first run hold for all populations
            self.limits = {name: float(strategy.opts[name]) for name in ("maxiter", "tolstagnation")}
        if self.large_run:
            self.large += strategy.countevals
        else:
            self.small += strategy.countevals
