"""Where mutation factors F and crossover rates CR come from: constants, cosine schedules, adaptation."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np


class Control(ABC):
    """Source of F and CR. Asked once per generation, told afterwards what became of the trials."""

    def begin(self, generations: int) -> None:
        """Called once, before the first `sample`, with the number of generations the budget allows."""
        return None

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """F and CR for the trials of one generation, (size,) float64 each."""

    def learn(self, factors: np.ndarray, rates: np.ndarray, parents: np.ndarray, trials: np.ndarray) -> None:
        """Adapt to a finished generation.

        Parameters
        ----------
        factors, rates
            What `sample` gave, (N,).
        parents, trials
            Fitness of each target before the generation and of its trial, (N,).
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """What changes while running, as plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        vars(self).update(state)


class Constant(Control):
    """The same F and CR always."""

    def __init__(self, factor: float, rate: float) -> None:
        self.factor = factor
        self.rate = rate

    def sample(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return np.full(size, self.factor), np.full(size, self.rate)


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

    def sample(self, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self.schedule == "hold" and self.improved > 1:
            self.held += 1
        else:
            values = [self._value(curve, rng) for curve in self.curves]
            if self.clipped:
                values = [curve.clip(value) for curve, value in zip(self.curves, values, strict=True)]
            self.values = values
        self.generation += 1
        return np.full(size, self.values[0]), np.full(size, self.values[1])

    def learn(self, factors: np.ndarray, rates: np.ndarray, parents: np.ndarray, trials: np.ndarray) -> None:
        self.improved = int((trials < parents).sum())

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
