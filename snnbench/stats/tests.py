"""Tests, corrections and effect sizes. Lower values are better; infinite ones (failures) are the worst and tie."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LARGEST = 50
"""Up to so many seeds the distribution of U is enumerated."""

EXACT = 25
"""Up to so many differences the signed-rank distribution is enumerated."""


@dataclass(frozen=True)
class Pair:
    """Outcome of comparing two samples.

    Attributes
    ----------
    p
        Two-sided p value, not corrected.
    effect
        In [-1, 1], positive if the first is better: Cliff's delta, or the matched-pairs rank-biserial correlation.
    smallest
        The smallest p that samples of this size can give.
    """

    p: float
    effect: float
    smallest: float


def mann_whitney(a: np.ndarray, b: np.ndarray) -> Pair:
    """Compare two algorithms on one problem, over seeds: Mann-Whitney U with Cliff's delta.

    Exact without ties up to `LARGEST` seeds, else the normal approximation with tie and continuity correction; equal to
    scipy's, of which a single call takes as long as a hundred of these.

    Parameters
    ----------
    a, b
        (n,) and (m,), no NaN.

    Examples
    --------
    >>> found = mann_whitney(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    >>> round(found.p, 3), found.effect, round(found.smallest, 3)
    (0.1, 1.0, 0.1)
    """
    a, b = (np.asarray(x, np.float64) for x in (a, b))
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("NaN cannot be ranked")
    n, m = len(a), len(b)
    less, more = int((a[:, None] < b).sum()), int((a[:, None] > b).sum())
    delta = (less - more) / (n * m)
    smallest = min(1.0, 2.0 / math.comb(n + m, n))
    _, counts = np.unique(np.concatenate([a, b]), return_counts=True)
    if counts.max() == 1 and max(n, m) <= LARGEST:
        return Pair(_exact_u(n, m, max(less, more)), delta, smallest)
    size = n + m
    variance = n * m / 12.0 * (size + 1 - float((counts**3 - counts).sum()) / (size * (size - 1)))
    if variance <= 0:
        return Pair(1.0, delta, smallest)
    distance = abs(less - more) / 2.0 - 0.5  # with continuity correction
    return Pair(min(1.0, math.erfc(distance / math.sqrt(2.0 * variance))), delta, smallest)


def _exact_u(n: int, m: int, u: int) -> float:
    """Two-sided p of Mann-Whitney's U without ties: twice the share of orders with a U of at least `u`."""
    counts = _orders(min(n, m), max(n, m))
    return min(1.0, 2.0 * float(counts[u:].sum()))


@lru_cache(maxsize=256)
def _orders(n: int, m: int) -> np.ndarray:
    """Probability of each U = 0..n m of samples of n and m, from its generating function prod (1-q^(m+i)) / (1-q^i)."""
    counts = [1, *[0] * (n * m)]
    for i in range(1, n + 1):
        for j in range(n * m, m + i - 1, -1):
            counts[j] -= counts[j - m - i]
        for j in range(i, n * m + 1):
            counts[j] += counts[j - i]
    total = math.comb(n + m, n)
    return np.array([count / total for count in counts])


def signed_rank(a: np.ndarray, b: np.ndarray) -> Pair:
    """Compare two algorithms over problems: Wilcoxon's signed-rank test.

    Zero differences are ranked and then left out (Pratt 1959). The distribution is exact, ties included (all signs
    of the observed ranks are equally likely), for up to `EXACT` differences, and normal above.

    Parameters
    ----------
    a, b
        (n,) One value per problem, on scales that can be compared between problems.

    Examples
    --------
    >>> found = signed_rank(np.zeros(6), np.arange(1.0, 7.0))
    >>> found.p, found.effect
    (0.03125, 1.0)
    """
    from scipy import stats  # here: a second that most commands do without

    difference = differences(np.asarray(a, np.float64), np.asarray(b, np.float64))
    ranks = stats.rankdata(np.abs(difference))[difference != 0]
    signs = np.sign(difference[difference != 0])
    n = len(ranks)
    smallest = min(1.0, 2.0 ** (1 - len(difference)))
    if n == 0:
        return Pair(1.0, 0.0, smallest)
    positive, total = float(ranks[signs > 0].sum()), float(ranks.sum())
    effect = 2.0 * positive / total - 1.0
    if n <= EXACT:
        return Pair(_enumerated(ranks, positive), effect, smallest)
    spread = math.sqrt(float((ranks**2).sum()) / 4.0)
    z = max(0.0, abs(positive - total / 2.0) - 0.25) / spread
    return Pair(float(2.0 * stats.norm.sf(z)), effect, smallest)


def differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """b - a, where an infinite value differs from a finite one by more than anything, and not from its like."""
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("NaN cannot be ranked")
    both = np.concatenate([a, b])
    finite = both[np.isfinite(both)]
    beyond = 1.0 + 2.0 * float(np.ptp(finite)) + float(np.abs(finite).max()) if len(finite) else 1.0
    a, b = (np.where(np.isfinite(x), x, np.sign(np.nan_to_num(x, posinf=1, neginf=-1)) * 2 * beyond) for x in (a, b))
    return b - a


def signed_rank_greater(difference: np.ndarray) -> float:
    """One-sided p of Wilcoxon's signed-rank test that differences lie above 0; zeros and ties as in `signed_rank`.

    Parameters
    ----------
    difference
        (n,) Finite.

    Examples
    --------
    >>> signed_rank_greater(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    0.03125
    """
    from scipy import stats  # here: a second that most commands do without

    ranks = stats.rankdata(np.abs(difference))[difference != 0]
    positive = float(ranks[difference[difference != 0] > 0].sum())
    if not len(ranks):
        return 1.0
    if len(ranks) <= EXACT:
        shares = _sums(ranks)
        return float(min(1.0, shares[round(2 * positive) :].sum()))
    spread = math.sqrt(float((ranks**2).sum()) / 4.0)
    return float(stats.norm.sf((positive - ranks.sum() / 2.0 - 0.25) / spread))


def _enumerated(ranks: np.ndarray, positive: float) -> float:
    """Two-sided p of a sum of randomly signed ranks: the share of signs that lie as far from the middle."""
    shares = _sums(ranks)
    middle = (len(shares) - 1) / 2.0
    far = np.abs(np.arange(len(shares)) - middle) >= abs(2 * positive - middle) - 1e-9
    return float(min(1.0, shares[far].sum()))


def _sums(ranks: np.ndarray) -> np.ndarray:
    """Probability of each value of twice the sum of the positive ranks, from 0, if all signs are equally likely."""
    doubled = np.rint(2 * ranks).astype(np.int64)  # midranks are halves
    counts = np.zeros(int(doubled.sum()) + 1)
    counts[0] = 1.0
    for rank in doubled:
        counts[rank:] += counts[: len(counts) - rank].copy()
    return np.asarray(counts / counts.sum())


@dataclass(frozen=True)
class Omnibus:
    """Whether any of k algorithms differs from the others over n problems.

    Attributes
    ----------
    friedman
        Friedman's chi-square, corrected for ties.
    statistic, degrees, p
        Iman and Davenport's F, its degrees of freedom, and p.
    """

    friedman: float
    statistic: float
    degrees: tuple[int, int]
    p: float


def friedman(ranks: np.ndarray) -> Omnibus | None:
    """Friedman's test with Iman and Davenport's F (Commun. Stat. A9:571-595, 1980).

    Parameters
    ----------
    ranks
        (n, k) Ranks of k algorithms within each of n problems, ties averaged.

    Returns
    -------
    Omnibus or None
        ``None`` for fewer than two problems or three algorithms.
    """
    from scipy import stats  # here: a second that most commands do without

    n, k = ranks.shape
    if n < 2 or k < 3:
        return None
    sums = ranks.sum(axis=0)
    spread = float((ranks**2).sum()) - n * k * (k + 1) ** 2 / 4.0
    between = float((sums**2).sum()) / n - n * k * (k + 1) ** 2 / 4.0
    degrees = (k - 1, (k - 1) * (n - 1))
    if spread <= 0:  # ties everywhere
        return Omnibus(0.0, 0.0, degrees, 1.0)
    chi = (k - 1) * between / spread * n
    denominator = n * (k - 1) - chi
    f = (n - 1) * chi / denominator if denominator > 1e-12 else math.inf
    return Omnibus(chi, f, degrees, float(stats.f.sf(f, *degrees)))


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's corrected p values (Scand. J. Stat. 6:65-70, 1979), in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    corrected = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    found = np.empty_like(values)
    found[order] = np.minimum(corrected, 1.0)
    return found
