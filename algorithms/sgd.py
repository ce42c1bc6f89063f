"""Surrogate-gradient fine-tuning on the same samples: a reference, not a competitor.

I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep learning",
ICML 2013 (Nesterov momentum as torch has it); the gradient through spikes is the problem's surrogate.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, State, Task
from snnbench.parameters import param

LARGEST_DESIGN = 50


@dataclass(frozen=True)
class SGDParameters:
    """Parameters of `SGD`."""

    lr: float = param(
        10.0, "initial learning rate, in coordinates of the space", low=0, source="ours, tuned on sew-digits seed 1"
    )
    momentum: float = param(0.9, "Nesterov momentum", low=0, high=0.999, source="released code of CADE")
    batch: int = param(64, "samples per step", low=2, source="ours: as the members were trained")
    checkpoints: int = param(20, "evaluations along the way, after those of the start", low=1, source="ours")


class SGD(Algorithm):
    """Surrogate-gradient fine-tuning on the same samples; reference, not ranked.

    The problem's initial design is evaluated first (at most half of the budget). From its best point, stochastic
    gradient descent with Nesterov momentum follows the surrogate gradient of the training loss on the search split;
    the learning rate falls to zero along a cosine. A step of n samples costs n / (samples of an evaluation) of the
    budget, although a backward pass takes about twice the time of a forward pass; the `checkpoints` evaluations cost
    one each.
    """

    family: ClassVar[str] = "gradient reference"
    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, gradient=True)
    Parameters: ClassVar[type] = SGDParameters
    state: ClassVar[tuple[str, ...]] = ("x", "velocity", "start", "steps", "evaluated", "loss")
    reference: ClassVar[str] = (
        "I. Sutskever, J. Martens, G. Dahl and G. Hinton, On the importance of initialization and momentum in deep "
        "learning, ICML 2013; E. O. Neftci, H. Mostafa and F. Zenke, Surrogate Gradient Learning in Spiking Neural "
        "Networks, IEEE Signal Processing Magazine 36(6):51-63, 2019"
    )

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        if task.gradient is None:
            raise ValueError("needs the task's gradient")
        self.gradient = task.gradient
        # Samples are drawn on the CPU, wherever the network is.
        self.draws = torch.Generator().manual_seed(seed)
        self.x: torch.Tensor | None = None
        self.velocity: torch.Tensor | None = None
        self.start = self.steps = self.evaluated = 0
        self.loss = 0.0

    def ask(self) -> torch.Tensor:
        if self.x is None:
            design = self.task.initial(max(1, min(LARGEST_DESIGN, self.task.budget // 2)))
            if not len(design):
                design = self.task.space.sample(1, self.generator)
            return design.to(self.task.device, self.task.dtype, copy=True)
        assert self.velocity is not None
        batch = min(self.parameters.batch, self.gradient.samples)
        left = self.task.budget - self.start
        stops = min(self.parameters.checkpoints, max(1, left // 2))
        total = max(0, (left - stops) * self.gradient.samples // batch)
        due = total * min(self.evaluated + 1, stops) // stops
        losses = []
        while self.steps < due:
            loss, gradient = self.gradient.evaluate(self.x, batch, self.draws)
            if not math.isfinite(loss):  # a step from there leads nowhere
                break
            losses.append(loss)
            rate = self.parameters.lr * (1 + math.cos(math.pi * self.steps / total)) / 2
            self.velocity.mul_(self.parameters.momentum).add_(gradient)
            self.x.add_(gradient.add_(self.velocity, alpha=self.parameters.momentum), alpha=-rate)
            self.task.space.clip_(self.x[None])
            self.steps += 1
        self.loss = sum(losses) / len(losses) if losses else self.loss
        return self.x[None].clone()

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        if self.x is None:
            self.start = len(x)
            self.x = x[int(evaluations.fitness.argmin())].clone()
            self.velocity = torch.zeros_like(self.x)
        else:
            self.evaluated += 1

    def state_dict(self) -> State:
        return super().state_dict() | {"draws": self.draws.get_state()}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.draws.set_state(state["draws"].cpu())
        for name in ("x", "velocity"):  # copied, since they are changed in place while others may hold the same state
            value = getattr(self, name)
            setattr(self, name, None if value is None else value.to(self.task.device, copy=True))

    def annotations(self) -> dict[str, np.ndarray]:
        """Steps taken so far, and their mean training loss since the checkpoint before; none for the start."""
        return {} if self.x is None else {"steps": np.full(1, self.steps), "train_loss": np.full(1, self.loss)}
