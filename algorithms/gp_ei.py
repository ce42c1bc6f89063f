"""Bayesian optimization with a Gaussian process and the logarithm of the expected improvement."""

from typing import Any, ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.bayesian import AcquisitionOptimizer
from snnbench.algorithms.bayesian.acquisition import Model


class GPEI(AcquisitionOptimizer):
    """Gaussian process with expected improvement (BoTorch qLogEI, qLogNEI).

    Where the problem is noisy or constrained, qLogNoisyExpectedImprovement: improvement over the best feasible of
    the points evaluated, itself uncertain. Otherwise qLogExpectedImprovement over the best value seen.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        constraints=True, discrete=True, max_dimension=100, horizon=True, asynchronous=True, batches=True
    )
    reference: ClassVar[str] = (
        "S. Ament, S. Daulton, D. Eriksson, M. Balandat and E. Bakshy, Unexpected Improvements to Expected Improvement "
        "for Bayesian Optimization, NeurIPS 2023, arXiv:2310.20708; M. Balandat et al., BoTorch: A Framework for "
        "Efficient Monte-Carlo Bayesian Optimization, NeurIPS 2020, arXiv:1910.06403"
    )

    def acquisition(self, model: Model, pending: torch.Tensor | None, sampler: Any) -> Any:
        """The expected improvement of single points, given pending points."""
        from botorch.acquisition.logei import qLogExpectedImprovement, qLogNoisyExpectedImprovement
        from botorch.acquisition.objective import GenericMCObjective

        common = {
            "objective": GenericMCObjective(first),
            "sampler": sampler,
            "X_pending": pending,
            "constraints": model.constraints,
        }
        if self.task.noisy or model.constraints:
            return qLogNoisyExpectedImprovement(model.gps, model.x, prune_baseline=True, **common)
        return qLogExpectedImprovement(model.gps, model.goals.values.max(), **common)


def first(samples: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
    """The objective among samples of all outcomes (..., 1 + k)."""
    return samples[..., 0]
