"""Differential evolution with self-adapting control parameters (jDE).

J. Brest, S. Greiner, B. Boskovic, M. Mernik and V. Zumer, "Self-Adapting Control Parameters in Differential Evolution:
A Comparative Study on Numerical Benchmark Problems", IEEE Trans. Evol. Comput. 10(6):646-657, 2006.
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
from snnbench.parameters import param


@dataclass(frozen=True)
class JDEParameters:
    """Parameters of `JDE`."""

    tau1: float = param(0.1, "probability of a new F", low=0, high=1, source="Brest et al. 2006")
    tau2: float = param(0.1, "probability of a new CR", low=0, high=1, source="Brest et al. 2006")
    strategy: str = param("rand/1", "mutation", choices=tuple(STRATEGIES), source="Brest et al. 2006")
    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="Brest et al. 2006"
    )
    bounds: str = param("clip", "what becomes of mutants outside the box", choices=tuple(BOUNDS), source="ours")
    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=4,
        source="ours",
    )
    p: float = param(0.1, "share of best members in current-to-pbest/1", low=0, high=1, source="ours")
    asynchronous: bool = param(False, "a trial replaces its target before the next trial is made", source="ours")


class SelfAdaptive(Control):
    """Every member has its own F and CR, drawn anew now and then, that survive with the trial (2006, section IV).

    Parameters
    ----------
    tau1, tau2
        Probability that a trial draws F anew, uniformly from [0.1, 1], and CR, uniformly from [0, 1].
    """

    def __init__(self, tau1: float, tau2: float) -> None:
        self.tau1 = tau1
        self.tau2 = tau2
        self.factors: list[float] = []
        self.rates: list[float] = []

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        if not self.factors:
            self.factors, self.rates = [0.5] * size, [0.9] * size
        chance = rng.random((4, size))
        factors = np.where(chance[0] < self.tau1, 0.1 + 0.9 * chance[1], self.factors)
        rates = np.where(chance[2] < self.tau2, chance[3], self.rates)
        return Settings(factors, rates)

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        kept = (outcome.trials <= outcome.parents) & (outcome.trials < np.inf)
        for target, factor, rate in zip(
            outcome.targets[kept].tolist(), outcome.factors[kept].tolist(), outcome.rates[kept].tolist(), strict=True
        ):
            self.factors[target], self.rates[target] = factor, rate

    def state_dict(self) -> dict[str, Any]:
        return {"factors": self.factors, "rates": self.rates}


class JDE(DifferentialEvolution):
    """jDE: differential evolution whose members carry their own F and CR.

    DE/rand/1/bin in which every member has an F and a CR. A trial draws each anew with a probability of 0.1, and hands
    them on if it replaces its target.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = JDEParameters
    reference: ClassVar[str] = (
        "J. Brest, S. Greiner, B. Boskovic, M. Mernik and V. Zumer, Self-Adapting Control Parameters in Differential "
        "Evolution: A Comparative Study on Numerical Benchmark Problems, IEEE Transactions on Evolutionary Computation "
        "10(6):646-657, 2006, doi:10.1109/TEVC.2006.872133"
    )

    @staticmethod
    def parts_for(p: JDEParameters) -> Parts:
        """The operators and the control of these parameters."""
        return Parts(
            strategies=(STRATEGIES[p.strategy],),
            crossover=CROSSOVERS[p.crossover],
            control=SelfAdaptive(p.tau1, p.tau2),
            repair=BOUNDS[p.bounds],
            population=p.population,
            best_share=p.p,
            asynchronous=p.asynchronous,
        )

    def make_parts(self) -> Parts:
        """Self-adapting F and CR; strategy and crossover as named."""
        return self.parts_for(self.parameters)
