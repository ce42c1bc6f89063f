"""Multi-objective Bayesian optimization with the expected hypervolume improvement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.bayesian import AcquisitionOptimizer
from snnbench.algorithms.bayesian.acquisition import Model


class QNEHVI(AcquisitionOptimizer):
    """qNEHVI: noisy expected hypervolume improvement, 2 to 4 objectives.

    What is maximised is the logarithm of the expected improvement of the feasible hypervolume
    (qLogNoisyExpectedHypervolumeImprovement). The reference point follows the data: the nadir of the feasible Pareto
    front observed (of all points, as long as none is feasible) moved outwards by a tenth of its range
    (`infer_reference_point` of BoTorch). It is recorded.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=4,
        min_objectives=2,
        constraints=True,
        discrete=True,
        max_dimension=100,
        horizon=True,
        batches=True,
        asynchronous=True,
    )
    reference: ClassVar[str] = (
        "S. Daulton, M. Balandat and E. Bakshy, Parallel Bayesian Optimization of Multiple Noisy Objectives with "
        "Expected Hypervolume Improvement, NeurIPS 2021, arXiv:2105.08195; S. Ament et al., NeurIPS 2023, "
        "arXiv:2310.20708"
    )

    def suggest(self, count: int) -> torch.Tensor:
        """New candidates (count, d), by BoTorch's Python code."""
        with uncompiled():
            return super().suggest(count)

    def acquisition(self, model: Model, pending: torch.Tensor | None, sampler: Any) -> Any:
        """The expected hypervolume improvement of single points, given pending points."""
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
        from botorch.utils.multi_objective.hypervolume import infer_reference_point
        from botorch.utils.multi_objective.pareto import is_non_dominated

        rows = model.feasible if model.feasible.any() else torch.ones_like(model.feasible)
        values = model.goals.values[rows]
        reference = infer_reference_point(values[is_non_dominated(values)])
        self.notes = {f"reference_{i}": value for i, value in enumerate((-model.goals.original(reference)).tolist())}
        return qLogNoisyExpectedHypervolumeImprovement(
            model.gps,
            reference,
            model.x,
            objective=IdentityMCMultiOutputObjective(outcomes=list(range(model.goals.values.shape[1]))),
            sampler=sampler,
            constraints=model.constraints,
            X_pending=pending,
            prune_baseline=True,
        )


@contextmanager
def uncompiled() -> Iterator[None]:
    """Keep BoTorch from building a C++ extension for this acquisition function when it is first used.

    That takes minutes, writes to the user's home, hangs if an earlier build was interrupted (a lock file stays), and
    would make candidates depend, in the last digits, on whether the machine has a compiler.
    """
    from botorch.acquisition.multi_objective import logei

    names = {"_load_attempted": True, "_C": None}
    before = {name: getattr(logei, name) for name in names if hasattr(logei, name)}
    try:
        for name in before:
            setattr(logei, name, names[name])
        yield
    finally:
        for name, value in before.items():
            setattr(logei, name, value)
