"""Whether two algorithms are equivalent up to a stated margin. "Not significantly different" does not say so.

The margin is a difference on the frozen scale (0 ideal, 1 worst) that one does not care about. The unit is the problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from snnbench.errors import UsageError
from snnbench.stats.tests import differences, holm, signed_rank_greater

SAMPLES = 10_000
PRIOR = 0.5
"""Weight of the prior's one pseudo-problem without a difference, against 1 for every problem (Benavoli et al.)."""


@dataclass(frozen=True)
class Equivalence:
    """One pair of algorithms over n problems.

    Attributes
    ----------
    p, corrected
        Two one-sided signed-rank tests (TOST): p of "they differ by the margin or more", and after Holm's correction.
    first, same, second
        Posterior probabilities of the Bayesian signed-rank test: the first is better by more than the margin, the
        difference is within it, the second is better by more than it. They add up to 1.
    """

    p: float
    corrected: float
    first: float
    same: float
    second: float


def equivalences(scores: pd.DataFrame, margin: float) -> dict[tuple[str, str], Equivalence]:
    """Every pair of algorithms.

    Parameters
    ----------
    scores
        (n, k) One row per problem, one column per algorithm, on the frozen scale: `Ranking.scores`.
    margin
        Greater than 0.

    Returns
    -------
    dict
        Pairs (a, b) in alphabetical order.

    Raises
    ------
    UsageError
        If the margin is not a positive number, or there are fewer than two problems or algorithms.
    """
    if not (np.isfinite(margin) and margin > 0):
        raise UsageError(f"an equivalence margin is a positive difference on the frozen scale (0 to 1), got {margin}")
    if len(scores) < 2 or scores.shape[1] < 2:
        raise UsageError("equivalence is tested over problems: it needs two algorithms that were run on two or more")
    names = sorted(scores.columns)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    found = [differences(scores[a].to_numpy(np.float64), scores[b].to_numpy(np.float64)) for a, b in pairs]
    p = [tost(difference, margin) for difference in found]
    weights = _weights(len(scores))
    return {
        pair: Equivalence(raw, float(corrected), *bayesian_signed_rank(difference, margin, weights))
        for pair, raw, corrected, difference in zip(pairs, p, holm(p), found, strict=True)
    }


def tost(difference: np.ndarray, margin: float) -> float:
    """Two one-sided Wilcoxon signed-rank tests of equivalence (Schuirmann 1987, with ranks; Wellek 2010, 5.4).

    Parameters
    ----------
    difference
        (n,) One per problem.
    margin
        Limit of the absolute (pseudo-)median difference.

    Returns
    -------
    float
        The larger p of the two, exact for up to 25 problems, at least 2^-n; small if the algorithms are equivalent.

    Examples
    --------
    >>> tost(np.array([0.001, -0.002, 0.003, -0.001, 0.002]), 0.01)
    0.03125
    """
    return max(signed_rank_greater(difference + margin), signed_rank_greater(margin - difference))


def bayesian_signed_rank(
    difference: np.ndarray, margin: float, weights: np.ndarray | None = None
) -> tuple[float, float, float]:
    """The Bayesian signed-rank test (Benavoli, Corani, Demsar, Zaffalon, JMLR 18(77):1-36, 2017, section 4.2).

    A Dirichlet process whose prior has weight `PRIOR` at no difference; of each sample of it, the mass of the mean of
    two differences below -margin, within, and above; counted is which of the three is the largest.

    Parameters
    ----------
    difference
        (n,) Value of the second less value of the first, one per problem; lower values are better.
    margin
        Half the width of the region of practical equivalence.
    weights
        (samples, n + 1) Dirichlet weights, the prior's first; by default `SAMPLES` with a fixed seed.

    Returns
    -------
    tuple of float
        Probabilities that the first is better, that they are equivalent, that the second is better.
    """
    points = np.concatenate([[0.0], np.sort(difference)])  # sorted: the order of problems changes nothing
    weights = _weights(len(difference)) if weights is None else weights
    means = (points[:, None] + points) / 2.0
    above = ((weights @ (means > margin)) * weights).sum(axis=1)
    below = ((weights @ (means < -margin)) * weights).sum(axis=1)
    masses = np.stack([above, 1.0 - above - below, below], axis=1)
    largest = np.isclose(masses, masses.max(axis=1, keepdims=True), rtol=0.0, atol=1e-12)
    first, same, second = (largest / largest.sum(axis=1, keepdims=True)).mean(axis=0)
    return float(first), float(same), float(second)


def verdict(found: Equivalence, alpha: float, better: Sequence[str] = ()) -> str:
    """In one or two words: ``equivalent``, the name of who is better, both, or ``undecided``."""
    words = ["equivalent"] * (found.corrected <= alpha) + [f"{name} better" for name in better]
    return ", ".join(words) or "undecided"


def _weights(n: int) -> np.ndarray:
    return np.random.default_rng(0).dirichlet([PRIOR, *[1.0] * n], SAMPLES)
