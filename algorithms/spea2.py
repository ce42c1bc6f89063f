"""SPEA2 by pymoo.

E. Zitzler, M. Laumanns and L. Thiele, "SPEA2: Improving the Strength Pareto Evolutionary Algorithm", TIK-Report 103,
ETH Zurich, 2001.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from snnbench.algorithm import Capabilities, State
from snnbench.algorithms import pymoo_normalisation
from snnbench.algorithms.pymoo_driver import PymooAlgorithm
from snnbench.parameters import param


@dataclass(frozen=True)
class SPEA2Parameters:
    """Parameters of `SPEA2`."""

    population: int | None = param(
        None,
        "members, and size of the archive; by default the square root of the budget, between 20 and 100",
        low=4,
        source="Zitzler et al. 2001: 100 for two objectives; square root: ours",
    )
    crossover_rate: float = param(
        0.9, "probability that two parents are crossed (SBX)", low=0, high=1, source="pymoo; Zitzler et al. 2001: 1"
    )
    crossover_eta: float = param(
        15.0, "distribution index of SBX: larger, children nearer to the parents", low=1, source="Zitzler et al. 2001"
    )
    mutation_rate: float | None = param(
        None,
        "probability per coordinate of polynomial mutation; by default 1/d",
        low=0,
        high=1,
        source="pymoo; Zitzler et al. 2001: 1/100 for d = 100",
    )
    mutation_eta: float = param(
        20.0, "distribution index of polynomial mutation", low=1, high=100, source="Zitzler et al. 2001"
    )


class SPEA2(PymooAlgorithm):
    """SPEA2 (pymoo): strength of domination and distance to neighbours.

    A member's fitness counts whom its dominators dominate, plus a density from the distance to its k-th neighbour in
    normalised objectives. Of parents and children together the non-dominated survive, filled up by fitness or, where
    they are too many, thinned out by dropping the one that is nearest to another, one at a time.

    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, min_objectives=2, constraints=True, max_dimension=200_000, horizon=True
    )
    Parameters: ClassVar[type] = SPEA2Parameters
    kept: ClassVar[tuple[str, ...]] = ("SPEA_F",)
    reference: ClassVar[str] = (
        "E. Zitzler, M. Laumanns and L. Thiele, SPEA2: Improving the Strength Pareto Evolutionary Algorithm, "
        "TIK-Report 103, ETH Zurich, 2001, doi:10.3929/ethz-a-004284029; "
        "J. Blank and K. Deb, pymoo: Multi-Objective Optimization in Python, IEEE Access 8:89497-89509, 2020"
    )

    def make(self) -> Any:
        from pymoo.algorithms.moo.spea2 import SPEA2 as Engine
        from pymoo.algorithms.moo.spea2 import SPEA2Survival
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM

        p = self.parameters
        survival = SPEA2Survival(normalize=True)
        survival.norm = pymoo_normalisation.normalisation(len(self.task.objectives))
        return Engine(
            pop_size=self.size(),
            crossover=SBX(prob=p.crossover_rate, eta=p.crossover_eta),
            mutation=PM(prob_var=p.mutation_rate, eta=p.mutation_eta),
            survival=survival,
        )

    def save(self, engine: Any) -> State:
        return pymoo_normalisation.save(engine.survival.norm)

    def restore(self, engine: Any, saved: State) -> None:
        pymoo_normalisation.restore(engine.survival.norm, saved)
