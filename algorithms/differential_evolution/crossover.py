"""Crossover of differential evolution: which coordinates a trial takes from its mutant.

A crossover is drawn once for a generation and then asked for either single cells (where few coordinates cross,
as under CADE's released constants, where CR is about 1e-5) or for dense weights, block by block.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch

from snnbench.algorithms.differential_evolution.bernoulli import bernoulli

SPARSE = 1 / 64
"""Below this share of crossed coordinates, cells are written one by one instead of blending whole rows."""

CELLS = 1 << 18
"""About how many cells are handled at once: bounds the memory of index arrays."""


class Crossover(ABC):
    """Which of d coordinates n trials take from their mutants.

    Parameters
    ----------
    rates
        Crossover rate CR of each trial, (n,).
    dimension
        d.
    forced
        Whether every trial takes at least one coordinate, chosen uniformly.
    rng
        Source of all draws on the CPU.
    generator
        Source of dense draws where the population is on another device.

    Attributes
    ----------
    sparse : bool
        Whether to use `cells` (else `weights`).
    """

    sparse: bool

    def __init__(
        self, rates: np.ndarray, dimension: int, forced: bool, rng: np.random.Generator, generator: torch.Generator
    ) -> None:
        self.rates = rates
        self.dimension = dimension
        self.forced = forced
        self.rng = rng
        self.generator = generator

    @abstractmethod
    def cells_of(self, trial: int) -> np.ndarray:
        """The crossed coordinates (k,) of one trial, int64."""

    @abstractmethod
    def weights(self, trials: slice, columns: slice, out: torch.Tensor, rng: np.random.Generator | None = None) -> None:
        """Write 1 where a trial takes the mutant and 0 where it keeps its target; `out` is (trials, columns).

        Draws come from ``rng`` if given, so that parts of a generation can be made side by side.
        """

    def masks(self, trials: slice, columns: slice, rng: np.random.Generator) -> torch.Tensor | None:
        """The weights of trials on a CPU, as bytes (trials, columns); ``None`` if every trial is `complete`."""
        if all(self.complete(trial) for trial in range(trials.start, trials.stop)):
            return None
        out = torch.empty(trials.stop - trials.start, columns.stop - columns.start, dtype=torch.uint8)
        self.weights(trials, columns, out, rng)
        return out

    def complete(self, trial: int) -> bool:
        """Whether the trial takes the whole mutant for certain, so that its weights need not be drawn."""
        return False

    def cells(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All crossed cells as pairs (trial, coordinate) of int64 arrays (k,), some `CELLS` at a time."""
        gathered: list[tuple[np.ndarray, np.ndarray]] = []
        held = 0
        for trial in range(len(self.rates)):
            column = self.cells_of(trial)
            if len(column):
                gathered.append((np.full(len(column), trial), column))
                held += len(column)
            if gathered and (held >= CELLS or trial == len(self.rates) - 1):
                yield np.concatenate([pair[0] for pair in gathered]), np.concatenate([pair[1] for pair in gathered])
                gathered, held = [], 0
        if gathered:
            yield np.concatenate([pair[0] for pair in gathered]), np.concatenate([pair[1] for pair in gathered])


class BinomialCrossover(Crossover):
    """Every coordinate crosses with probability CR, independently (Storn and Price 1997).

    Where all CR are small, the *number* of crossed coordinates is drawn from Binomial(d, CR) and then which they are:
    the same distribution, exact for any CR (uniform float32 numbers cannot express a CR below 6e-8) and without
    work per coordinate. For larger CR every coordinate draws a bit of exactly that probability on a CPU (`bernoulli`);
    on other devices a coordinate crosses if a random float32 lies below CR, so there CR is rounded to 2^-24.
    """

    def __init__(
        self, rates: np.ndarray, dimension: int, forced: bool, rng: np.random.Generator, generator: torch.Generator
    ) -> None:
        super().__init__(rates, dimension, forced, rng, generator)
        self.rates = np.clip(rates, 0.0, 1.0)
        self.sparse = bool(rates.max() <= SPARSE)
        self.always = rng.integers(dimension, size=len(rates)) if forced else np.empty(0, np.int64)
        self.counts = rng.binomial(dimension, self.rates) if self.sparse else np.zeros(len(rates), np.int64)

    def cells_of(self, trial: int) -> np.ndarray:
        column = self.rng.choice(self.dimension, self.counts[trial], replace=False, shuffle=False)
        if self.forced:
            # A second copy of the forced coordinate is written with the same value: harmless.
            column = np.append(column, self.always[trial])
        column = column.astype(np.int64, copy=False)
        column.sort()  # memory is then read in order, which for 10^5 cells of 10^7 is several times faster
        return column

    def complete(self, trial: int) -> bool:
        return bool(self.rates[trial] == 1)

    def weights(self, trials: slice, columns: slice, out: torch.Tensor, rng: np.random.Generator | None = None) -> None:
        rates = self.rates[trials]
        if out.device.type == "cpu":
            out.copy_(torch.from_numpy(bernoulli(rates, out.shape[1], rng or self.rng)))
        else:
            limits = torch.from_numpy(rates).to(out)
            out.uniform_(generator=self.generator).lt_(limits[:, None])
        if self.forced:
            column = self.always[trials] - columns.start
            row = np.flatnonzero((column >= 0) & (column < out.shape[1]))
            if len(row):
                out[torch.from_numpy(row), torch.from_numpy(column[row])] = 1


class ExponentialCrossover(Crossover):
    """One run of consecutive coordinates crosses, starting anywhere, wrapping around (Storn and Price 1997).

    The run's length L has P(L > l) = CR^l, at least 1 and at most d. So at least one coordinate always crosses,
    and `forced` changes nothing.
    """

    def __init__(
        self, rates: np.ndarray, dimension: int, forced: bool, rng: np.random.Generator, generator: torch.Generator
    ) -> None:
        super().__init__(rates, dimension, forced, rng, generator)
        self.start = rng.integers(dimension, size=len(rates))
        uniform = 1 - rng.random(len(rates))  # in (0, 1]: its logarithm is finite
        with np.errstate(divide="ignore", invalid="ignore"):
            length = np.floor(np.log(uniform) / np.log(rates)) + 1
        length = np.where(rates <= 0, 1, np.where(rates >= 1, dimension, length))
        self.length = np.clip(length, 1, dimension).astype(np.int64)
        self.sparse = bool(self.length.max() <= max(1, SPARSE * dimension))

    def cells_of(self, trial: int) -> np.ndarray:
        cells: np.ndarray = (self.start[trial] + np.arange(self.length[trial])) % self.dimension
        return cells

    def weights(self, trials: slice, columns: slice, out: torch.Tensor, rng: np.random.Generator | None = None) -> None:
        out.zero_()
        for row, (start, length) in enumerate(zip(self.start[trials], self.length[trials], strict=True)):
            for first in (start, start - self.dimension):  # the run, and the part of it that wraps around
                a = max(int(first) - columns.start, 0)
                b = min(int(first + length) - columns.start, out.shape[1])
                if a < b:
                    out[row, a:b] = 1


CROSSOVERS: dict[str, type[Crossover]] = {"bin": BinomialCrossover, "exp": ExponentialCrossover}
