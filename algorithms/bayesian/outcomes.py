"""What models are fitted to: finite, transformed and standardised outcomes."""

from dataclasses import dataclass

import torch

LARGEST = 1e100
"""Magnitude at which values are cut, so that their squares stay finite."""


def finite(values: torch.Tensor) -> torch.Tensor:
    """Values (n, m) with failures (+inf) replaced by the worst finite value of their column, 1 where there is none.

    A failed candidate is then as bad as the worst that succeeded, which keeps a model away from it without bending
    the model elsewhere.
    """
    good = values.isfinite()
    worst = torch.where(good, values, -torch.inf).max(dim=0).values
    worst = torch.where(worst.isfinite(), worst, 1.0)
    return torch.where(good, values, worst).clamp(-LARGEST, LARGEST)


@dataclass(frozen=True)
class Standard:
    """Columns of values (n, m) shifted to mean 0 and scaled to standard deviation 1; constant ones shifted only."""

    values: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor

    @classmethod
    def of(cls, values: torch.Tensor) -> "Standard":
        """Standardise values (n, m)."""
        mean, deviation = values.mean(dim=0), values.std(dim=0, correction=0)
        deviation = torch.where(deviation > 1e-12 * mean.abs() + 1e-100, deviation, 1.0)
        return cls((values - mean) / deviation, mean, deviation)

    @property
    def zero(self) -> torch.Tensor:
        """Where zero came to lie, (m,)."""
        return -self.mean / self.deviation

    def original(self, z: torch.Tensor) -> torch.Tensor:
        """Standardised values (..., m) on the original scale."""
        return z * self.deviation + self.mean


def bilog(values: torch.Tensor) -> torch.Tensor:
    """sgn(c) ln(1 + abs(c)), element by element: magnifies values near the boundary (Eriksson and Poloczek 2021)."""
    return values.sign() * values.abs().log1p()


def copula(values: torch.Tensor) -> torch.Tensor:
    """Gaussian copula of (n,) values: the normal quantile of (rank - 1/2) / n (Eriksson and Poloczek 2021).

    Ranks of equal values are averaged, so that equal values stay equal and a constant becomes 0.
    """
    _, place, count = values.unique(return_inverse=True, return_counts=True)
    rank = (count.cumsum(0).double() - (count - 1) / 2)[place]
    return torch.special.ndtri((rank - 0.5) / len(values))


def violation(constraints: torch.Tensor) -> torch.Tensor:
    """Total violation (n,) of constraints (n, k), each on the bilog scale so that no unit outweighs the others."""
    return bilog(constraints.clamp(min=0)).sum(dim=1)


def order(objective: torch.Tensor, constraints: torch.Tensor) -> torch.Tensor:
    """Row numbers (n,) from best to worst: feasible by objective (n,), others by violation of (n, k), failures."""
    total = torch.where(objective.isfinite(), violation(constraints), torch.inf)
    feasible = total <= 0
    by_value = torch.where(feasible, objective, total).argsort(stable=True)
    return by_value[(~feasible)[by_value].long().argsort(stable=True)]
