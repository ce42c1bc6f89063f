"""Trust-region Bayesian optimization with one region."""

from typing import ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.bayesian import TrustRegionOptimizer
from snnbench.algorithms.bayesian.gaussian_process import LOCAL
from snnbench.algorithms.bayesian.outcomes import Standard


class TuRBO(TrustRegionOptimizer):
    """TuRBO-1: Thompson sampling in one trust region.

    The region's sides are proportional to the lengthscales of the Gaussian process, with the same volume. It doubles
    after 3 successes in a row, halves after ceil(max(4, d) / batch) failures, and when it is shorter than 2^-7 the
    search begins anew, from points and with data of its own.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        discrete=True, max_dimension=200, horizon=True, asynchronous=True, batches=True
    )
    reference: ClassVar[str] = (
        "D. Eriksson, M. Pearce, J. Gardner, R. D. Turner and M. Poloczek, Scalable Global Optimization via Local "
        "Bayesian Optimization, NeurIPS 2019, arXiv:1910.01739"
    )

    def sampled(self, x: torch.Tensor, y: torch.Tensor, c: torch.Tensor, count: int) -> torch.Tensor:
        """The smallest candidate of each of so many posterior samples, no candidate twice."""
        (model,) = self.models(x, Standard.of(y[:, None]).values.T, LOCAL)
        scales = model.lengthscales / model.lengthscales.mean()
        points = self.region(count, scales / scales.log().mean().exp())
        chosen: list[int] = []
        for sample in model.draw(points, count):
            sample[chosen] = torch.inf
            chosen.append(int(sample.argmin()))
        return points[chosen]
