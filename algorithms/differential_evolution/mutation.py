"""Mutation strategies of differential evolution, and the arithmetic they share.

Every strategy is the same formula, v = x_base + sum_k F (x_plus_k - x_minus_k); strategies differ only in which
members they name. So a strategy draws row numbers (on the CPU, a few integers per trial) and one function turns
them into coordinates, for whole rows or for only those coordinates that crossover will take.

Names and formulas follow R. Storn and K. Price, J. Global Optim. 11:341-359, 1997, and, for current-to-pbest/1,
J. Zhang and A. C. Sanderson, IEEE Trans. Evol. Comput. 13(5):945-958, 2009, eq. (6).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Donors:
    """The members that make up n mutants: row numbers, (n,) each.

    Attributes
    ----------
    base
        The row each mutant starts from.
    differences
        Pairs (plus, minus) of rows whose scaled difference is added.
    """

    base: np.ndarray
    differences: tuple[tuple[np.ndarray, np.ndarray], ...]


@dataclass(frozen=True)
class Strategy:
    """A named way of choosing donors.

    Attributes
    ----------
    name
        As in the literature, for example ``rand/1``.
    members
        Smallest population it works with.
    draw
        ``draw(targets, fitness, p, rng)`` gives the `Donors` of trials for the members ``targets`` (n,) of a
        population of fitness (N,), where the best ``p N`` members (at least one) count as "pbest".
    """

    name: str
    members: int
    draw: Callable[[np.ndarray, np.ndarray, float, np.random.Generator], Donors]


def distinct(targets: np.ndarray, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows (n, count), uniform among 0..size-1, distinct from each other and from the row's target."""
    # Each column is uniform among the rows not yet taken: count through those, stepping over each taken row in
    # rising order.
    steps = rng.integers(size - 1 - np.arange(count), size=(len(targets), count))
    if len(targets) == 1:
        return np.array([_step_over(int(targets[0]), steps[0].tolist())])
    taken = targets[:, None]
    for step in steps.T:
        for other in np.sort(taken, axis=1).T:
            step = step + (step >= other)
        taken = np.concatenate([taken, step[:, None]], axis=1)
    return taken[:, 1:]


def _step_over(target: int, steps: list[int]) -> list[int]:
    taken = [target]
    for row in steps:
        for other in sorted(taken):
            row += row >= other
        taken.append(row)
    return taken[1:]


def _rand_1(targets: np.ndarray, fitness: np.ndarray, p: float, rng: np.random.Generator) -> Donors:
    r = distinct(targets, len(fitness), 3, rng).T
    return Donors(r[0], ((r[1], r[2]),))


def _rand_2(targets: np.ndarray, fitness: np.ndarray, p: float, rng: np.random.Generator) -> Donors:
    r = distinct(targets, len(fitness), 5, rng).T
    return Donors(r[0], ((r[1], r[2]), (r[3], r[4])))


def _best_1(targets: np.ndarray, fitness: np.ndarray, p: float, rng: np.random.Generator) -> Donors:
    r = distinct(targets, len(fitness), 2, rng).T
    return Donors(np.full_like(targets, fitness.argmin()), ((r[0], r[1]),))


def _current_to_best_1(targets: np.ndarray, fitness: np.ndarray, p: float, rng: np.random.Generator) -> Donors:
    r = distinct(targets, len(fitness), 2, rng).T
    return Donors(targets, ((np.full_like(targets, fitness.argmin()), targets), (r[0], r[1])))


def _current_to_pbest_1(targets: np.ndarray, fitness: np.ndarray, p: float, rng: np.random.Generator) -> Donors:
    r = distinct(targets, len(fitness), 2, rng).T
    elite = np.argsort(fitness, kind="stable")[: max(1, round(p * len(fitness)))]
    return Donors(targets, ((rng.choice(elite, len(targets)), targets), (r[0], r[1])))


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("rand/1", 4, _rand_1),
        Strategy("best/1", 3, _best_1),
        Strategy("current-to-best/1", 3, _current_to_best_1),
        Strategy("current-to-pbest/1", 3, _current_to_pbest_1),
        Strategy("rand/2", 6, _rand_2),
    )
}


def mutate(
    base: torch.Tensor,
    differences: Iterable[tuple[torch.Tensor, torch.Tensor]],
    factor: float | torch.Tensor,
    out: torch.Tensor,
    scratch: torch.Tensor | None = None,
) -> None:
    """Write mutants, base + sum of factor * (plus - minus).

    Parameters
    ----------
    base, differences
        Coordinates of the donors, each of the shape of `out`; never written to.
    factor
        F: one number, or one per row as a column (n, 1).
    out
        Overwritten; must not overlap the donors.
    scratch
        Overwritten likewise, of the shape of `out`; allocated if not given.
    """
    scratch = torch.empty_like(out) if scratch is None else scratch
    for plus, minus in differences:
        torch.sub(plus, minus, out=scratch)
        if isinstance(factor, float):
            base = torch.add(base, scratch, alpha=factor, out=out)
        else:
            base = torch.add(base, scratch.mul_(factor), out=out)


def mutate_cells(
    population: torch.Tensor, donors: Donors, factors: np.ndarray, trial: np.ndarray, column: np.ndarray
) -> torch.Tensor:
    """Mutant values (k,) at single coordinates: ``column`` (k,) of the mutants ``trial`` (k,), 0-based."""
    columns = torch.from_numpy(column).to(population.device)

    def take(row: np.ndarray) -> torch.Tensor:
        return population[torch.from_numpy(row[trial]).to(population.device), columns]

    factor = torch.from_numpy(factors[trial]).to(population)
    value = take(donors.base)
    for plus, minus in donors.differences:
        value += (take(plus) - take(minus)) * factor
    return value
