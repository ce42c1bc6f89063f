"""Where mutation factors F and crossover rates CR come from: constants, cosine schedules, adaptation."""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np


class Settings(NamedTuple):
    """How the n trials of a generation are to be made, (n,) each.

    Attributes
    ----------
    factors, rates
        F and CR.
    strategies
        Position of the mutation strategy in `Parts.strategies`; ``None`` for the first.
    shares
        Share of best members that count as "pbest"; ``None`` for `Parts.best_share`.
    """

    factors: np.ndarray
    rates: np.ndarray
    strategies: np.ndarray | None = None
    shares: np.ndarray | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of n trials, (n,) each.

    Attributes
    ----------
    targets
        The members they were for.
    factors, rates, strategies
        What they were made with.
    parents, trials
        Fitness of the target when the trial was told, and of the trial.
    """

    targets: np.ndarray
    factors: np.ndarray
    rates: np.ndarray
    strategies: np.ndarray
    parents: np.ndarray
    trials: np.ndarray

    @property
    def improved(self) -> np.ndarray:
        """Whether each trial is better than its target."""
        return self.trials < self.parents

    @property
    def gains(self) -> np.ndarray:
        """By how much the better ones are better, positive and finite."""
        with np.errstate(invalid="ignore"):
            gain = (self.parents - self.trials)[self.improved]
        finite = gain[np.isfinite(gain)]
        # A target that had failed is improved on without measure: as much as the most that was measured.
        return np.where(np.isfinite(gain), gain, finite.max(initial=0.0) or 1.0)


class Control(ABC):
    """Source of F and CR, and of the mutation strategy where there are several.

    Asked once per generation, told afterwards what became of the trials. In an asynchronous run, N trials that were
    told one after the other count as a generation.
    """

    def begin(self, generations: int) -> None:
        """Called once, before the first `sample`, with the number of generations the budget allows."""
        return None

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        """Settings for the ``size`` trials of one generation; trials for the same member are neighbours."""

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        """Adapt to a finished generation: the trials, or for each member the best of its trials."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What changes while running, as plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`, which keeps its own lists."""
        vars(self).update(copy.deepcopy(state))


class Constant(Control):
    """The same F and CR always."""

    def __init__(self, factor: float, rate: float) -> None:
        self.factor = factor
        self.rate = rate

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        return Settings(np.full(size, self.factor), np.full(size, self.rate))


@dataclass(frozen=True)
class Annealed:
    """What a cosine schedule leads from and to: `initial` X0 and `floor` m."""

    initial: float
    floor: float

    def cosine(self, generation: int, period: int) -> float:
        """m + (X0 - m)(1 + cos(pi g / T)) / 2."""
        return self.floor + (self.initial - self.floor) * (1 + math.cos(math.pi * generation / period)) / 2

    def noisy_cosine(self, generation: int, period: int, rng: np.random.Generator) -> float:
        """The cosine plus a number drawn uniformly between m and X0."""
        return self.cosine(generation, period) + self.floor + (self.initial - self.floor) * float(rng.random())

    def oscillation(self, generation: int, period: int) -> float:
        """m + (X0 - m) cos(pi g / T) / 2."""
        return self.floor + (self.initial - self.floor) * math.cos(math.pi * generation / period) / 2

    def clip(self, value: float) -> float:
        """The value moved into [m, X0]."""
        return min(max(value, self.floor), self.initial)


SCHEDULES = ("plain", "noise", "hold", "oscillating")


class CosineAnnealing(Control):
    """F and CR follow a cosine over the generations, the same for all members (CADE, arXiv 2406.02349).

    With g the generation (the first one is 0), X0 the initial value, m the floor and T the period, drawn apart for
    F and CR where random:

    - ``plain``: X = m + (X0 - m)(1 + cos(pi g / T)) / 2
    - ``noise``: plain + U(m, X0)
    - ``hold``: keep X after a generation in which more than one member improved; otherwise the noisy cosine of
      g - c, with c the number of generations held so far
    - ``oscillating``: X = m + (X0 - m) cos(pi g / T) / 2

    Parameters
    ----------
    factor, rate
        Initial value and floor of F and of CR.
    schedule
        One of the above.
    period
        T in generations; ``None`` for all generations of the budget, so that X falls from X0 to m once.
    clipped
        Whether values are moved into [m, X0].
    """

    def __init__(
        self, factor: Annealed, rate: Annealed, schedule: str, period: int | None = None, clipped: bool = True
    ) -> None:
        self.curves = (factor, rate)
        self.schedule = schedule
        self.clipped = clipped
        self.period = period
        self.generation = 0
        self.held = 0
        self.improved = 0
        self.values = [factor.initial, rate.initial]

    def begin(self, generations: int) -> None:
        self.period = self.period or max(1, generations)

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        if self.schedule == "hold" and self.improved > 1:
            self.held += 1
        else:
            values = [self._value(curve, rng) for curve in self.curves]
            if self.clipped:
                values = [curve.clip(value) for curve, value in zip(self.curves, values, strict=True)]
            self.values = values
        self.generation += 1
        return Settings(np.full(size, self.values[0]), np.full(size, self.values[1]))

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        self.improved = int(outcome.improved.sum())

    def state_dict(self) -> dict[str, Any]:
        return {
            "period": self.period,
            "generation": self.generation,
            "held": self.held,
            "improved": self.improved,
            "values": list(self.values),
        }

    def _value(self, curve: Annealed, rng: np.random.Generator) -> float:
        period = self.period or 1
        if self.schedule == "plain":
            return curve.cosine(self.generation, period)
        if self.schedule == "oscillating":
            return curve.oscillation(self.generation, period)
        return curve.noisy_cosine(self.generation - self.held, period, rng)


class Scaled(Control):
    """A schedule over an adaptive control: F and CR of each trial are multiplied by X / X0 of the schedule.

    The adaptive control learns from what it proposed itself, before multiplication: otherwise it would shrink its
    means along with the schedule, and the schedule would count twice.

    Parameters
    ----------
    schedule
        Its values, as shares of its initial ones, are the multipliers.
    inner
        The control whose F and CR are scaled.
    """

    def __init__(self, schedule: CosineAnnealing, inner: Control) -> None:
        self.schedule = schedule
        self.inner = inner
        self.scale = [1.0, 1.0]

    def begin(self, generations: int) -> None:
        self.schedule.begin(generations)
        self.inner.begin(generations)

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        values = self.schedule.sample(1, rng)
        curves = self.schedule.curves
        self.scale = [
            max(float(value[0]) / curve.initial, 1e-12) if curve.initial else 1.0
            for value, curve in zip(values[:2], curves, strict=True)
        ]
        proposed = self.inner.sample(size, rng)
        return proposed._replace(factors=proposed.factors * self.scale[0], rates=proposed.rates * self.scale[1])

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        self.schedule.learn(outcome, rng)
        by_f, by_cr = (1 / scale for scale in self.scale)
        self.inner.learn(replace(outcome, factors=outcome.factors * by_f, rates=outcome.rates * by_cr), rng)

    def state_dict(self) -> dict[str, Any]:
        return {"schedule": self.schedule.state_dict(), "inner": self.inner.state_dict(), "scale": list(self.scale)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.schedule.load_state_dict(state["schedule"])
        self.inner.load_state_dict(state["inner"])
        self.scale = list(state["scale"])
