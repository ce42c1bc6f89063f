"""From donors and crossover to trials: the passes over coordinates, in blocks that bound memory and stay in cache."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from snnbench.algorithms.differential_evolution.bounds import Repair, clip
from snnbench.algorithms.differential_evolution.crossover import Crossover
from snnbench.algorithms.differential_evolution.mutation import mutate, mutate_cells

Rows = torch.Tensor | Sequence[torch.Tensor]
"""n rows of coordinates: one tensor (n, d), or n tensors (d,)."""

BLOCK = {"cpu": 1 << 18, "cuda": 1 << 23}
"""Coordinates handled at once: on a CPU a block and its temporaries stay in cache, on a GPU a block keeps it busy for
longer than a launch takes."""

LONG_ROW = 1 << 14
"""From this dimension on, a CPU handles one trial at a time: reading donors in place beats gathering copies of them."""

STRETCH = 1 << 17
"""Coordinates of a long row handled at once: few enough that the donors' blocks stay in cache between trials."""

SPAN = 8 * STRETCH
"""Coordinates of all trials that are made on end, from a random stream of their own. Trials within a span, not one
trial after another: every row is then read from memory once and not once for each trial that it gives to. Crossover is
drawn for about as many coordinates at once, of one trial or of several shorter ones."""


@dataclass(frozen=True)
class Recipe:
    """What n trials are made of. All rows are rows of one tensor, the pool (rows, d).

    Attributes
    ----------
    targets, base
        (n,) Row of each trial's target, and of the member that its mutant starts from.
    differences
        Triples (scale, plus, minus) of (n,) arrays: scaled differences of two rows, added to the base.
    crossover
        Drawn for these n trials.
    lower, upper
        The box, of shape (d,) or (), on the pool's device.
    repair
        What becomes of mutants outside it.
    rng
        Source of what is drawn here.
    """

    targets: np.ndarray
    base: np.ndarray
    differences: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    crossover: Crossover
    lower: torch.Tensor
    upper: torch.Tensor
    repair: Repair
    rng: np.random.Generator

    def mend(self, mutant: torch.Tensor, target: torch.Tensor, columns: slice, rng: np.random.Generator) -> None:
        """Apply `repair` to a block of mutants."""
        if self.repair is clip:
            return
        lower, upper = self.lower, self.upper
        if lower.ndim:
            lower, upper = lower[columns], upper[columns]
        elif mutant.device.type == "cpu":
            low, high = torch.aminmax(mutant)
            if low >= lower and high <= upper:
                return
        self.repair(mutant, target, lower, upper, rng)


def make_trials(pool: torch.Tensor, recipe: Recipe, out: Rows) -> None:
    """Mutation and crossover of n trials.

    Parameters
    ----------
    pool
        (rows, d); only read.
    recipe
        What they are made of.
    out
        n rows, overwritten; must not overlap the pool.
    """
    if recipe.crossover.sparse:
        _write_cells(pool, recipe, out)
    elif pool.device.type == "cpu" and pool.shape[1] >= LONG_ROW:
        _write_rows(pool, recipe, out)
    else:
        _write_blocks(pool, recipe, out)


def _write_cells(pool: torch.Tensor, recipe: Recipe, out: Rows) -> None:
    for trial, target in enumerate(recipe.targets.tolist()):
        out[trial].copy_(pool[target])
    for trials, columns in recipe.crossover.cells():
        where = torch.from_numpy(columns).to(pool.device)
        value = mutate_cells(pool, recipe.base, recipe.differences, trials, columns)
        if recipe.repair is not clip:
            rows = torch.from_numpy(recipe.targets[trials]).to(pool.device)
            lower, upper = recipe.lower, recipe.upper
            if lower.ndim:
                lower, upper = lower[where], upper[where]
            recipe.repair(value, pool[rows, where], lower, upper, recipe.rng)
        if isinstance(out, torch.Tensor):
            out[torch.from_numpy(trials).to(pool.device), where] = value
            continue
        edges = np.searchsorted(trials, np.arange(trials[0], trials[-1] + 2))
        for trial, (left, right) in enumerate(itertools.pairwise(edges.tolist()), start=int(trials[0])):
            out[trial][where[left:right]] = value[left:right]


