"""How pymoo's multi-objective algorithms are run one generation at a time, and saved."""

import contextlib
import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Evaluations, State, Task
from snnbench.algorithms.initial_design import fill

FAILED = 1e300
"""Violation of the additional constraint that failed candidates are given: beyond any that a problem may have."""

SMALLEST_DEFAULT, LARGEST_DEFAULT = 20, 100
"""Limits of the population where none is asked for: the square root of the budget."""


class PymooAlgorithm(Algorithm):
    """One of pymoo's population algorithms, asked and told through arrays; a subclass makes the pymoo object.

    The first `ask` returns the initial population: the problem's initial design, filled up as in
    `snnbench.algorithms.initial_design`. What pymoo then works with is what was evaluated: its candidates rounded
    to the task's dtype and moved into the box.

    A failed candidate counts as infeasible, violating its constraints by more than any that was evaluated: so its
    infinite objectives never enter pymoo's normalisations.

    A pymoo object cannot be saved as plain data. The state holds what it is made from: the population with its
    values, the random generator, and whatever the subclass names. Everything else of it follows from these.
    """

    family: ClassVar[str] = "multi-objective"
    kept: ClassVar[tuple[str, ...]] = ()
    """What pymoo's survival leaves with every member for the next selection, one number each."""

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.rng = np.random.Generator(np.random.PCG64(seed))  # what pymoo makes of a seed itself
        self.engine: Any = None

    @abstractmethod
    def make(self) -> Any:
        """A new pymoo algorithm with operators of its own: pymoo's defaults are shared by all its objects."""

    def size(self) -> int:
        """Members of the initial population."""
        given: int | None = self.parameters.population
        return given or min(LARGEST_DEFAULT, max(SMALLEST_DEFAULT, math.isqrt(self.task.budget)))

    def ask(self) -> torch.Tensor:
        if self.engine is None:
            return fill(self.task, self.task.initial(self.size()), self.size(), self.generator)
        with quiet():
            points = self.offspring()
        return torch.from_numpy(points).to(self.task.device, self.task.dtype)

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        points = x.double().cpu().numpy()
        members = self._members(points, evaluations.objectives.numpy(), evaluations.constraints.numpy())
        with quiet():
            if self.engine is None:
                self.engine = self._begin()
                self.engine.advance(infills=members)
            else:
                self.advance(members)

    def offspring(self) -> np.ndarray:
        """Candidates (n, d) of the next generation."""
        population = self.engine.infill()
        assert population is not None, "pymoo found no offspring that differs from all members"
        points: np.ndarray = population.get("X")
        return points

    def advance(self, members: Any) -> None:
        """Let pymoo choose among its population and the evaluated offspring, a `pymoo.core.population.Population`."""
        self.engine.advance(infills=members)

    def recommend(self) -> torch.Tensor | None:
        """The non-dominated members of the population; if none is feasible, the one that violates least."""
        if self.engine is None:
            return None
        points, values, violation = self.engine.pop.get("X", "F", "CV")
        rows = best_rows(values, violation[:, 0])
        return torch.from_numpy(points[rows]).to(self.task.device, self.task.dtype) if len(rows) else None

    def state_dict(self) -> State:
        state = super().state_dict() | {"rng": self.rng.bit_generator.state, "begun": self.engine is not None}
        if self.engine is None:
            return state
        points, values, constraints = self.engine.pop.get("X", "F", "G")
        own = [[float(member.data.get(key, np.nan)) for key in self.kept] for member in self.engine.pop]
        return (
            state
            | {
                "x": torch.from_numpy(points).to(self.task.dtype),
                "objectives": torch.from_numpy(values),
                "constraints": torch.from_numpy(constraints),
                "kept": torch.tensor(own, dtype=torch.float64).reshape(len(points), len(self.kept)),
            }
            | {f"engine.{name}": value for name, value in self.save(self.engine).items()}
        )

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.rng.bit_generator.state = state["rng"]
        self.engine = None
        if not state["begun"]:
            return
        from pymoo.core.population import Population

        self.engine = self._begin()
        points, values, constraints, own = (
            state[name].double().cpu().numpy() for name in ("x", "objectives", "constraints", "kept")
        )
        columns = {key: own[:, column] for column, key in enumerate(self.kept)}
        self.engine.pop = Population.new(X=points, F=values, G=constraints, **columns)
        self.engine.is_initialized = True
        saved = {name.partition(".")[2]: value for name, value in state.items() if name.startswith("engine.")}
        self.restore(self.engine, saved)

    def save(self, engine: Any) -> State:
        """What else the future of a pymoo algorithm depends on."""
        return {}

    def restore(self, engine: Any, saved: State) -> None:
        """Take over what `save` gave."""

    def _begin(self) -> Any:
        from pymoo.config import Config
        from pymoo.core.problem import Problem
        from pymoo.core.termination import NoTermination

        Config.warnings["not_compiled"] = False  # pymoo prints it otherwise
        space = self.task.space
        problem = Problem(
            n_var=space.dimension,
            n_obj=len(self.task.objectives),
            n_ieq_constr=self.task.constraints + 1 if self.capabilities.constraints else 0,
            xl=space.lower.double().expand(space.dimension).numpy(),
            xu=space.upper.double().expand(space.dimension).numpy(),
        )
        engine = self.make()
        engine.setup(problem, termination=NoTermination())
        engine.random_state = self.rng
        engine._initialize()
        return engine

    def _members(self, points: np.ndarray, values: np.ndarray, constraints: np.ndarray) -> Any:
        from pymoo.core.population import Population

        if not self.capabilities.constraints:
            return Population.new(X=points, F=values)
        failed = ~(np.isfinite(values).all(axis=1) & np.isfinite(constraints).all(axis=1))
        columns = np.column_stack([np.where(failed[:, None], 0.0, constraints), np.where(failed, FAILED, 0.0)])
        return Population.new(X=points, F=values, G=columns)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without numpy's warnings of divisions by zero, and with the warning filters restored that pymoo changes."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def best_rows(values: np.ndarray, violation: np.ndarray) -> np.ndarray:
    """Rows of the non-dominated feasible points; if none is feasible, the row with the least violation.

    Parameters
    ----------
    values
        (n, m) objectives; rows that are not finite have failed.
    violation
        (n,), feasible where <= 0.
    """
    sound = np.isfinite(values).all(axis=1) & (violation < FAILED)
    feasible = np.flatnonzero(sound & (violation <= 0))
    if len(feasible) == 0:
        rows = np.flatnonzero(sound)
        return rows[violation[rows].argsort(kind="stable")[:1]]
    points = values[feasible]
    dominated = [bool(((points <= p).all(axis=1) & (points < p).any(axis=1)).any()) for p in points]
    return feasible[~np.array(dominated)]
