"""How a population is filled when the problem's initial design is smaller than it."""

import torch

from snnbench.algorithm import Task
from snnbench.space import RealVector

DIFFERENCE = 0.1
"""Perturbation of a copied member, as a share of its distance to another one, per coordinate."""

WIDTH = 0.01
"""Perturbation of a copied member where there is only one, as a share of the box, per coordinate."""

LARGEST = 50
"""Largest population that is chosen without being asked for."""

GENERATIONS = 10
"""A population is at most the budget divided by this, so that there is time to select, ..."""

SMALLEST = 10
"""... but not smaller than this."""


def usual_size(dimension: int, budget: int) -> int:
    """Members where nobody wishes for a number: 10 d, at most 50 and a tenth of the budget, at least 10."""
    return max(SMALLEST, min(10 * dimension, LARGEST, budget // GENERATIONS))


def first_members(task: Task, wanted: int | None, needed: int, usual: int) -> tuple[torch.Tensor, int]:
    """The initial design (k, d), and the size of a population that `fill` makes of it.

    A design may be a point or two, worth to start from, but no population: then its size is the usual one.

    Parameters
    ----------
    wanted
        Size that was asked for, if any.
    needed
        Smallest population that the algorithm works with.
    usual
        See `usual_size`.
    """
    design = task.initial(wanted or LARGEST)
    if wanted is not None:
        return design, wanted
    return design, len(design) if len(design) >= max(4, needed) else max(needed, usual)


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
