"""Draws of F and CR, and means of successful ones, that several adaptive variants share."""

import numpy as np


def cauchy_factors(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """F (n,) from Cauchy(centre, 0.1), drawn again where not positive and cut at 1 (JADE, eq. 12)."""
    factors = centres + 0.1 * rng.standard_cauchy(len(centres))
    while (again := factors <= 0).any():
        factors[again] = centres[again] + 0.1 * rng.standard_cauchy(int(again.sum()))
    return np.minimum(factors, 1.0)


def normal_rates(centres: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """CR (n,) from N(centre, 0.1), moved into [0, 1] (JADE, eq. 10)."""
    return np.clip(rng.normal(centres, 0.1), 0.0, 1.0)


def lehmer(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted Lehmer mean, sum(w v^2) / sum(w v); 0 where all values are."""
    total = float(weights @ values)
    return float(weights @ values**2) / total if total > 0 else 0.0
