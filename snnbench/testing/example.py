"""A small evolution strategy: what `snnbench new algorithm` writes, to be made into an algorithm of yours."""

from dataclasses import dataclass
from typing import Any

import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, Task
from snnbench.parameters import param


@dataclass(frozen=True)
class ExampleParameters:
    """Parameters of `Example`: change them with ``--set NAME=VALUE``."""

    population: int = param(16, "candidates per generation", low=4, high=10_000, source="ours")
    step: float = param(0.05, "initial step size, as a share of the box's width", low=1e-6, high=1.0, source="ours")


class Example(Algorithm):
    """Evolution strategy: steps from the mean of the best quarter."""

    capabilities = Capabilities()  # one objective, no constraints, any dimension
    Parameters = ExampleParameters
    reference = "H.-G. Beyer and H.-P. Schwefel, Evolution strategies, Natural Computing 1:3-52, 2002"
    state = ("mean", "step", "begun")  # all that changes: it is saved, so that runs can be interrupted

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)  # sets self.task, self.parameters and self.generator
        self.mean = task.space.sample(1, self.generator)
        self.step, self.begun = self.parameters.step, False

    def ask(self) -> torch.Tensor:
        n, space = self.parameters.population, self.task.space
        design = self.task.initial(n)
        if not self.begun and len(design):
            return design  # trained networks, where the problem has some: begin with them
        self.begun = True
        normal = torch.empty(n, space.dimension + 1, device=self.task.device).normal_(generator=self.generator)
        self.steps = self.step * (0.3 * normal[:, :1]).exp()
        return self.mean + (space.upper - space.lower).to(self.mean) * self.steps * normal[:, 1:]

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        fitness = evaluations.fitness.to(x.device)  # minimised; infinite where a candidate failed
        best = fitness.argsort()[: max(1, len(x) // 4)] if self.begun else fitness.argmin()[None]
        best = best[fitness[best].isfinite()]
        if len(best):
            self.mean = x[best].mean(dim=0, keepdim=True)
            self.step = float(self.steps[best].log().mean().exp()) if self.begun else self.step
        self.begun = True
