"""The one differential evolution loop that all variants share."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Evaluations, State, Task
from snnbench.algorithms.differential_evolution.control import Control
from snnbench.algorithms.differential_evolution.crossover import Crossover
from snnbench.algorithms.differential_evolution.mutation import Strategy
from snnbench.algorithms.differential_evolution.trials import make_trials
from snnbench.algorithms.initial_design import fill
from snnbench.errors import UsageError

LARGEST_DEFAULT = 50
"""Largest population that is chosen without being asked for."""


@dataclass(frozen=True)
class Parts:
    """What makes one variant of differential evolution.

    Attributes
    ----------
    strategy, crossover, control
        The exchangeable operators.
    population
        Number of members N; ``None`` for as many as the problem's initial design offers (at most 50), or
        min(10 d, 50) if it offers none; never fewer than the strategy needs or than 4.
    best_share
        p of pbest strategies.
    forced
        Whether binomial crossover takes at least one coordinate.
    strict
        Whether a trial must be better than its target, not just as good.
    asynchronous
        Whether a trial replaces its target at once, before the next trial is made.
    """

    strategy: Strategy
    crossover: type[Crossover]
    control: Control
    population: int | None = None
    best_share: float = 0.1
    forced: bool = True
    strict: bool = False
    asynchronous: bool = False


class DifferentialEvolution(Algorithm):
    """Differential evolution, in place on the task's device; a subclass says which `Parts`.

    The first `ask` returns the initial population: the problem's initial design, filled up as in
    `snnbench.algorithms.initial_design`. After that one `ask` is one generation of N trials, or one trial if
    asynchronous. The population and its trials are two (N, d) tensors (asynchronously: one, and one row); beyond
    these only blocks of bounded size are allocated, so memory peaks below three populations.

    A trial replaces its target if it is no worse (better, if `Parts.strict`) and did not fail. Fitness is
    remembered, not measured again.
    """

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        # Small draws (which members, how many coordinates) are made on the CPU, wherever the population is.
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.parts = self.make_parts()
        size, needed = self.parts.population, self.parts.strategy.members
        if size is not None and size < needed:
            raise UsageError(f"{self.parts.strategy.name} needs a population of at least {needed}, got {size}")
        self.population: torch.Tensor | None = None
        self.evaluated = False
        self.target = 0
        self.fitness = torch.empty(0, dtype=torch.float64)
        self.parents = np.empty(0)
        self.outcomes = np.empty(0)
        self.factors = np.empty(0)
        self.rates = np.empty(0)
        self.trials: torch.Tensor | None = None
        self.asked = {"F": np.empty(0), "CR": np.empty(0)}

    @abstractmethod
    def make_parts(self) -> Parts:
        """The operators of this variant, from `self.parameters`."""

    def ask(self) -> torch.Tensor:
        if self.population is None:
            self._begin()
        assert self.population is not None
        if not self.evaluated:
            self.asked = {name: np.full(len(self.population), np.nan) for name in ("F", "CR")}
            return self.population
        if self.target == 0:
            self.parents = self.fitness.numpy().copy()
            self.outcomes = np.full(len(self.fitness), np.inf)
            self.factors, self.rates = self.parts.control.sample(len(self.fitness), self.rng)
        n, d = self.population.shape
        targets = np.array([self.target]) if self.parts.asynchronous else np.arange(n)
        if self.trials is None:
            self.trials = torch.empty(len(targets), d, device=self.population.device, dtype=self.population.dtype)
        donors = self.parts.strategy.draw(targets, self.fitness.numpy(), self.parts.best_share, self.rng)
        crossover = self.parts.crossover(self.rates[targets], d, self.parts.forced, self.rng, self.generator)
        make_trials(self.population, targets, donors, self.factors[targets], crossover, self.trials)
        self.asked = {"F": self.factors[targets], "CR": self.rates[targets]}
        return self.trials

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        assert self.population is not None
        fitness = evaluations.fitness
        if not self.evaluated:
            self.fitness = torch.full((len(self.population),), torch.inf, dtype=torch.float64)
            self.fitness[: len(fitness)] = fitness
            self.evaluated = True
            return
        trials = fitness.numpy()
        told = slice(self.target, self.target + len(trials))
        mine = self.fitness.numpy()[told]  # shares memory with self.fitness
        better = trials < mine if self.parts.strict else trials <= mine
        for row in np.flatnonzero(better & (trials < np.inf)).tolist():
            self.population[self.target + row].copy_(x[row])
            mine[row] = trials[row]
        self.outcomes[told] = trials
        self.target += len(trials)
        if self.target >= len(self.population):
            self.target = 0
            self.parts.control.learn(self.factors, self.rates, self.parents, self.outcomes)

    def annotations(self) -> dict[str, np.ndarray]:
        """F and CR of each candidate of the last `ask`; NaN for the initial population, which has none."""
        return self.asked

    def state_dict(self) -> State:
        bits = self.rng.bit_generator.state
        return (
            super().state_dict()
            | {
                "rng": {
                    "state": [int(word) for word in bits["state"]["state"]],
                    "has_uint32": int(bits["has_uint32"]),
                    "uinteger": int(bits["uinteger"]),
                },
                "population": self.population,
                "fitness": self.fitness,
                "evaluated": self.evaluated,
                "target": self.target,
                "control": self.parts.control.state_dict(),
            }
            | {name: torch.from_numpy(getattr(self, name)) for name in self._per_member}
        )

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        rng = state["rng"]
        self.rng.bit_generator.state = {
            "bit_generator": "SFC64",
            "state": {"state": np.array(rng["state"], np.uint64)},
            "has_uint32": rng["has_uint32"],
            "uinteger": rng["uinteger"],
        }
        population = state["population"]
        # Copied, since this object goes on to change them in place while others may hold the same state.
        self.population = None if population is None else population.to(self.task.device, copy=True)
        self.fitness = state["fitness"].cpu().clone()
        self.evaluated, self.target = state["evaluated"], state["target"]
        self.parts.control.load_state_dict(state["control"])
        for name in self._per_member:
            setattr(self, name, state[name].cpu().numpy().copy())

    _per_member = ("parents", "outcomes", "factors", "rates")

    def _begin(self) -> None:
        task, needed = self.task, max(4, self.parts.strategy.members)
        wanted = self.parts.population
        design = task.initial(wanted or LARGEST_DEFAULT)
        if wanted is None:
            wanted = max(needed, len(design) or min(10 * task.space.dimension, LARGEST_DEFAULT))
        self.population = fill(task, design, wanted, self.generator)
        self.parts.control.begin(-(-(task.budget - wanted) // wanted))
