"""A problem and algorithms small enough to run thousands of times, used as ``toys.py:Class``."""

import os
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Capabilities
from snnbench.errors import DataError
from snnbench.parameters import param
from snnbench.problem import Estimate, Objective, Problem
from snnbench.space import Integer, Real, RealVector, SearchSpace


@dataclass(frozen=True)
class BowlParameters:
    sleep: float = param(0.0, "seconds per candidate", low=0.0)
    optimum: float = param(0.5, "where the bowl is deepest", low=0.0, high=1.0)
    poison: float = param(-1.0, "candidates whose first coordinate exceeds 1 - poison yield NaN")


class Bowl(Problem):
    """Squared distance to a point that differs from split to split."""

    name = "bowl"
    version = 1
    objectives: ClassVar = {name: Objective(name) for name in ("error", "energy")}
    default_budget = 50
    Parameters = BowlParameters

    @property
    def space(self) -> SearchSpace:
        return SearchSpace([Real("rate", 0.0, 1.0), Integer("steps", 1, 8), Real("leak", 1e-3, 1.0, log=True)])

    @property
    def dimension(self) -> int:
        return 3

    def prepare(self) -> None:
        self.context.progress("bowl", 1, 1)

    def initial(self, n: int) -> torch.Tensor:
        return torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.2, 0.4], [0.3, 0.8, 0.6]])[:n]

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        time.sleep(self.parameters.sleep * len(x))
        log = os.environ.get("BOWL_LOG")
        if log:
            with open(log, "a") as file:
                file.write(f"{split} {len(x)}\n")
        shift = {"search": 0.0, "validation": 0.05, "test": 0.1}[split]
        error = (x.double() - self.parameters.optimum - shift).square().sum(dim=1).numpy()
        poisoned = x[:, 0].numpy() > 1 - self.parameters.poison
        return {
            "error": np.where(poisoned, np.nan, error) if self.parameters.poison >= 0 else error,
            "energy": x.double().sum(dim=1).numpy(),
            "spikes": (x.numpy()[:, :, None] * np.arange(1, 3, dtype=np.float32)).astype(np.float32),
            "seconds": np.full(len(x), time.perf_counter()),
        }

    def describe(self) -> dict[str, Any]:
        return {"optimum": self.parameters.optimum}

    def reference_points(self) -> dict[str, tuple[float, float]]:
        return dict.fromkeys(self.objectives, (0.0, 3.0))

    def estimate(self) -> Estimate:
        return Estimate(0.0, self.parameters.sleep, 0, 3)


class Plateau(Bowl):
    """Search prefers small first coordinates, validation large ones below 0.5: the two disagree."""

    name = "plateau"

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        rate = x[:, 0].double().numpy()
        error = rate if split == "search" else np.where(rate < 0.5, 1 - np.floor(rate * 10) / 10, 2.0)
        return {"error": error, "energy": -rate}


class Fenced(Bowl):
    """Where the first coordinate is large nothing is allowed, and the values are best."""

    name = "fenced"
    constraints = 1

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        rate = x[:, 0].double().numpy()
        return {"error": 1 - rate, "energy": rate, "constraints": (rate - 0.5)[:, None]}


class Homeless(Bowl):
    """Its data is nowhere."""

    name = "homeless"

    def prepare(self) -> None:
        raise DataError("no such data; give --data-dir")


class Wide(Bowl):
    """Two thousand weights, in one vector."""

    name = "wide"

    @property
    def space(self) -> SearchSpace:
        return SearchSpace([RealVector("weights", 2000, -1.0, 1.0)])

    @property
    def dimension(self) -> int:
        return 2000

    def initial(self, n: int) -> torch.Tensor:
        return torch.zeros(0, 2000)


class Crowded(Bowl):
    """Runs out of GPU memory with more than two candidates at once."""

    name = "crowded"

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        if len(x) > 2:
            raise torch.cuda.OutOfMemoryError("pretended")
        return super().measure(x, split)


class Broken(Bowl):
    """Raises in the middle of a run."""

    name = "broken"

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        if split == "search" and (x[:, 0] > 0.9).any():
            raise ZeroDivisionError("no such weight")
        return super().measure(x, split)


@dataclass(frozen=True)
class WalkParameters:
    size: int = param(7, "candidates per generation", low=1)
    step: float = param(0.3, "standard deviation", low=0.0)


