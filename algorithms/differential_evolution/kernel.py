"""The one differential evolution loop that all variants share."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Evaluations, State, Task
from snnbench.algorithms.differential_evolution.bounds import Repair, clip
from snnbench.algorithms.differential_evolution.control import Control, Outcome, Settings
from snnbench.algorithms.differential_evolution.crossover import Crossover
from snnbench.algorithms.differential_evolution.members import Members
from snnbench.algorithms.differential_evolution.mutation import Pool, Strategy
from snnbench.algorithms.differential_evolution.trials import Recipe, make_trials
from snnbench.algorithms.initial_design import fill, first_members, usual_size
from snnbench.errors import UsageError


@dataclass(frozen=True)
class Parts:
    """What makes one variant of differential evolution.

    Attributes
    ----------
    strategies
        Mutation strategies; the control says which one makes a trial.
    crossover, control, repair
        The exchangeable operators.
    population
        Number of members N; ``None`` for as many as the problem's initial design offers, or `size` if it offers none;
        never fewer than the strategies need or than 4.
    size
        ``size(dimension, budget)``: members that are asked of the initial design, and made if it offers none.
    best_share
        p of pbest strategies.
    forced
        Whether binomial crossover takes at least one coordinate.
    strict
        Whether a trial must be better than its target, not just as good.
    asynchronous
        Whether a trial replaces its target at once, before the next trial is made.
    trials
        Trials for each target, of which the best competes with it.
    archive
        Replaced members that are kept to take differences with, per member.
    final
        If given, the population shrinks to this size, linearly with the evaluations made.
    """

    strategies: tuple[Strategy, ...]
    crossover: type[Crossover]
    control: Control
    repair: Repair = clip
    population: int | None = None
    size: Callable[[int, int], int] = usual_size
    best_share: float = 0.1
    forced: bool = True
    strict: bool = False
    asynchronous: bool = False
    trials: int = 1
    archive: float = 0.0
    final: int | None = None

    @property
    def needed(self) -> int:
        """Smallest population these parts work with."""
        return max(strategy.members for strategy in self.strategies)


class DifferentialEvolution(Algorithm):
    """Differential evolution, in place on the task's device; a subclass says which `Parts`.

    The first `ask` returns the initial population: the problem's initial design, filled up as in
    `snnbench.algorithms.initial_design`. After that one `ask` is one generation (`Parts.trials` trials for each of N
    targets), or the trials of one target if asynchronous. The population and its trials are two (N, d) tensors
    (asynchronously: one, and one row); beyond these only blocks of bounded size are allocated, so memory peaks below
    three populations. An archive adds its rows as it fills, several trials per target as many populations.

    A trial replaces its target if it is no worse (better, if `Parts.strict`) and did not fail. Fitness is
    remembered, not measured again.

    In an asynchronous run (`Task.asynchronous`) targets take turns; a trial that comes back is compared with what its
    target is worth by then. Every N trials that came back count as a generation of which the control learns.
    """

    family: ClassVar[str] = "differential evolution"

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        # Small draws (which members, how many coordinates) are made on the CPU, wherever the population is.
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.parts = self.make_parts()
        size, needed = self.parts.population, self.parts.needed
        if size is not None and size < needed:
            names = " and ".join(s.name for s in self.parts.strategies if s.members == needed)
            raise UsageError(f"{names} needs a population of at least {needed}, got {size}")
        if self.parts.final is not None and (task.asynchronous or self.parts.asynchronous):
            raise UsageError("a population that shrinks cannot be asynchronous")
        self.members: Members | None = None
        self.first = 0
        self.count = 0
        self.target = 0
        self.fitness = torch.empty(0, dtype=torch.float64)
        self.round = {name: np.empty(0) for name in ("factors", "rates", "strategies", "shares")}
        self.parents, self.outcomes = np.empty(0), np.empty(0)
        self.pending: dict[int, tuple[float, ...]] = {}
        self.told: list[tuple[float, ...]] = []
        self.trials: torch.Tensor | None = None
        self.asked = {"F": np.empty(0), "CR": np.empty(0)}
        self.lower, self.upper = (bound.to(task.device, task.dtype) for bound in (task.space.lower, task.space.upper))

    @abstractmethod
    def make_parts(self) -> Parts:
        """The operators of this variant, from `self.parameters`."""

    @property
    def population(self) -> torch.Tensor | None:
        """(N, d) The members; ``None`` before the first `ask`."""
        return None if self.members is None else self.members.population

    def ask(self) -> torch.Tensor:
        if self.members is None:
            self.members = Members(*self._begin())
            self.first = self.count = len(self.members.rows)
            self.fitness = torch.full((self.first,), torch.inf, dtype=torch.float64)
            self.asked = {name: np.full(self.first, np.nan) for name in ("F", "CR")}
            return self.members.population
        n, k = len(self.members.rows), self.parts.trials
        if self.target == 0:
            self._start_round(n * k)
        one = self.parts.asynchronous or self.task.asynchronous
        targets = np.array([self.target]) if one else np.arange(n)
        chosen = slice(self.target * k, (self.target + len(targets)) * k)
        trials = self._make(np.repeat(targets, k), {name: values[chosen] for name, values in self.round.items()})
        if self.task.asynchronous:
            f, cr, strategies = (self.round[name][chosen].tolist() for name in ("factors", "rates", "strategies"))
            for row in range(k):
                self.pending[self.count + row] = (self.target, f[row], cr[row], strategies[row])
            self.target = (self.target + 1) % n
        self.count += len(trials)
        return trials

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        assert self.members is not None
        if self.task.asynchronous:
            for row, number in enumerate(evaluations.candidates.tolist()):
                self._tell_one(number, x[row], float(evaluations.fitness[row]))
        elif self.count == self.first:
            self.fitness[: len(x)] = evaluations.fitness
        else:
            self._tell_round(x, evaluations.fitness.numpy())

    def annotations(self) -> dict[str, np.ndarray]:
        """F, CR and, of several, strategy of each candidate of the last `ask`; NaN in the initial population."""
        return self.asked

    def bounds(self) -> np.ndarray | None:
        """What the targets of the last `ask` are worth. Not where the best of several trials is chosen."""
        if self.task.asynchronous or self.parts.trials > 1 or self.count == self.first:
            return None
        fitness = self.fitness.numpy()
        return fitness[[self.target]] if self.parts.asynchronous else fitness.copy()

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
                "fitness": self.fitness,
                "first": self.first,
                "count": self.count,
                "target": self.target,
                "control": self.parts.control.state_dict(),
                "parents": torch.from_numpy(self.parents),
                "outcomes": torch.from_numpy(self.outcomes),
                "pending": torch.tensor([(key, *row) for key, row in self.pending.items()], dtype=torch.float64),
                "told": torch.tensor(self.told, dtype=torch.float64),
            }
            | {name: torch.from_numpy(values) for name, values in self.round.items()}
            | (self.members.state_dict() if self.members else {"population": None})
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
        # Copied, since this object goes on to change them in place while others may hold the same state.
        self.members = None if state["population"] is None else Members.load(state, self.task.device)
        self.fitness = state["fitness"].cpu().clone()
        self.first, self.count, self.target = state["first"], state["count"], state["target"]
        self.parts.control.load_state_dict(state["control"])
        self.parents, self.outcomes = (state[name].cpu().numpy().copy() for name in ("parents", "outcomes"))
        self.round = {name: state[name].cpu().numpy().copy() for name in self.round}
        self.pending = {int(row[0]): tuple(row[1:]) for row in state["pending"].tolist()}
        self.told = [tuple(row) for row in state["told"].tolist()]
        self.trials = None

    def _begin(self) -> tuple[torch.Tensor, int]:
        task, parts = self.task, self.parts
        usual = parts.size(task.space.dimension, task.budget)
        design, wanted = first_members(task, parts.population, parts.needed, usual)
        parts.control.begin(-(-(task.budget - wanted) // (wanted * parts.trials)))
        return fill(task, design, wanted, self.generator), self._archive_size(wanted)

    def _archive_size(self, members: int) -> int:
        return round(self.parts.archive * members)

    def _start_round(self, size: int) -> None:
        settings: Settings = self.parts.control.sample(size, self.rng)
        strategies, shares = settings.strategies, settings.shares
        strategies = np.zeros(size, np.int64) if strategies is None else strategies
        self.round = {
            "factors": settings.factors,
            "rates": settings.rates,
            "strategies": strategies,
            "shares": np.full(size, self.parts.best_share) if shares is None else shares,
        }
        self.parents = self.fitness.numpy().copy()
        self.outcomes = np.full(size, np.inf)

    def _make(self, targets: np.ndarray, settings: dict[str, np.ndarray]) -> torch.Tensor:
        assert self.members is not None
        pool, numbered = self.members.pool, self.members.numbered
        if self.trials is None or len(self.trials) < len(targets):
            self.trials = torch.empty(len(targets), pool.shape[1], device=pool.device, dtype=pool.dtype)
        trials = self.trials[: len(targets)]
        strategies = settings["strategies"]
        whole = np.array([strategy.whole for strategy in self.parts.strategies])
        rates = np.where(whole[strategies], 1.0, settings["rates"])
        for index in np.unique(strategies).tolist():
            mine = np.flatnonzero(strategies == index)
            strategy, every = self.parts.strategies[index], len(mine) == len(targets)
            donors = strategy.draw(
                Pool(
                    targets[mine],
                    settings["factors"][mine],
                    settings["shares"][mine],
                    self.fitness.numpy(),
                    len(self.members.archived),
                ),
                self.rng,
            )
            recipe = Recipe(
                numbered[targets[mine]],
                numbered[donors.base],
                tuple((scale, numbered[plus], numbered[minus]) for scale, plus, minus in donors.differences),
                self.parts.crossover(rates[mine], pool.shape[1], self.parts.forced, self.rng, self.generator),
                self.lower,
                self.upper,
                self.parts.repair,
                self.rng,
            )
            make_trials(pool, recipe, trials if every else [trials[row] for row in mine.tolist()])
        self.asked = {"F": settings["factors"], "CR": rates}
        if len(self.parts.strategies) > 1:
            self.asked["strategy"] = strategies.astype(np.float64)
        return trials

    def _accept(self, member: int, x: torch.Tensor, value: float) -> None:
        """Let a trial replace its target if it is good enough."""
        assert self.members is not None
        mine = float(self.fitness[member])
        if value < mine or (value == mine < np.inf and not self.parts.strict):
            # What failed, or has not been evaluated yet, is worth no place in the archive.
            self.members.replace(member, x, archive=value < mine < np.inf, rng=self.rng)
            self.fitness[member] = value

    def _tell_round(self, x: torch.Tensor, fitness: np.ndarray) -> None:
        assert self.members is not None
        n, k = len(self.fitness), self.parts.trials
        self.outcomes[self.target * k : self.target * k + len(fitness)] = fitness
        for start in range(0, len(fitness), k):
            best = start + int(fitness[start : start + k].argmin())
            self._accept(self.target, x[best], float(fitness[best]))
            self.target += 1
        if self.target < n:
            return
        self.target = 0
        outcomes = self.outcomes.reshape(n, k)
        best = np.arange(n) * k + outcomes.argmin(axis=1)
        self.parts.control.learn(
            Outcome(
                np.arange(n),
                self.round["factors"][best],
                self.round["rates"][best],
                self.round["strategies"][best],
                self.parents,
                self.outcomes[best],
            ),
            self.rng,
        )
        if self.parts.final is not None:
            self._shrink(self.parts.final)

    def _shrink(self, final: int) -> None:
        assert self.members is not None
        n = len(self.fitness)
        planned = round(self.first + (final - self.first) * min(1.0, self.count / self.task.budget))
        planned = max(planned, self.parts.needed, min(final, self.first))
        if planned < n:
            keep = np.sort(np.argsort(self.fitness.numpy(), kind="stable")[:planned])
            self.members.shrink(keep.tolist(), self._archive_size(planned), self.rng)
            self.fitness = self.fitness[torch.from_numpy(keep)]

    def _tell_one(self, number: int, x: torch.Tensor, value: float) -> None:
        if number < self.first:
            self._accept(number, x, value)
            return
        target, factor, rate, strategy = self.pending.pop(number)
        member = int(target)
        self.told.append((target, factor, rate, strategy, float(self.fitness[member]), value))
        self._accept(member, x, value)
        if len(self.told) >= len(self.fitness) * self.parts.trials:
            targets, factors, rates, strategies, parents, trials = np.array(self.told).T
            self.told = []
            self.parts.control.learn(
                Outcome(targets.astype(np.int64), factors, rates, strategies.astype(np.int64), parents, trials),
                self.rng,
            )
