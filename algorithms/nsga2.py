"""NSGA-II by pymoo.

K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
IEEE Transactions on Evolutionary Computation 6(2):182-197, 2002.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from snnbench.algorithm import Capabilities
from snnbench.algorithms.pymoo_driver import PymooAlgorithm
from snnbench.parameters import param


@dataclass(frozen=True)
class NSGA2Parameters:
    """Parameters of `NSGA2`."""

    population: int | None = param(
        None,
        "members; by default the square root of the budget, between 20 and 100",
        low=4,
        source="Deb et al. 2002: 100; square root: ours",
    )
    crossover_rate: float = param(
        0.9, "probability that two parents are crossed (SBX)", low=0, high=1, source="Deb et al. 2002"
    )
    crossover_eta: float = param(
        15.0, "distribution index of SBX: larger, children nearer to the parents", low=1, source="pymoo; Deb et al.: 20"
    )
    mutation_rate: float | None = param(
        None,
        "probability per coordinate of polynomial mutation; by default 1/d",
        low=0,
        high=1,
        source="Deb et al. 2002",
    )
    mutation_eta: float = param(
        20.0, "distribution index of polynomial mutation", low=1, high=100, source="Deb et al. 2002"
    )


class NSGA2(PymooAlgorithm):
    """NSGA-II (pymoo): non-dominated sorting with crowding distance.

    Binary tournaments by feasibility, dominance and crowding distance choose parents; SBX and polynomial mutation
    make as many children as there are members; of both together the better fronts survive, the last one thinned out
    by crowding distance.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, constraints=True, max_dimension=200_000, horizon=True
    )
    Parameters: ClassVar[type] = NSGA2Parameters
    kept: ClassVar[tuple[str, ...]] = ("rank", "crowding")
    reference: ClassVar[str] = (
        "K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, "
        "IEEE Transactions on Evolutionary Computation 6(2):182-197, 2002, doi:10.1109/4235.996017; "
        "J. Blank and K. Deb, pymoo: Multi-Objective Optimization in Python, IEEE Access 8:89497-89509, 2020"
    )

    def make(self) -> Any:
        from pymoo.algorithms.moo.nsga2 import NSGA2 as Engine
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

        p = self.parameters
        return Engine(
            pop_size=self.size(),
            crossover=SBX(prob=p.crossover_rate, eta=p.crossover_eta),
            mutation=PM(prob_var=p.mutation_rate, eta=p.mutation_eta),
            survival=RankAndCrowding(),
        )
