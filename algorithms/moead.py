"""MOEA/D by pymoo.

Q. Zhang and H. Li, "MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition", IEEE Transactions on
Evolutionary Computation 11(6):712-731, 2007.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Capabilities, State, Task
from snnbench.algorithms.pymoo_driver import PymooAlgorithm
from snnbench.algorithms.reference_directions import reference_directions
from snnbench.errors import UsageError
from snnbench.parameters import param


@dataclass(frozen=True)
class MOEADParameters:
    """Parameters of `MOEAD`."""

    population: int | None = param(
        None,
        "most members, one per weight vector; by default the square root of the budget, between 20 and 100",
        low=4,
        source="Zhang and Li 2007: 100 for two objectives; square root: ours",
    )
    batch: int = param(
        1,
        "children made before the first of them is told; more use more workers and search less well",
        low=1,
        source="Zhang and Li 2007",
    )
    normalize: bool = param(
        True,
        "scale objectives to the range of the present population",
        source="Zhang and Li 2007 (normalization)",
    )
    neighbors: int = param(
        20, "members that mate with each other and compete, at most all", low=2, source="Zhang and Li 2007"
    )
    neighbor_mating: float = param(
        0.9,
        "probability that parents are neighbours, else any two members",
        low=0,
        high=1,
        source="pymoo, after H. Li and Q. Zhang, IEEE TEVC 13(2), 2009",
    )
    crossover_rate: float = param(
        1.0, "probability that two parents are crossed (SBX)", low=0, high=1, source="Zhang and Li 2007"
    )
    crossover_eta: float = param(
        20.0, "distribution index of SBX: larger, children nearer to the parents", low=1, source="Zhang and Li 2007"
    )
    mutation_rate: float | None = param(
        None,
        "probability per coordinate of polynomial mutation; by default 1/d",
        low=0,
        high=1,
        source="Zhang and Li 2007",
    )
    mutation_eta: float = param(
        20.0, "distribution index of polynomial mutation", low=1, high=100, source="Zhang and Li 2007"
    )


class MOEAD(PymooAlgorithm):
    """MOEA/D (pymoo): a scalar problem per weight vector, solved with neighbours.

    Every member minimises its own weighting of the objectives (Tchebycheff for two, penalty boundary intersection for
    more); its child, made with neighbours, replaces each neighbour that it is better than in that one's weighting.
    Members are as many as weight vectors (`snnbench.algorithms.reference_directions`).
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, min_objectives=2, max_dimension=200_000, horizon=True
    )
    Parameters: ClassVar[type] = MOEADParameters
    reference: ClassVar[str] = (
        "Q. Zhang and H. Li, MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition, IEEE Transactions "
        "on Evolutionary Computation 11(6):712-731, 2007, doi:10.1109/TEVC.2007.892759; "
        "J. Blank and K. Deb, pymoo: Multi-Objective Optimization in Python, IEEE Access 8:89497-89509, 2020"
    )

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.weights: np.ndarray | None = None
        self.order: list[int] = []  # members whose turn is yet to come
        self.batch: list[int] = []  # members whose children are being evaluated

    def size(self) -> int:
        if self.weights is None:
            m, most = len(self.task.objectives), super().size()
            if most < m:
                raise UsageError(f"moead needs a population of at least {m} for {m} objectives, got {most}")
            self.weights = reference_directions(m, most)
        return len(self.weights)

    def make(self) -> Any:
        from pymoo.algorithms.moo.moead import MOEAD as Engine
        from pymoo.decomposition.pbi import PBI
        from pymoo.decomposition.tchebicheff import Tchebicheff
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM

        p, n = self.parameters, self.size()
        return Engine(
            self.weights,
            n_neighbors=min(p.neighbors, n),
            decomposition=Tchebicheff() if len(self.task.objectives) == 2 else PBI(),
            prob_neighbor_mating=p.neighbor_mating,
            crossover=SBX(prob=p.crossover_rate, eta=p.crossover_eta),
            mutation=PM(prob_var=p.mutation_rate, eta=p.mutation_eta),
        )

    # pymoo's own loop keeps its place in a Python generator, which cannot be saved, and its ParallelMOEAD mixes up
    # which child belongs to which member; so the loop is here, out of the same parts and in the same order of draws.

    def offspring(self) -> np.ndarray:
        engine, rng = self.engine, self.rng
        if not self.order:
            self.order = rng.permutation(len(engine.pop)).tolist()
        size = self.parameters.batch
        self.batch, self.order = self.order[:size], self.order[size:]
        children = []
        for member in self.batch:
            parents = engine.selection.do(
                engine.problem,
                engine.pop,
                1,
                engine.mating.crossover.n_parents,
                neighbors=[engine.neighbors[member]],
                random_state=rng,
            )
            pair = engine.mating.do(
                engine.problem, engine.pop, 1, parents=parents, n_max_iterations=1, random_state=rng
            )
            children.append(rng.choice(pair).X)
        return np.stack(children)

    def advance(self, members: Any) -> None:
        engine = self.engine
        for member, child in zip(self.batch, members, strict=False):  # fewer at the end of the budget
            if not np.isfinite(child.F).all():
                continue
            engine.ideal = np.minimum(engine.ideal, child.F)
            rows = engine.neighbors[member]
            rivals = engine.pop[rows].get("F")
            better = self._scalar(child.F[None], rows) < self._scalar(rivals, rows)
            engine.pop[rows[better]] = child

    def save(self, engine: Any) -> State:
        return {"ideal": torch.tensor(engine.ideal), "order": list(self.order)}

    def restore(self, engine: Any, saved: State) -> None:
        engine.ideal, self.order = saved["ideal"].numpy().copy(), list(saved["order"])

    def _scalar(self, values: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Objectives (1 or n, m) in the weightings of n members: (n,), infinite for a failed candidate."""
        engine = self.engine
        ideal, values = engine.ideal, np.broadcast_to(values, (len(rows), values.shape[1]))
        failed = ~np.isfinite(values).all(axis=1)
        values = np.where(failed[:, None], 0.0, values)
        if self.parameters.normalize:
            present = engine.pop.get("F")
            present = present[np.isfinite(present).all(axis=1)]
            width = present.max(axis=0, initial=-np.inf) - ideal
            values, ideal = (
                (values - ideal) / np.where((width > 0) & np.isfinite(width), width, 1.0),
                np.zeros_like(ideal),
            )
        scalar = engine.decomposition.do(values, weights=engine.ref_dirs[rows], ideal_point=ideal)
        return np.where(failed, np.inf, scalar)
