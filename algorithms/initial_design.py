"""How a population is filled when the problem's initial design is smaller than it."""

import torch

from snnbench.algorithm import Task
from snnbench.space import RealVector

DIFFERENCE = 0.1
"""Perturbation of a copied member, as a share of its distance to another one, per coordinate."""

WIDTH = 0.01
"""Perturbation of a copied member where there is only one, as a share of the box, per coordinate."""


def holds_weights(task: Task) -> bool:
    """Whether the space has a block of weights, where points far from the initial design are useless."""
    return any(isinstance(variable, RealVector) for variable in task.space.variables)


def fill(task: Task, design: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """A population (size, d) on the task's device, inside the box: the initial design first, then further points.

    Further points are uniform in the box where the design is empty or the space has no weights. A network with
    uniformly random weights is worthless beside a trained one, so otherwise they are perturbed copies: a random
    member a of the design plus 0.1 (b - a) * N(0, 1) per coordinate, with b another random member; or, where the
    design is a single point, that point plus 0.01 of the box's width * N(0, 1).

    Parameters
    ----------
    design
        (k, d), k >= 0; copied, never written to.
    size
        Number of rows; the design is cut if it is longer.
    generator
        On the task's device.
    """
    design = design[:size]
    known = len(design)
    population = torch.empty(size, task.space.dimension, device=task.device, dtype=task.dtype)
    population[:known].copy_(design)
    if known == size:
        return task.space.clip_(population)
    if known == 0 or not holds_weights(task):
        for row in range(known, size):  # row by row: `sample` works in float32 on a buffer of its own
            population[row : row + 1].copy_(task.space.sample(1, generator))
        return task.space.clip_(population)
    width = (task.space.upper - task.space.lower).to(population)
    for row in range(known, size):
        noise = population[row].normal_(generator=generator)
        if known == 1:
            noise.mul_(width).mul_(WIDTH).add_(population[0])
            continue
        a, b = torch.randperm(known, generator=generator, device=task.device)[:2].tolist()
        noise.mul_(population[b] - population[a]).mul_(DIFFERENCE).add_(population[a])
    return task.space.clip_(population)
