"""Optimizers that maximise an acquisition function of a global model."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.quasirandom import SobolEngine

from snnbench.algorithm import Task
from snnbench.algorithms.bayesian.gaussian_process import dimension_scaled
from snnbench.algorithms.bayesian.outcomes import Standard, bilog, finite
from snnbench.algorithms.bayesian.search import FRESH, BayesianOptimizer
from snnbench.algorithms.bayesian.unit_box import UnitBox
from snnbench.parameters import param

RELAXED_FROM = 20
"""Bins above which an integer is searched as a real number and rounded."""

STEPS = 50
"""Most steps of L-BFGS-B on an acquisition function."""

ROUNDS = 40
FINEST = 2.0**-10
"""Most rounds of a local search, and the step below which it ends."""


@dataclass(frozen=True)
class ModelParameters:
    """Parameters of the optimizers with a global model and an acquisition function."""

    initial_points: int | None = param(
        None,
        "points before the first model; by default 2 (d + 1), at most a quarter of the budget",
        low=2,
        source="BoTorch tutorials: 2 (d + 1)",
    )
    batch: int | None = param(
        None,
        "candidates per generation; by default 1, or as many as --eval-workers evaluates at once",
        low=1,
        source="ours",
    )
    observations: int = param(500, "largest number of evaluations a model is fitted to", low=10, source="ours")
    restarts: int = param(10, "starting points of the acquisition's maximisation", low=1, source="BoTorch tutorials")
    raw_samples: int = param(
        512, "Sobol points from which the starting points are chosen", low=1, source="BoTorch tutorials"
    )
    samples: int = param(128, "posterior samples of the acquisition function", low=1, source="BoTorch tutorials")


@dataclass
class Model:
    """Everything an acquisition function is built from.

    Attributes
    ----------
    gps
        BoTorch model of all outcomes: objectives, to be maximised, then constraints.
    x
        Points (n, d) it was fitted to.
    goals
        What the objectives were there, (n, m), negated and standardised.
    feasible
        Which of them keep all constraints, (n,) bool.
    constraints
        For BoTorch: functions of samples (..., m + k) that are negative where a constraint is kept.
    """

    gps: Any
    x: torch.Tensor
    goals: Standard
    feasible: torch.Tensor
    constraints: list[Callable[[torch.Tensor], torch.Tensor]] | None


class AcquisitionOptimizer(BayesianOptimizer):
    """Base class: models every outcome by a Gaussian process of its own and maximises an acquisition function.

    Candidates of a batch are chosen one after the other, each as if the earlier ones and all pending ones were being
    evaluated. Spaces of real numbers are searched by gradients (`optimize_acqf`), others by `local_search`. Where a
    problem is deterministic and the maximum is a point that was evaluated before, the best of
    256 random points takes its place.
    """

    Parameters: ClassVar[type] = ModelParameters
    requires: ClassVar[tuple[str, ...]] = ("botorch",)
    extra: ClassVar[str] = "bayes"

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.prior = dimension_scaled(len(self.box.ordinal))

    @abstractmethod
    def acquisition(self, model: Model, pending: torch.Tensor | None, sampler: Any) -> Any:
        """BoTorch acquisition function of single points, given pending points (p, d)."""

    def suggest(self, count: int) -> torch.Tensor:
        from botorch.sampling import SobolQMCNormalSampler

        model, pending = self._model(), self.waiting
        chosen = torch.empty(0, self.box.dimension, dtype=torch.float64)
        for _ in range(count):
            sampler = SobolQMCNormalSampler(torch.Size([self.parameters.samples]))
            others = torch.cat([pending, chosen])
            function = self.acquisition(model, others if len(others) else None, sampler)
            best = self.box.snap_(maximum(function, self.box, self.parameters.restarts, self.parameters.raw_samples))
            if not self.unseen(best)[0] or (chosen == best).all(dim=1).any():
                best = self._another(function, chosen, best)
            chosen = torch.cat([chosen, best])
        return chosen

    def _model(self) -> Model:
        from botorch.models import ModelListGP

        rows = self.newest_and_best(self.parameters.observations)
        x, m = self.x[rows], self.y.shape[1]
        goals, limits = Standard.of(-finite(self.y)[rows]), Standard.of(bilog(finite(self.c)[rows]))
        columns = torch.cat([goals.values, limits.values], dim=1).T
        gps = ModelListGP(*(model.for_botorch() for model in self.models(x, columns, self.prior)))
        constraints = [excess(m + i, float(zero)) for i, zero in enumerate(limits.zero)]
        feasible = ((self.c[rows] <= 0).all(dim=1)) & self.y[rows].isfinite().all(dim=1)
        return Model(gps.eval(), x, goals, feasible, constraints or None)

    def _another(self, function: Any, chosen: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
        points = self.scattered(FRESH)
        points = points[self.unseen(points)]
        if len(chosen) and len(points):
            points = points[~(points[:, None] == chosen[None]).all(dim=2).any(dim=1)]
        if not len(points):
            return best  # every point of a small space was evaluated
        with torch.no_grad():
            return points[function(points[:, None]).argmax()][None]


def excess(outcome: int, limit: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """How far an outcome among samples (..., m + k) is above its limit."""
    return lambda samples: samples[..., outcome] - limit


def maximum(function: Any, box: UnitBox, restarts: int, raw_samples: int) -> torch.Tensor:
    """The best point found (1, d) of an acquisition function over the unit box, integers and categories snapped."""
    from botorch.optim import optimize_acqf

    if box.bins:
        return local_search(function, box, restarts, raw_samples)
    bounds = torch.stack([torch.zeros(box.dimension), torch.ones(box.dimension)]).double()
    point, _ = optimize_acqf(
        function, bounds, q=1, num_restarts=restarts, raw_samples=raw_samples, options={"maxiter": STEPS}
    )
    return point.detach()


def local_search(function: Any, box: UnitBox, restarts: int, raw_samples: int) -> torch.Tensor:
    """Maximise an acquisition function over a mixed space; the best point found (1, d).

    From the best of the Sobol points, every round moves each of them to the best of its neighbours if that is better:
    points that differ in one coordinate, and points that differ in all real ones. Real numbers and integers of more
    than 20 values move by normal steps, other integers to the next, categories anywhere. The step halves when no
    point moves; the search ends below 2^-10, or after 40 rounds. Without gradients, since BoTorch's alternation of
    gradient and neighbourhood search costs about ten times as much for the same maxima.
    """
    with torch.no_grad():
        points = box.snap_(SobolEngine(box.dimension, scramble=True).draw(raw_samples, dtype=torch.float64))
        values = function(points[:, None])
        top = values.topk(min(restarts, raw_samples)).indices
        points, values, step = points[top], values[top], 0.1
        for _ in range(ROUNDS):
            near = torch.stack([neighbourhood(point, box, step) for point in points])
            around = function(near.reshape(-1, 1, box.dimension)).reshape(len(points), -1)
            best, place = around.max(dim=1)
            moves = best > values
            points[moves], values[moves] = near[moves, place[moves]], best[moves]
            if not moves.any():
                step /= 2
                if step < FINEST:
                    break
        return points[values.argmax()][None]


def neighbourhood(point: torch.Tensor, box: UnitBox, step: float) -> torch.Tensor:
    """Neighbours (n, d) of a snapped point (d,) of a mixed space, as `local_search` has them."""
    smooth = [i for i in box.ordinal if i not in box.bins or len(box.bins[i]) > RELAXED_FROM]
    below, above = box.neighbours(point)
    rows = []
    for i in range(box.dimension):
        if i in smooth:
            values = (point[i] + step * torch.randn(2, dtype=torch.float64)).clamp(0, 1)
        else:
            values = box.bins[i] if i in box.categories else torch.stack([below[i], above[i]])
        changed = point.repeat(len(values), 1)
        changed[:, i] = values
        rows.append(changed)
    if smooth:
        changed = point.repeat(2 * len(smooth), 1)
        changed[:, smooth] += step * torch.randn(len(changed), len(smooth), dtype=torch.float64)
        rows.append(changed.clamp_(0, 1))
    return box.snap_(torch.cat(rows))
