"""Composite differential evolution (CoDE).

Y. Wang, Z. Cai and Q. Zhang, "Differential Evolution With Composite Trial Vector Generation Strategies and Control
Parameters", IEEE Trans. Evol. Comput. 15(1):55-66, 2011.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snnbench.algorithm import Capabilities
from snnbench.algorithms.differential_evolution import (
    BOUNDS,
    CROSSOVERS,
    STRATEGIES,
    Control,
    DifferentialEvolution,
    Donors,
    Parts,
    Pool,
    Settings,
    Strategy,
)
from snnbench.algorithms.differential_evolution.mutation import distinct
from snnbench.parameters import param

PAIRS = np.array([(1.0, 0.1), (1.0, 0.9), (0.8, 0.2)])
"""(F, CR), of which every trial draws one (2011, section III)."""


def _rand_2(pool: Pool, rng: np.random.Generator) -> Donors:
    r = distinct(pool.targets, len(pool.fitness), 5, rng).T
    return Donors(r[0], ((rng.random(len(r[0])), r[1], r[2]), (pool.factors, r[3], r[4])))


def _current_to_rand_1(pool: Pool, rng: np.random.Generator) -> Donors:
    r = rng.integers(len(pool.fitness), size=(3, len(pool.targets)))
    return Donors(pool.targets, ((rng.random(len(pool.targets)), r[0], pool.targets), (pool.factors, r[1], r[2])))


COMPOSITE = (
    STRATEGIES["rand/1"],
    Strategy("rand/2", 6, _rand_2),
    Strategy("current-to-rand/1", 4, _current_to_rand_1, whole=True),
)


@dataclass(frozen=True)
class CoDEParameters:
    """Parameters of `CoDE`."""

    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="Wang et al. 2011"
    )
    bounds: str = param(
        "reflect",
        "what becomes of mutants outside the box",
        choices=tuple(BOUNDS),
        source="Wang et al. 2011, released code",
    )
    population: int | None = param(
        None,
        "members; by default the initial design if it has six or more, else 10 d, 50, or a tenth of the budget",
        low=6,
        source="ours (Wang et al. 2011: 30)",
    )
    asynchronous: bool = param(False, "a target is replaced before the next trials are made", source="ours")


class Composite(Control):
    """One trial of each strategy for every target, each with one of three pairs (F, CR) drawn at random."""

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        factors, rates = PAIRS[rng.integers(len(PAIRS), size=size)].T
        return Settings(factors, rates, np.arange(size) % len(COMPOSITE))


class CoDE(DifferentialEvolution):
    """CoDE: three trials per target, by three strategies; the best competes.

    The strategies are rand/1/bin, rand/2/bin with the first difference scaled by a random number from [0, 1], and
    current-to-rand/1 without crossover, whose three random members, as in the released code, need not differ. One
    generation is 3 N trials, so population and trials take the memory of four populations; with
    `asynchronous`, of one and three rows.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = CoDEParameters
    reference: ClassVar[str] = (
        "Y. Wang, Z. Cai and Q. Zhang, Differential Evolution With Composite Trial Vector Generation Strategies and "
        "Control Parameters, IEEE Transactions on Evolutionary Computation 15(1):55-66, 2011, "
        "doi:10.1109/TEVC.2010.2087271"
    )

    @staticmethod
    def parts_for(p: CoDEParameters) -> Parts:
        """The operators and the control of these parameters."""
        return Parts(
            strategies=COMPOSITE,
            crossover=CROSSOVERS[p.crossover],
            control=Composite(),
            repair=BOUNDS[p.bounds],
            population=p.population,
            asynchronous=p.asynchronous,
            trials=len(COMPOSITE),
        )

    def make_parts(self) -> Parts:
        """Three strategies side by side; crossover as named."""
        return self.parts_for(self.parameters)
