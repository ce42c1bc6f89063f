"""Differential evolution with strategy adaptation (SaDE).

A. K. Qin, V. L. Huang and P. N. Suganthan, "Differential Evolution Algorithm With Strategy Adaptation for Global
Numerical Optimization", IEEE Trans. Evol. Comput. 13(2):398-417, 2009.
"""

from dataclasses import dataclass, replace
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

CANDIDATES = (
    STRATEGIES["rand/1"],
    STRATEGIES["current-to-best/2"],  # which the paper calls rand-to-best/2
    STRATEGIES["rand/2"],
    replace(STRATEGIES["current-to-rand/1"], whole=True),
)


@dataclass(frozen=True)
class SaDEParameters:
    """Parameters of `SADE`."""

    learning: int = param(50, "learning period LP in generations", low=1, source="Qin et al. 2009")
    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="Qin et al. 2009"
    )
    bounds: str = param(
        "redraw", "what becomes of mutants outside the box", choices=tuple(BOUNDS), source="Qin et al. 2009"
    )
    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=6,
        source="ours",
    )
    asynchronous: bool = param(False, "a trial replaces its target before the next trial is made", source="ours")


class StrategyAdaptation(Control):
    """Strategies are chosen by their success over the last generations, and each has its own CR (2009, section III).

    For the first LP generations every strategy is as likely and its CR has the median 0.5. After that, a strategy is
    chosen in proportion to its share of successes in the last LP generations plus 0.01, by stochastic universal
    sampling, and its CR has the median of those that succeeded (a random one where none did, as in the authors'
    code). F from N(0.5, 0.3), CR from N(median, 0.1), drawn again until it lies in [0, 1].

    Parameters
    ----------
    strategies
        Number of strategies.
    period
        LP.
    """

    def __init__(self, strategies: int, period: int) -> None:
        self.strategies = strategies
        self.period = period
        # One entry per generation: for each strategy its number of trials, and CR of those that succeeded.
        self.trials: list[list[int]] = []
        self.successes: list[list[list[float]]] = []

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        weights = np.ones(self.strategies)
        medians = np.full(self.strategies, 0.5)
        if len(self.trials) >= self.period:
            tried = np.array(self.trials).sum(axis=0)
            good = [[cr for generation in self.successes for cr in generation[k]] for k in range(self.strategies)]
            weights = np.array([len(rates) for rates in good]) / np.maximum(tried, 1) + 0.01
            medians = np.array([np.median(rates) if rates else rng.random() for rates in good])
        edges = np.cumsum(weights) / weights.sum()
        pointers = (rng.random() + np.arange(size)) / size
        chosen = rng.permutation(np.minimum(np.searchsorted(edges, pointers, side="right"), self.strategies - 1))
        rates = rng.normal(medians[chosen], 0.1)
        while (again := (rates < 0) | (rates > 1)).any():
            rates[again] = rng.normal(medians[chosen[again]], 0.1)
        return Settings(rng.normal(0.5, 0.3, size), rates, chosen)

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        kept = (outcome.trials <= outcome.parents) & (outcome.trials < np.inf)
        self.trials.append(np.bincount(outcome.strategies, minlength=self.strategies).tolist())
        self.successes.append(
            [outcome.rates[kept & (outcome.strategies == k)].tolist() for k in range(self.strategies)]
        )
        del self.trials[: -self.period], self.successes[: -self.period]

    def state_dict(self) -> dict[str, Any]:
        return {"trials": self.trials, "successes": self.successes}


class SADE(DifferentialEvolution):
    """SaDE: learns which of four mutation strategies to use, and CR of each.

    The strategies are rand/1/bin, current-to-best/2/bin (called rand-to-best/2 in the paper), rand/2/bin and
    current-to-rand/1 without crossover.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = SaDEParameters
    reference: ClassVar[str] = (
        "A. K. Qin, V. L. Huang and P. N. Suganthan, Differential Evolution Algorithm With Strategy Adaptation for "
        "Global Numerical Optimization, IEEE Transactions on Evolutionary Computation 13(2):398-417, 2009, "
        "doi:10.1109/TEVC.2008.927706"
    )

    @staticmethod
    def parts_for(p: SaDEParameters) -> Parts:
        """The operators and the control of these parameters."""
        return Parts(
            strategies=CANDIDATES,
            crossover=CROSSOVERS[p.crossover],
            control=StrategyAdaptation(len(CANDIDATES), p.learning),
            repair=BOUNDS[p.bounds],
            population=p.population,
            asynchronous=p.asynchronous,
        )

    def make_parts(self) -> Parts:
        """Adapted choice among four strategies, adapted CR; crossover as named."""
        return self.parts_for(self.parameters)
