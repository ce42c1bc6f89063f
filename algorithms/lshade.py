"""SHADE with linear population size reduction (L-SHADE).

R. Tanabe and A. S. Fukunaga, "Improving the Search Performance of SHADE Using Linear Population Size Reduction", IEEE
CEC 2014, pp. 1658-1665.
"""

from dataclasses import dataclass
from typing import ClassVar

from snnbench.algorithm import Capabilities
from snnbench.algorithms.differential_evolution import BOUNDS, CROSSOVERS, STRATEGIES, DifferentialEvolution, Parts
from snnbench.algorithms.differential_evolution.success_history import SuccessHistory
from snnbench.parameters import param

GENERATIONS = 50
"""The default population is at most the budget divided by this, so that there is time to select (with the paper's
budget of 10,000 d evaluations and 18 d members it is 556 times)."""


def initial_size(dimension: int, budget: int) -> int:
    """18 d members (2014, section V), but no more than leave `GENERATIONS` generations, and at least 18."""
    return max(18, min(18 * dimension, budget // GENERATIONS))


@dataclass(frozen=True)
class LSHADEParameters:
    """Parameters of `LSHADE`."""

    memory: int = param(6, "entries H of the memory of F and CR", low=1, source="Tanabe and Fukunaga 2014")
    p: float = param(
        0.11, "share of best members, at least two of them", low=0, high=1, source="Tanabe and Fukunaga 2014"
    )
    archive: float = param(
        2.6, "replaced members kept, per member; 0 for none", low=0, high=10, source="Tanabe and Fukunaga 2014"
    )
    strategy: str = param(
        "current-to-pbest/1", "mutation", choices=tuple(STRATEGIES), source="Tanabe and Fukunaga 2014"
    )
    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="Tanabe and Fukunaga 2014"
    )
    bounds: str = param(
        "midpoint", "what becomes of mutants outside the box", choices=tuple(BOUNDS), source="Tanabe and Fukunaga 2014"
    )
    population: int | None = param(
        None,
        "initial members; by default the problem's initial design, of at most 18 d",
        low=4,
        source="Tanabe and Fukunaga 2014: 18 d; ours: at most budget / 50",
    )
    final: int = param(4, "members at the end of the budget", low=4, source="Tanabe and Fukunaga 2014")


class LSHADE(DifferentialEvolution):
    """L-SHADE: SHADE whose population shrinks linearly to four members.

    The worst members are dropped after each generation, so that their number falls linearly with the evaluations
    made, from N to 4 at the end of the budget, and the archive with it. The archive needs up to `archive` more
    populations of memory: set it to 0 or 1 where that is too much.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True)
    Parameters: ClassVar[type] = LSHADEParameters
    reference: ClassVar[str] = (
        "R. Tanabe and A. S. Fukunaga, Improving the Search Performance of SHADE Using Linear Population Size "
        "Reduction, IEEE Congress on Evolutionary Computation, pp. 1658-1665, 2014, doi:10.1109/CEC.2014.6900380"
    )

    @staticmethod
    def parts_for(p: LSHADEParameters) -> Parts:
        """The operators and the control of these parameters."""
        return Parts(
            strategies=(STRATEGIES[p.strategy],),
            crossover=CROSSOVERS[p.crossover],
            control=SuccessHistory(p.memory, share=p.p, terminal=True),
            repair=BOUNDS[p.bounds],
            population=p.population,
            size=initial_size,
            archive=p.archive,
            final=p.final,
        )

    def make_parts(self) -> Parts:
        """Success history of F and CR, archive, reduction; strategy and crossover as named."""
        return self.parts_for(self.parameters)
