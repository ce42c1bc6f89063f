"""Differential evolution with constant F and CR.

R. Storn and K. Price, "Differential Evolution - A Simple and Efficient Heuristic for Global Optimization over
Continuous Spaces", J. Global Optim. 11:341-359, 1997.
"""

from dataclasses import dataclass
from typing import ClassVar

from snnbench.algorithm import Capabilities
from snnbench.algorithms.differential_evolution import (
    BOUNDS,
    CROSSOVERS,
    STRATEGIES,
    Constant,
    DifferentialEvolution,
    Parts,
)
from snnbench.parameters import param


@dataclass(frozen=True)
class DEParameters:
    """Parameters of `DE`."""

    f: float = param(0.5, "mutation factor F", low=0, high=2, source="Storn and Price 1997: 0.5 as initial choice")
    cr: float = param(0.9, "crossover rate CR", low=0, high=1, source="Storn and Price 1997: 0.9 to try first")
    strategy: str = param("rand/1", "mutation", choices=tuple(STRATEGIES), source="Storn and Price 1997")
    crossover: str = param("bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="ours")
    bounds: str = param("clip", "what becomes of mutants outside the box", choices=tuple(BOUNDS), source="ours")
    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=4,
        source="ours",
    )
    p: float = param(0.1, "share of best members in current-to-pbest/1", low=0, high=1, source="ours")
    asynchronous: bool = param(False, "a trial replaces its target before the next trial is made", source="ours")


class DE(DifferentialEvolution):
    """Differential evolution with constant F and CR.

    The textbook algorithm: at least one coordinate crosses, a trial replaces its target if it is no worse. Works
    on up to 3e7 coordinates in place.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = DEParameters
    reference: ClassVar[str] = (
        "R. Storn and K. Price, Differential Evolution - A Simple and Efficient Heuristic for Global Optimization over "
        "Continuous Spaces, Journal of Global Optimization 11:341-359, 1997, doi:10.1023/A:1008202821328"
    )

    def make_parts(self) -> Parts:
        """Constant F and CR; strategy and crossover as named."""
        p = self.parameters
        return Parts(
            strategies=(STRATEGIES[p.strategy],),
            crossover=CROSSOVERS[p.crossover],
            control=Constant(p.f, p.cr),
            repair=BOUNDS[p.bounds],
            population=p.population,
            best_share=p.p,
            asynchronous=p.asynchronous,
        )
