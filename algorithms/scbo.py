"""Scalable constrained Bayesian optimization."""

from typing import ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.bayesian import TrustRegionOptimizer
from snnbench.algorithms.bayesian.gaussian_process import LOCAL
from snnbench.algorithms.bayesian.outcomes import Standard, bilog, copula


class SCBO(TrustRegionOptimizer):
    """SCBO: constrained Thompson sampling in one trust region.

    A Gaussian process for the objective and one for each constraint. Each candidate is the best of the region's
    points in a joint sample of all of them: the smallest objective among those whose sampled constraints are kept,
    or, if there are none, the smallest total violation. The region is a cube around the best feasible point, or the
    one of least total violation; its settings are those of TuRBO. The objective passes a Gaussian copula, the
    constraints the bilog function, as in the paper; all are standardised.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        constraints=True, discrete=True, max_dimension=200, horizon=True, asynchronous=True, batches=True
    )
    reference: ClassVar[str] = (
        "D. Eriksson and M. Poloczek, Scalable Constrained Bayesian Optimization, AISTATS 2021, PMLR 130:730-738, "
        "arXiv:2002.08526"
    )

    def sampled(self, x: torch.Tensor, y: torch.Tensor, c: torch.Tensor, count: int) -> torch.Tensor:
        """The winner of each of so many joint samples of objective and constraints, no candidate twice."""
        points = self.region(count)
        goal, limits = Standard.of(copula(y)[:, None]), Standard.of(bilog(c))
        first, *others = self.models(x, torch.cat([goal.values, limits.values], dim=1).T, LOCAL)
        objective = first.draw(points, count)
        violated = torch.zeros_like(objective)
        for model, mean, deviation in zip(others, limits.mean, limits.deviation, strict=True):
            violated += (model.draw(points, count) * deviation + mean).clamp(min=0)
        chosen: list[int] = []
        for value, excess in zip(objective, violated, strict=True):
            excess[chosen] = torch.inf
            score = torch.where(excess > 0, torch.inf, value) if (excess <= 0).any() else excess
            chosen.append(int(score.argmin()))
        return points[chosen]