def _write_rows(pool: torch.Tensor, recipe: Recipe, out: Rows) -> None:
    n, d, members = len(recipe.targets), pool.shape[1], pool.unbind(0)
    seed = int(recipe.rng.integers(1 << 62))
    # With several threads torch shares out every operation, so that blocks have to be worth it.
    stretch = STRETCH if torch.get_num_threads() == 1 else 4 * STRETCH
    height = max(1, SPAN // d)
    donors = [
        [recipe.targets[trial], recipe.base[trial], *(row[trial] for _, *pair in recipe.differences for row in pair)]
        for trial in range(n)
    ]
    used = sorted({int(row) for rows in donors for row in rows})
    scales = [[float(scale[trial]) for scale, _, _ in recipe.differences] for trial in range(n)]
    buffer = torch.empty(min(d, stretch), dtype=pool.dtype)
    for start in range(0, d, SPAN):
        rng = np.random.Generator(np.random.SFC64([seed, start]))
        columns = slice(start, min(start + SPAN, d))
        edges = [*range(start, columns.stop, stretch), columns.stop]
        stretches = [slice(*pair) for pair in itertools.pairwise(edges)]
        parts = {row: [members[row][some] for some in stretches] for row in used}
        weights = [buffer[: some.stop - some.start] for some in stretches]
        for top in range(0, n, height):
            group = range(top, min(top + height, n))
            masks = recipe.crossover.masks(slice(group.start, group.stop), columns, rng)
            drawn = [None] * len(group) if masks is None else masks.unbind(0)
            for trial, mask in zip(group, drawn, strict=True):
                sources = [parts[row] for row in donors[trial]]
                _write_row(recipe, sources, scales[trial], mask, stretches, weights, rng, out[trial])


def _write_row(
    recipe: Recipe,
    sources: list[list[torch.Tensor]],
    scales: list[float],
    mask: torch.Tensor | None,
    stretches: list[slice],
    weights: list[torch.Tensor],
    rng: np.random.Generator,
    out: torch.Tensor,
) -> None:
    """One trial, from its sources in these stretches: the target, the base, and the two members of each difference."""
    first = stretches[0].start
    for i, some in enumerate(stretches):
        mutant = out[some]
        old, base, *pairs = [source[i] for source in sources]
        mutate(base, zip(scales, pairs[::2], pairs[1::2], strict=True), mutant)
        recipe.mend(mutant, old, some, rng)
        if mask is not None:
            weight = weights[i].copy_(mask[some.start - first : some.stop - first])
            torch.lerp(old, mutant, weight, out=mutant)


def _write_blocks(pool: torch.Tensor, recipe: Recipe, out: Rows) -> None:
    n, d, device = len(recipe.targets), pool.shape[1], pool.device
    block = BLOCK.get(device.type, BLOCK["cpu"])
    height, width = max(1, block // d), min(d, block)
    complete = all(recipe.crossover.complete(trial) for trial in range(n))
    for top in range(0, n, height):
        some = slice(top, min(top + height, n))
        scales = [torch.from_numpy(scale[some]).to(pool)[:, None] for scale, _, _ in recipe.differences]
        for left in range(0, d, width):
            columns = slice(left, min(left + width, d))
            part = pool[:, columns]

            def take(row: np.ndarray, part: torch.Tensor = part, some: slice = some) -> torch.Tensor:
                return part.index_select(0, torch.from_numpy(row[some]).to(part.device))

            target = take(recipe.targets)
            mutant = torch.empty_like(target)
            pairs = ((take(plus), take(minus)) for _, plus, minus in recipe.differences)
            differences = ((scale, *pair) for scale, pair in zip(scales, pairs, strict=True))
            mutate(take(recipe.base), differences, mutant)
            recipe.mend(mutant, target, columns, recipe.rng)
            if not complete:
                weight = torch.empty_like(target)
                recipe.crossover.weights(some, columns, weight)
                # A weight of 0 gives the target and 1 the mutant, exactly; and unlike `where`, lerp is vectorised.
                torch.lerp(target, mutant, weight, out=mutant)
            if isinstance(out, torch.Tensor):
                out[some, columns] = mutant
            else:
                for row, trial in zip(mutant, out[some], strict=True):
                    trial[columns] = row
