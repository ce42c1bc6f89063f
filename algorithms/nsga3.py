"""NSGA-III by pymoo.

K. Deb and H. Jain, "An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based Nondominated
Sorting Approach, Part I", IEEE Transactions on Evolutionary Computation 18(4):577-601, 2014; constraints in part II.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snnbench.algorithm import Capabilities, State
from snnbench.algorithms import pymoo_normalisation
from snnbench.algorithms.pymoo_driver import PymooAlgorithm
from snnbench.algorithms.reference_directions import reference_directions
from snnbench.errors import UsageError
from snnbench.parameters import param


@dataclass(frozen=True)
class NSGA3Parameters:
    """Parameters of `NSGA3`."""

    population: int | None = param(
        None,
        "most members, one per reference direction; by default the square root of the budget, between 20 and 100",
        low=4,
        source="Deb and Jain 2014: 92 for three objectives; square root: ours",
    )
    crossover_rate: float = param(
        1.0, "probability that two parents are crossed (SBX)", low=0, high=1, source="Deb and Jain 2014, table II"
    )
    crossover_eta: float = param(
        30.0, "distribution index of SBX: larger, children nearer to the parents", low=1, source="Deb and Jain 2014"
    )
    mutation_rate: float | None = param(
        None,
        "probability per coordinate of polynomial mutation; by default 1/d",
        low=0,
        high=1,
        source="Deb and Jain 2014",
    )
    mutation_eta: float = param(
        20.0, "distribution index of polynomial mutation", low=1, high=100, source="Deb and Jain 2014"
    )


class NSGA3(PymooAlgorithm):
    """NSGA-III (pymoo): non-dominated sorting with reference directions.

    Of parents and children together the better fronts survive; the last one is thinned out so that every reference
    direction keeps its members, objectives being normalised by the extreme points found so far. There is one member
    per reference direction (`snnbench.algorithms.reference_directions`): as many as asked for with two objectives,
    fewer with more (91 of 100 with three).
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, min_objectives=2, constraints=True, max_dimension=200_000, horizon=True
    )
    Parameters: ClassVar[type] = NSGA3Parameters
    reference: ClassVar[str] = (
        "K. Deb and H. Jain, An Evolutionary Many-Objective Optimization Algorithm Using Reference-Point-Based "
        "Nondominated Sorting Approach, Part I: Solving Problems With Box Constraints, IEEE Transactions on "
        "Evolutionary Computation 18(4):577-601, 2014, doi:10.1109/TEVC.2013.2281535; "
        "J. Blank and K. Deb, pymoo: Multi-Objective Optimization in Python, IEEE Access 8:89497-89509, 2020"
    )
    _directions: np.ndarray | None = None

    def directions(self) -> np.ndarray:
        """Reference directions (n, m)."""
        if self._directions is None:
            m, most = len(self.task.objectives), super().size()
            if most < m:
                raise UsageError(f"nsga3 needs a population of at least {m} for {m} objectives, got {most}")
            self._directions = reference_directions(m, most)
        return self._directions

    def size(self) -> int:
        return len(self.directions())

    def make(self) -> Any:
        from pymoo.algorithms.moo.nsga3 import NSGA3 as Engine
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.selection.tournament import TournamentSelection

        p = self.parameters
        return Engine(
            self.directions(),
            selection=TournamentSelection(func_comp=by_violation_or_chance),
            crossover=SBX(prob=p.crossover_rate, eta=p.crossover_eta),
            mutation=PM(prob_var=p.mutation_rate, eta=p.mutation_eta),
        )

    def save(self, engine: Any) -> State:
        return pymoo_normalisation.save(engine.survival.norm)

    def restore(self, engine: Any, saved: State) -> None:
        pymoo_normalisation.restore(engine.survival.norm, saved)


def by_violation_or_chance(
    pop: Any, P: np.ndarray, random_state: np.random.Generator | None = None, **_: Any
) -> np.ndarray:
    """Winners (n, 1) of tournaments P (n, 2): the one that violates constraints less, else either.

    What pymoo's `comp_by_cv_then_random` does, but equal violations are decided by the algorithm's generator. pymoo
    0.6.2 does not hand it on in that case, and a new one, seeded by the operating system, decides.
    """
    assert random_state is not None
    violation = pop.get("CV")[:, 0]
    winners = [
        (a if violation[a] < violation[b] else b) if violation[a] != violation[b] else int(random_state.choice([a, b]))
        for a, b in P.tolist()
    ]
    return np.array(winners)[:, None]
