"""Independent random bits of given probabilities, exactly and cheaply: the masks of binomial crossover.

Eight random bits per coordinate give a probability on a grid of 1/256, sixty-four coordinates at a time in one machine
word. What the grid leaves over is corrected at a few random places, so that the probability is exact (to float64).
"""

import math

import numpy as np

LEVELS = 8
"""Random bits per coordinate. Fewer cost less to draw and leave more places to correct."""

GRID = 1 << LEVELS

FEW = 1 << 12
"""Up to so many coordinates, one uniform number each is quicker."""


def bernoulli(rates: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Zeros and ones (n, width) uint8, each 1 with the probability of its row, independently.

    Parameters
    ----------
    rates
        (n,) in [0, 1].
    width
        Coordinates per row.
    rng
        Source of the randomness.

    Notes
    -----
    A bit with probability 0.b1...bk in binary comes from k fair bits, from the last digit to the first: *or* with a
    fair bit where the digit is 1, *and* where it is 0. A rate p below 1/2 is rounded down to the grid point g and
    each zero is set with probability (p - g) / (1 - g); one above is rounded up and each one is cleared with
    probability 1 - p / g. The places are a Poisson process: -log(1 - q) of them per coordinate on average, uniform and
    independent, hit each coordinate with probability q, independently.
    """
    n = len(rates)
    if n * width <= FEW:
        return (rng.random((n, width)) < rates[:, None]).view(np.uint8)
    if n == 1 or (rates == rates[0]).all():
        return _alike(float(rates[0]), n * width, rng).reshape(n, width)
    upward = rates >= 0.5
    scaled = rates * GRID
    grid = np.where(upward, np.ceil(scaled), np.floor(scaled))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(upward, 1 - scaled / grid, (scaled - grid) / (GRID - grid))
    bits = _rows(grid.astype(np.int64), width, rng)
    hits = rng.poisson(-np.log1p(-share) * width)
    rows = np.repeat(np.arange(n), hits)
    bits[rows, rng.integers(width, size=len(rows))] = ~upward[rows]
    return bits


def _alike(rate: float, size: int, rng: np.random.Generator) -> np.ndarray:
    upward, scaled = rate >= 0.5, rate * GRID
    grid = math.ceil(scaled) if upward else math.floor(scaled)
    share = 1 - scaled / grid if upward else (scaled - grid) / (GRID - grid)
    bits = _flat(grid, size, rng)
    if share > 0:
        bits[rng.integers(size, size=rng.poisson(-math.log1p(-share) * size))] = not upward
    return bits


def _flat(grid: int, size: int, rng: np.random.Generator) -> np.ndarray:
    if grid in (0, GRID):
        return np.full(size, grid > 0, np.uint8)
    digits = [grid >> level & 1 for level in range(LEVELS)]
    digits = digits[digits.index(1) :]  # before the last digit that is 1, *and* only keeps zeros
    random = _fair(len(digits), -(-size // 64), rng)
    word = random[0]
    for digit, fair in zip(digits[1:], random[1:], strict=True):
        (np.bitwise_or if digit else np.bitwise_and)(word, fair, out=word)
    return np.unpackbits(word.view(np.uint8), count=size)


def _rows(grid: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    n, words = len(grid), -(-width // 64)
    word = np.zeros((n, words), np.uint64)
    either = np.empty_like(word)
    for level in range(LEVELS):
        fair = _fair(n, words, rng)
        digit = -(grid >> level & 1).astype(np.uint64)[:, None]  # all ones where the digit is 1
        np.bitwise_or(word, fair, out=either)
        np.bitwise_and(word, fair, out=word)
        np.bitwise_or(word, np.bitwise_and(either, digit, out=either), out=word)
    word[grid >> LEVELS > 0] = ~np.uint64(0)
    return np.unpackbits(word.view(np.uint8), axis=1)[:, :width]


def _fair(rows: int, words: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2**64 - 1, size=(rows, words), dtype=np.uint64, endpoint=True)