class Walk(Algorithm):
    """Gaussian steps around the best, the initial design first; annotates its step after that."""

    capabilities = Capabilities(objectives=None, constraints=True)
    Parameters = WalkParameters
    state = ("best", "value", "asked", "history")

    def __init__(self, task: Any, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.best = task.space.sample(1, self.generator)
        self.value = float("inf")
        self.asked = 0
        self.history: list[tuple[float, Any]] = []

    def ask(self) -> torch.Tensor:
        if self.asked == 0 and len(self.task.initial(8)):
            return self.task.initial(8)
        noise = torch.randn(self.parameters.size, self.task.space.dimension, generator=self.generator)
        return self.best + self.parameters.step * noise

    def tell(self, x: torch.Tensor, evaluations: Any) -> None:
        self.asked += 1
        value, index = evaluations.fitness.min(dim=0)
        if value < self.value:
            self.best, self.value = x[index : index + 1].clone(), float(value)
        self.history = [*self.history[-3:], (self.value, np.float64(evaluations.metrics["energy"].sum()))]

    def annotations(self) -> dict[str, np.ndarray]:
        return {"step": np.full(self.parameters.size, self.parameters.step / (1 + self.asked))} if self.asked else {}


class Single(Walk):
    """One objective only."""

    capabilities = Capabilities(objectives=1, max_dimension=100)


class Grid(Walk):
    """Asks for a fixed list and recommends its third row."""

    ROWS = torch.tensor([[0.05, 0.5, 0.5], [0.25, 0.5, 0.5], [0.45, 0.5, 0.5], [0.95, 0.5, 0.5]])

    def ask(self) -> torch.Tensor:
        return self.ROWS.clone()

    def recommend(self) -> torch.Tensor:
        return self.ROWS[1:]

    def annotations(self) -> dict[str, np.ndarray]:
        return {}


class Raises(Walk):
    """Raises in its third tell."""

    def tell(self, x: torch.Tensor, evaluations: Any) -> None:
        if self.asked == 2:
            raise IndexError("index 8 is out of bounds")
        super().tell(x, evaluations)


class WrongShape(Walk):
    """Returns one coordinate too few."""

    def ask(self) -> torch.Tensor:
        return super().ask()[:, 1:]


class Nan(Walk):
    """Returns NaN in its second ask."""

    def ask(self) -> torch.Tensor:
        x = super().ask()
        return x * float("nan") if self.asked else x


class Opaque(Walk):
    """Keeps a state that no checkpoint can hold."""

    state = (*Walk.state, "thing")

    def __init__(self, task: Any, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.thing = object()


class Unbuildable(Walk):
    """Raises in its constructor."""

    def __init__(self, task: Any, parameters: Any = None, seed: int = 0) -> None:
        raise RuntimeError("not today")


class Uneven(Bowl):
    """A tenth of the candidates' time differs: those with a small first coordinate end ten times sooner."""

    name = "uneven"

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        found = super().measure(x, split)
        if split == "search":
            time.sleep(self.parameters.sleep * float((9 * (x[:, 0] > 0.5)).sum()))
        return found


class Deadly(Bowl):
    """Kills the process that evaluates a candidate with a large first coordinate."""

    name = "deadly"

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        if split == "search" and (x[:, 0] > 0.9).any():
            os.kill(os.getpid(), 9)
        return super().measure(x, split)


class Steady(Algorithm):
    """Asynchronous: steps around the best that is known, and remembers what is pending."""

    capabilities = Capabilities(asynchronous=True)
    state = ("best", "value", "asked", "waiting", "log")

    def __init__(self, task: Any, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.best = task.space.sample(1, self.generator)
        self.value = float("1e9")
        self.asked = 0
        self.waiting: dict[int, float] = {}
        self.log: list[int] = []

    def ask(self) -> torch.Tensor:
        self.rows = 1 if self.asked % 5 else 2  # now and then more than one at once
        x = self.best + 0.4 * torch.randn(self.rows, self.task.space.dimension, generator=self.generator)
        for row in self.task.space.clip_(x):
            self.waiting[self.asked] = float(row[0])
            self.asked += 1
        return x

    def tell(self, x: torch.Tensor, evaluations: Any) -> None:
        for row, number in enumerate(evaluations.candidates.tolist()):
            if self.waiting.pop(number) != float(x[row, 0]):
                raise ValueError("told of another candidate than was asked for")
            self.log = [*self.log, number]
        value, index = evaluations.fitness.min(dim=0)
        if value < self.value:
            self.best, self.value = x[index : index + 1].clone(), float(value)

    def annotations(self) -> dict[str, np.ndarray]:
        return {"pending": np.full(self.rows, float(len(self.waiting)))}


class Slope(Bowl):
    """A bowl with a gradient, of 40 pretended samples."""

    name = "slope"
    differentiable = True
    samples = 40

    def gradient(self, x: torch.Tensor, batch: int, generator: torch.Generator) -> tuple[float, torch.Tensor]:
        noise = torch.randn(len(x), generator=generator) / batch
        error = x - self.parameters.optimum
        return float(error.square().sum()), 2 * error + noise
