"""Multi-objective Bayesian optimization with random scalarisations."""

from typing import Any, ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.bayesian import AcquisitionOptimizer
from snnbench.algorithms.bayesian.acquisition import Model


class QParEGO(AcquisitionOptimizer):
    """qNParEGO: expected improvement of random Chebyshev scalarisations.

    Every candidate has a scalarisation of its own: weights drawn uniformly from the simplex, and the augmented
    Chebyshev function of the objectives scaled to the range observed. What is maximised is the noisy expected
    improvement of that (qLogNParEGO), over the feasible points.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None,
        min_objectives=2,
        constraints=True,
        discrete=True,
        max_dimension=100,
        horizon=True,
        batches=True,
        asynchronous=True,
    )
    reference: ClassVar[str] = (
        "S. Daulton, M. Balandat and E. Bakshy, Differentiable Expected Hypervolume Improvement for Parallel "
        "Multi-Objective Bayesian Optimization, NeurIPS 2020, arXiv:2006.05078; J. Knowles, ParEGO: A Hybrid Algorithm "
        "With On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems, IEEE Transactions on "
        "Evolutionary Computation 10(1):50-66, 2006; S. Ament et al., NeurIPS 2023, arXiv:2310.20708"
    )

    def acquisition(self, model: Model, pending: torch.Tensor | None, sampler: Any) -> Any:
        """The expected improvement of a new random scalarisation at single points, given pending points."""
        from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
        from botorch.acquisition.multi_objective.parego import qLogNParEGO

        return qLogNParEGO(
            model.gps,
            model.x,
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(model.goals.values.shape[1]))),
            sampler=sampler,
            constraints=model.constraints,
            X_pending=pending,
            prune_baseline=True,
        )
