"""From donors and crossover to trials: the passes over coordinates, in blocks that bound memory and stay in cache."""

import numpy as np
import torch

from snnbench.algorithms.differential_evolution.crossover import Crossover
from snnbench.algorithms.differential_evolution.mutation import Donors, mutate, mutate_cells

BLOCK = {"cpu": 1 << 18, "cuda": 1 << 23}
"""Coordinates handled at once: on a CPU a block and its temporaries stay in the cache of one core, on a GPU a block
keeps it busy for longer than a launch takes."""

LONG_ROW = 1 << 16
"""From this dimension on, a CPU handles one trial at a time: reading donors in place beats gathering copies of them."""


def make_trials(
    population: torch.Tensor,
    targets: np.ndarray,
    donors: Donors,
    factors: np.ndarray,
    crossover: Crossover,
    out: torch.Tensor,
) -> None:
    """Mutation and crossover of n trials.

    Parameters
    ----------
    population
        (N, d); only read.
    targets, donors, factors
        Row of the target, donors and mutation factor F of each trial, (n,).
    crossover
        Drawn for these n trials.
    out
        (n, d), overwritten; must not overlap the population.
    """
    if crossover.sparse:
        _write_cells(population, targets, donors, factors, crossover, out)
    elif out.device.type == "cpu" and out.shape[1] >= LONG_ROW:
        _write_rows(population, targets, donors, factors, crossover, out)
    else:
        _write_blocks(population, targets, donors, factors, crossover, out)


def _write_cells(
    population: torch.Tensor,
    targets: np.ndarray,
    donors: Donors,
    factors: np.ndarray,
    crossover: Crossover,
    out: torch.Tensor,
) -> None:
    for trial, target in enumerate(targets.tolist()):
        out[trial].copy_(population[target])
    for trials, columns in crossover.cells():
        where = torch.from_numpy(trials).to(out.device), torch.from_numpy(columns).to(out.device)
        out[where] = mutate_cells(population, donors, factors, trials, columns)


def _write_rows(
    population: torch.Tensor,
    targets: np.ndarray,
    donors: Donors,
    factors: np.ndarray,
    crossover: Crossover,
    out: torch.Tensor,
) -> None:
    d = out.shape[1]
    members = population.unbind(0)
    chosen = [targets, donors.base, *(row for pair in donors.differences for row in pair)]
    block = min(d, BLOCK["cpu"])
    buffers = torch.empty(3, block, dtype=out.dtype)
    for trial, rows in enumerate(zip(*(index.tolist() for index in chosen), strict=True)):
        factor = float(factors[trial])
        for left in range(0, d, block):
            width = min(block, d - left)
            target, base, *pairs = (members[row].narrow(0, left, width) for row in rows)
            mutant, weight, scratch = buffers[:, :width].unbind(0)
            mutate(base, zip(pairs[::2], pairs[1::2], strict=True), factor, mutant, scratch)
            crossover.weights(slice(trial, trial + 1), slice(left, left + width), weight[None])
            _blend(target, mutant, weight, out[trial].narrow(0, left, width))


def _write_blocks(
    population: torch.Tensor,
    targets: np.ndarray,
    donors: Donors,
    factors: np.ndarray,
    crossover: Crossover,
    out: torch.Tensor,
) -> None:
    n, d = out.shape
    block = BLOCK.get(out.device.type, BLOCK["cpu"])
    height, width = max(1, block // d), min(d, block)
    for top in range(0, n, height):
        some = slice(top, min(top + height, n))
        factor = torch.from_numpy(factors[some]).to(out)[:, None]
        for left in range(0, d, width):
            columns = slice(left, min(left + width, d))
            part = population[:, columns]

            def take(row: np.ndarray, part: torch.Tensor = part, some: slice = some) -> torch.Tensor:
                return part.index_select(0, torch.from_numpy(row[some]).to(part.device))

            target = take(targets)
            mutant, weight = torch.empty_like(target), torch.empty_like(target)
            mutate(take(donors.base), ((take(plus), take(minus)) for plus, minus in donors.differences), factor, mutant)
            crossover.weights(some, columns, weight)
            _blend(target, mutant, weight, out[some, columns])


def _blend(target: torch.Tensor, mutant: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> None:
    # A weight of 0 gives the target and 1 the mutant, exactly; and unlike `where`, lerp is vectorised.
    torch.lerp(target, mutant, weight, out=out)
