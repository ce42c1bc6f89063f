"""Stochastic gradient descent with Nesterov momentum, and the schedules of its step.

The arithmetic is PyTorch's: its functional form of SGD. The class ``torch.optim.SGD`` makes the same steps, but imports
PyTorch's compiler to do so, which takes every process that trains two to three seconds.
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch.optim.sgd import sgd


class Descent:
    """As ``torch.optim.SGD(parameters, lr, momentum, weight_decay=..., nesterov=momentum > 0)``, the same bits.

    Parameters
    ----------
    parameters
        What is trained.
    momentum, weight_decay
        Constants.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], momentum: float, weight_decay: float = 0.0) -> None:
        self.parameters, self.momentum, self.weight_decay = list(parameters), momentum, weight_decay
        self._velocities: list[torch.Tensor | None] = [None] * len(self.parameters)

    def forget(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Along the gradients; a parameter that has none stays where it is."""
        moved = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        velocities = [self._velocities[i] for i in moved]
        sgd(
            [self.parameters[i] for i in moved],
            [self.parameters[i].grad for i in moved],  # type: ignore[misc]
            velocities,
            lr=lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
            dampening=0.0,
            maximize=False,
        )
        for i, velocity in zip(moved, velocities, strict=True):
            self._velocities[i] = velocity


def cosine(lr: float, steps: int) -> Iterator[float]:
    """Learning rates of `steps` steps from `lr` towards 0: those of ``torch.optim.lr_scheduler.CosineAnnealingLR``.

    Examples
    --------
    >>> [round(rate, 3) for rate in cosine(0.1, 4)]
    [0.1, 0.085, 0.05, 0.015]
    """
    for step in range(steps):
        if step:
            lr = (1 + math.cos(math.pi * step / steps)) / (1 + math.cos(math.pi * (step - 1) / steps)) * lr
        yield lr
