"""The problem on which `snnbench.testing` makes complete runs, named as ``problem.py:Bowls``."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.parameters import param
from snnbench.problem import Estimate, Objective, Problem
from snnbench.space import RealVector, SearchSpace
from snnbench.testing.loops import bowls
from snnbench.testing.subject import SAMPLES, gradient

DESIGN = 6


@dataclass(frozen=True)
class BowlsParameters:
    """Parameters of `Bowls`."""

    dimension: int = param(6, "number of coordinates", low=1, source="ours")


class Bowls(Problem):
    """Squared distances to points, one per objective (`snnbench.testing.loops.bowls`)."""

    name = "bowls"
    version = 1
    objectives: ClassVar = {f"f{j}": Objective(f"squared distance to point {j}") for j in range(1, 4)}
    default_objectives = ("f1",)
    default_budget = 50
    differentiable = True
    samples = SAMPLES
    Parameters = BowlsParameters

    @property
    def space(self) -> SearchSpace:
        return SearchSpace([RealVector("w", self.dimension, -5.0, 5.0)])

    @property
    def dimension(self) -> int:
        return int(self.parameters.dimension)

    def prepare(self) -> None:
        """Nothing is to be fetched."""

    def initial(self, n: int) -> torch.Tensor:
        return self.space.sample(DESIGN, torch.Generator().manual_seed(99))[:n]

    def measure(self, x: torch.Tensor, split: str) -> dict[str, np.ndarray]:
        shift = {"search": 0.0, "validation": 0.5, "test": 1.0}[split]
        values, _ = bowls(self.space, len(self.objectives))(x - shift)
        return {f"f{j + 1}": column.numpy() for j, column in enumerate(values.T)}

    def gradient(self, x: torch.Tensor, batch: int, generator: torch.Generator) -> tuple[float, torch.Tensor]:
        return gradient(bowls(self.space), self.space).evaluate(x, batch, generator)

    def describe(self) -> dict[str, Any]:
        return {"dimension": self.dimension}

    def reference_points(self) -> dict[str, tuple[float, float]]:
        return dict.fromkeys(self.objectives, (0.0, 100.0 * self.dimension))

    def estimate(self) -> Estimate:
        return Estimate(0.0, 1e-5, 0, self.dimension)
