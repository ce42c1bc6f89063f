"""Success-history based adaptive differential evolution (SHADE).

R. Tanabe and A. Fukunaga, "Success-History Based Parameter Adaptation for Differential Evolution", IEEE CEC 2013,
pp. 71-78.
"""

from dataclasses import dataclass
from typing import ClassVar

from snnbench.algorithm import Capabilities
from snnbench.algorithms.differential_evolution import BOUNDS, CROSSOVERS, STRATEGIES, DifferentialEvolution, Parts
from snnbench.algorithms.differential_evolution.success_history import SuccessHistory
from snnbench.parameters import param


@dataclass(frozen=True)
class SHADEParameters:
    """Parameters of `SHADE`."""

    memory: int = param(100, "entries H of the memory of F and CR", low=1, source="Tanabe and Fukunaga 2013")
    archive: float = param(
        1.0, "replaced members kept, per member; 0 for none", low=0, high=10, source="Tanabe and Fukunaga 2013"
    )
    strategy: str = param(
        "current-to-pbest/1", "mutation", choices=tuple(STRATEGIES), source="Tanabe and Fukunaga 2013"
    )
    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="Tanabe and Fukunaga 2013"
    )
    bounds: str = param(
        "midpoint", "what becomes of mutants outside the box", choices=tuple(BOUNDS), source="Tanabe and Fukunaga 2013"
    )
    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=4,
        source="ours",
    )
    asynchronous: bool = param(False, "a trial replaces its target before the next trial is made", source="ours")


class SHADE(DifferentialEvolution):
    """SHADE: JADE's operators with a memory of successful F and CR.

    DE/current-to-pbest/1/bin with an archive; F and CR are drawn around a random entry of a memory of H pairs of
    successful values, and the share p of best members is drawn for each trial from [2/N, 0.2]. The archive needs up
    to `archive` more populations of memory.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = SHADEParameters
    reference: ClassVar[str] = (
        "R. Tanabe and A. Fukunaga, Success-History Based Parameter Adaptation for Differential Evolution, IEEE "
        "Congress on Evolutionary Computation, pp. 71-78, 2013, doi:10.1109/CEC.2013.6557555"
    )

    @staticmethod
    def parts_for(p: SHADEParameters) -> Parts:
        """The operators and the control of these parameters."""
        return Parts(
            strategies=(STRATEGIES[p.strategy],),
            crossover=CROSSOVERS[p.crossover],
            control=SuccessHistory(p.memory, share=None, terminal=False),
            repair=BOUNDS[p.bounds],
            population=p.population,
            asynchronous=p.asynchronous,
            archive=p.archive,
        )

    def make_parts(self) -> Parts:
        """Success history of F and CR, archive; strategy and crossover as named."""
        return self.parts_for(self.parameters)
