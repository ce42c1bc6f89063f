"""Adaptive differential evolution with optional external archive (JADE).

J. Zhang and A. C. Sanderson, "JADE: Adaptive Differential Evolution With Optional External Archive", IEEE Trans. Evol.
Comput. 13(5):945-958, 2009.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snnbench.algorithm import Capabilities
from snnbench.algorithms.differential_evolution import (
    BOUNDS,
    CROSSOVERS,
    STRATEGIES,
    Control,
    DifferentialEvolution,
    Outcome,
    Parts,
    Settings,
)
from snnbench.algorithms.differential_evolution.sampling import cauchy_factors, lehmer, normal_rates
from snnbench.parameters import param


@dataclass(frozen=True)
class JADEParameters:
    """Parameters of `JADE`."""

    c: float = param(0.1, "learning rate of the means of F and CR", low=0, high=1, source="Zhang and Sanderson 2009")
    p: float = param(
        0.05, "share of best members, at least two of them", low=0, high=1, source="Zhang and Sanderson 2009"
    )
    archive: float = param(
        1.0, "replaced members kept, per member; 0 for none", low=0, high=10, source="Zhang and Sanderson 2009"
    )
    strategy: str = param(
        "current-to-pbest/1", "mutation", choices=tuple(STRATEGIES), source="Zhang and Sanderson 2009"
    )
    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="Zhang and Sanderson 2009"
    )
    bounds: str = param(
        "midpoint",
        "what becomes of mutants outside the box",
        choices=tuple(BOUNDS),
        source="Zhang and Sanderson 2009, released code",
    )
    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=4,
        source="ours",
    )
    asynchronous: bool = param(False, "a trial replaces its target before the next trial is made", source="ours")


class AdaptiveMeans(Control):
    """F and CR around two means that follow the successful ones (2009, section III-C).

    F from Cauchy(mu_F, 0.1), CR from N(mu_CR, 0.1). After a generation with successes, mu_CR moves by a share c to
    their mean, mu_F to their Lehmer mean.

    Parameters
    ----------
    c
        That share.
    p
        Share of best members that count as "pbest", at least two of them.
    """

    def __init__(self, c: float, p: float) -> None:
        self.c = c
        self.p = p
        self.factor = 0.5
        self.rate = 0.5

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        rates = normal_rates(np.full(size, self.rate), rng)
        factors = cauchy_factors(np.full(size, self.factor), rng)
        return Settings(factors, rates, shares=np.full(size, max(self.p, 2 / size)))

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        improved = outcome.improved
        if not improved.any():
            return
        factors = outcome.factors[improved]
        self.rate += self.c * (float(outcome.rates[improved].mean()) - self.rate)
        self.factor += self.c * (lehmer(factors, np.ones(len(factors))) - self.factor)

    def state_dict(self) -> dict[str, Any]:
        return {"factor": self.factor, "rate": self.rate}


class JADE(DifferentialEvolution):
    """JADE: DE/current-to-pbest/1 with archive; F and CR follow successes.

    Each trial moves its target towards one of the best p N members and along a difference whose second member may
    come from an archive of replaced parents. The archive needs up to `archive` more populations of memory.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = JADEParameters
    reference: ClassVar[str] = (
        "J. Zhang and A. C. Sanderson, JADE: Adaptive Differential Evolution With Optional External Archive, IEEE "
        "Transactions on Evolutionary Computation 13(5):945-958, 2009, doi:10.1109/TEVC.2009.2014613"
    )

    @staticmethod
    def parts_for(p: JADEParameters) -> Parts:
        """The operators and the control of these parameters."""
        return Parts(
            strategies=(STRATEGIES[p.strategy],),
            crossover=CROSSOVERS[p.crossover],
            control=AdaptiveMeans(p.c, p.p),
            repair=BOUNDS[p.bounds],
            population=p.population,
            asynchronous=p.asynchronous,
            archive=p.archive,
        )

    def make_parts(self) -> Parts:
        """Adapted means of F and CR, archive; strategy and crossover as named."""
        return self.parts_for(self.parameters)
