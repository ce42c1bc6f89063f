"""Gaussian processes over a unit box: the kernel, its fit by maximum a posteriori, and joint samples.

Written in plain torch, since a fit by GPyTorch costs five to ten times as much at the sizes met here; both are the
same to rounding (tests). Acquisition functions of BoTorch get the fitted process as a BoTorch model (`for_botorch`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snnbench.algorithms.bayesian.unit_box import UnitBox

STEPS = 100
"""Most steps of L-BFGS-B in one fit."""

CATEGORY = (0.05, 100.0)
"""Range of the lengthscale of a category."""


@dataclass(frozen=True)
class Prior:
    """What is known of hyperparameters before the data: ranges, and logarithmic normal densities (mean, deviation).

    Attributes
    ----------
    matern
        Matern-5/2 kernel, else the squared exponential.
    lengthscale, noise, scale
        Ranges of the lengthscales, the noise variance and the kernel's variance.
    lengthscale_density, noise_density
        Densities of them; ``None`` for a flat one.
    start
        Lengthscale, noise and scale that a fit starts from.
    """

    matern: bool
    lengthscale: tuple[float, float]
    noise: tuple[float, float]
    scale: tuple[float, float]
    lengthscale_density: tuple[float, float] | None
    noise_density: tuple[float, float] | None
    start: tuple[float, float, float]


LOCAL = Prior(True, (0.005, 4.0), (1e-8, 1e-3), (0.05, 20.0), None, None, (0.5, 1e-4, 1.0))
"""Of trust regions: lengthscales and noise as in BoTorch's SCBO and Firmin et al.'s released code (arXiv:2403.00450),
the scale as in TuRBO's released code."""


def dimension_scaled(dimension: int) -> Prior:
    """BoTorch's default: lengthscales that grow with the root of the dimension (Hvarfner et al., ICML 2024)."""
    mean, deviation = math.sqrt(2) + math.log(max(1, dimension)) / 2, math.sqrt(3)
    start = (math.exp(mean - deviation**2), math.exp(-5), 1.0)
    return Prior(False, (0.025, 1e3), (1e-4, 1e2), (1.0, 1.0), (mean, deviation), (-4.0, 1.0), start)


class GaussianProcess:
    """Constant mean, stationary kernel with a lengthscale per coordinate, and noise; of one outcome.

    The kernel of numbers is multiplied by exp(-mean over categories of [differ] / lengthscale), BoTorch's
    `CategoricalKernel`.

    Parameters
    ----------
    x
        Points (n, d) of the unit box.
    y
        Standardised outcomes (n,).
    start
        Hyperparameters `theta` to start the fit from; the prior's if omitted.

    Attributes
    ----------
    theta : torch.Tensor
        Fitted hyperparameters (3 + d,): the mean, and logarithms of noise, scale, lengthscales of the numbers and of
        the categories.
    """

    def __init__(
        self, x: torch.Tensor, y: torch.Tensor, box: UnitBox, prior: Prior, start: torch.Tensor | None = None
    ) -> None:
        self.x, self.y, self.box, self.prior = x, y, box, prior
        self.differ = torch.stack([x[:, None, i] != x[None, :, i] for i in box.categories]) if box.categories else None
        self.theta = self._fitted(self._first() if start is None else start)

    def loss(self, theta: torch.Tensor) -> torch.Tensor:
        """Negative logarithm of likelihood times prior, per observation."""
        mean, noise, n = theta[0], theta[1].exp(), len(self.x)
        covariance = self.kernel(self.x, self.x, theta, self.differ) + noise * torch.eye(n, dtype=torch.float64)
        factor = safe_cholesky(covariance)
        white = torch.linalg.solve_triangular(factor, (self.y - mean)[:, None], upper=False)
        loss = white.square().sum() / 2 + factor.diagonal().log().sum() + n * math.log(2 * math.pi) / 2
        if self.prior.noise_density:
            loss = loss - log_normal(theta[1:2], *self.prior.noise_density)
        if self.prior.lengthscale_density:
            loss = loss - log_normal(theta[3 : 3 + len(self.box.ordinal)], *self.prior.lengthscale_density)
        return loss / n

    def kernel(
        self, a: torch.Tensor, b: torch.Tensor, theta: torch.Tensor, differ: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Covariances (n, m) of the function at points (n, d) and (m, d)."""
        numbers, categories = self.box.ordinal, self.box.categories
        scales = theta[3:].exp()
        shape = torch.ones(len(a), len(b), dtype=torch.float64)
        if numbers:
            a_, b_ = ((points[:, numbers] - 0.5) / scales[: len(numbers)] for points in (a, b))
            square = (a_**2).sum(1)[:, None] + (b_**2).sum(1) - 2 * a_ @ b_.T
            square = square.clamp(min=1e-15)
            if self.prior.matern:
                r = (5 * square).sqrt()
                shape = (1 + r + r * r / 3) * (-r).exp()
            else:
                shape = (-square / 2).exp()
        if categories:
            if differ is None:
                differ = torch.stack([a[:, None, i] != b[None, :, i] for i in categories])
            weights = 1 / scales[len(numbers) :] / len(categories)
            shape = shape * (-(differ * weights[:, None, None]).sum(dim=0)).exp()
        return theta[2].exp() * shape

    def draw(self, x: torch.Tensor, count: int) -> torch.Tensor:
        """Joint samples (count, m) of the function, without noise, at points (m, d); from torch's global generator."""
        with torch.no_grad():
            mean, covariance = self.posterior(x)
            return mean + (safe_cholesky(covariance) @ torch.randn(len(x), count, dtype=torch.float64)).T

    def posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean (m,) and covariance (m, m) of the function at points (m, d)."""
        known = self.kernel(self.x, self.x, self.theta, self.differ)
        known.diagonal().add_(self.theta[1].exp())
        factor = safe_cholesky(known)
        cross = torch.linalg.solve_triangular(factor, self.kernel(self.x, x, self.theta), upper=False)
        white = torch.linalg.solve_triangular(factor, (self.y - self.theta[0])[:, None], upper=False)
        return self.theta[0] + (cross.T @ white)[:, 0], self.kernel(x, x, self.theta).sub_(cross.T @ cross)

    @property
    def lengthscales(self) -> torch.Tensor:
        """Lengthscales (d,) in the order of the coordinates; 1 for categories."""
        scales = torch.ones(self.box.dimension, dtype=torch.float64)
        scales[self.box.ordinal] = self.theta[3 : 3 + len(self.box.ordinal)].exp()
        return scales

    def for_botorch(self) -> Any:
        """The fitted process as a BoTorch model."""
        from botorch.models import SingleTaskGP
        from botorch.models.kernels import CategoricalKernel
        from gpytorch.constraints import GreaterThan
        from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel
        from gpytorch.likelihoods import GaussianLikelihood

        numbers, categories = self.box.ordinal, self.box.categories
        scales, kernels = self.theta[3:].exp(), []
        if numbers:
            sort = MaternKernel if self.prior.matern else RBFKernel
            kernels.append(sort(ard_num_dims=len(numbers), active_dims=numbers).double())
            kernels[-1].lengthscale = scales[: len(numbers)]
        if categories:
            kernels.append(CategoricalKernel(ard_num_dims=len(categories), active_dims=categories).double())
            kernels[-1].lengthscale = scales[len(numbers) :]
        kernel = ScaleKernel(kernels[0] * kernels[1] if len(kernels) == 2 else kernels[0]).double()
        kernel.outputscale = self.theta[2].exp()
        likelihood = GaussianLikelihood(noise_constraint=GreaterThan(1e-9)).double()
        likelihood.noise = self.theta[1].exp()
        model = SingleTaskGP(
            self.x, self.y[:, None], covar_module=kernel, likelihood=likelihood, outcome_transform=None
        )
        model.mean_module.constant.data.fill_(float(self.theta[0]))
        return model.requires_grad_(False).eval()

    def _first(self) -> torch.Tensor:
        lengthscale, noise, scale = self.prior.start
        values = [1.0, noise, scale] + [lengthscale] * len(self.box.ordinal) + [1.0] * len(self.box.categories)
        return torch.tensor(values, dtype=torch.float64).log()

    def _fitted(self, start: torch.Tensor) -> torch.Tensor:
        from scipy.optimize import minimize

        def value_and_slope(values: np.ndarray) -> tuple[float, np.ndarray]:
            theta = torch.from_numpy(values).requires_grad_()
            with torch.enable_grad():
                loss = self.loss(theta)
                loss.backward()
            return float(loss.detach()), theta.grad.numpy()  # type: ignore[union-attr]

        prior = self.prior
        ranges = [prior.noise, prior.scale]
        ranges += [prior.lengthscale] * len(self.box.ordinal) + [CATEGORY] * len(self.box.categories)
        bounds = [(-10.0, 10.0)] + [(math.log(low), math.log(high)) for low, high in ranges]
        found = minimize(
            value_and_slope, start.numpy(), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
        )
        return torch.from_numpy(found.x)


def log_normal(logarithm: torch.Tensor, mean: float, deviation: float) -> torch.Tensor:
    """Sum of the log density, without its constant, of logarithmic normal values with these logarithms (p,)."""
    return -(((logarithm - mean) / deviation).square() / 2 + logarithm).sum()


def safe_cholesky(matrix: torch.Tensor) -> torch.Tensor:
    """Lower Cholesky factor (n, n), of the matrix with the smallest diagonal added that makes it positive definite.

    None, or from 1e-10 upwards in powers of ten of the mean diagonal: near duplicates are nearly dependent.
    """
    factor, failure = torch.linalg.cholesky_ex(matrix)
    scale = matrix.detach().diagonal().mean().clamp(min=1e-12)
    for exponent in range(-10, 1):
        if not failure:
            return factor
        raised = matrix + scale * 10.0**exponent * torch.eye(len(matrix), dtype=matrix.dtype)
        factor, failure = torch.linalg.cholesky_ex(raised)
    if failure:
        raise FloatingPointError("a covariance matrix is not positive definite")
    return factor
