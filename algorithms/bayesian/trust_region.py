"""Optimizers that sample Gaussian processes inside one trust region, which grows, shrinks and restarts."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.quasirandom import SobolEngine

from snnbench.algorithm import Evaluations, Task
from snnbench.algorithms.bayesian.outcomes import finite, order, violation
from snnbench.algorithms.bayesian.search import FRESH, BayesianOptimizer
from snnbench.parameters import param

PAPER = "Eriksson et al. 2019"
PERTURBED = 20
"""Coordinates of the centre that a candidate changes, on average, in a high-dimensional region (Eriksson et al.)."""

GAIN = 1e-3
"""Share of its own magnitude by which the best objective must fall to count as a success (released code of TuRBO)."""


@dataclass(frozen=True)
class TrustRegionParameters:
    """Parameters of the optimizers with a trust region; lengths are shares of the box's width."""

    initial_points: int | None = param(
        None,
        "points of every (re)start; by default 2 (d + 1), at most a quarter of the budget",
        low=2,
        source="TuRBO's released code recommends 2 d",
    )
    batch: int | None = param(
        None,
        "candidates per generation; by default 1, or as many as --eval-workers evaluates at once",
        low=1,
        source="ours",
    )
    observations: int = param(
        500, "largest number of evaluations a model is fitted to, those nearest to the centre", low=10, source="ours"
    )
    length: float = param(0.8, "initial length of the trust region", low=1e-6, high=2, source=PAPER)
    length_min: float = param(2.0**-7, "length below which the search restarts", low=1e-9, high=2, source=PAPER)
    length_max: float = param(1.6, "largest length", low=1e-6, high=10, source=PAPER)
    successes: int = param(3, "successes in a row that double the length", low=1, source=PAPER)
    failures: int | None = param(
        None, "failures in a row that halve it; by default ceil(max(4, d) / batch)", low=1, source="released code"
    )
    candidates: int | None = param(
        None,
        "points that samples are compared on; by default min(5000, max(2000, 200 d))",
        low=10,
        source="BoTorch tutorials",
    )


class TrustRegionOptimizer(BayesianOptimizer):
    """Base class: Thompson sampling within a trust region around the best point.

    Successes and failures are counted per generation. In an asynchronous run, whose generations are single
    candidates, the counting is per candidate told, and every candidate is an independent sample of the posterior, so
    that pending ones need no model (asynchronous Thompson sampling, Kandasamy et al., AISTATS 2018); a pending point
    is not asked again. Results of a search that has ended in the meantime are recorded, and not used by the next.

    Mixed spaces: candidates are moved to the centres of their bins. The region reaches at least to the neighbouring
    integers, or a small one would freeze them; categories have no neighbours, so one that is perturbed is redrawn
    with a probability of the region's length.
    """

    Parameters: ClassVar[type] = TrustRegionParameters
    requires: ClassVar[tuple[str, ...]] = ("botorch",)
    extra: ClassVar[str] = "bayes"
    state: ClassVar[tuple[str, ...]] = (*BayesianOptimizer.state, "length", "won", "lost")

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.length, self.won, self.lost = float(self.parameters.length), 0, 0
        self.centre = torch.full((task.space.dimension,), 0.5, dtype=torch.float64)

    @abstractmethod
    def sampled(self, x: torch.Tensor, y: torch.Tensor, c: torch.Tensor, count: int) -> torch.Tensor:
        """The winners (count, d) of so many samples, from the region's data (n, d), (n,) and (n, k), finite."""

    @property
    def patience(self) -> int:
        """Failures in a row that halve the region."""
        limit: int | None = self.parameters.failures
        return limit or math.ceil(max(4, self.task.space.dimension) / self.batch)

    @property
    def candidates(self) -> int:
        """Points of the region that samples are compared on: min(5000, max(2000, 200 d))."""
        size: int | None = self.parameters.candidates
        return size or min(5000, max(2000, 200 * self.task.space.dimension))

    def before_ask(self) -> None:
        if self.length < self.parameters.length_min:
            self.restart()
            self.length, self.won, self.lost = float(self.parameters.length), 0, 0
        self.notes = {"length": self.length, "restarts": float(self.search)}

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        """Remember what candidates are worth, and whether the best point was improved."""
        before = len(self.x)
        super().tell(x, evaluations)
        current = self.searches == self.search
        fresh = current & self.suggested
        fresh[:before] = False
        current[before:] = False
        if not fresh.any() or not current.any():
            return
        if self._improves(fresh, current):
            self.won, self.lost = self.won + 1, 0
        else:
            self.won, self.lost = 0, self.lost + 1
        if self.won == self.parameters.successes:
            self.length, self.won = min(2 * self.length, self.parameters.length_max), 0
        elif self.lost == self.patience:
            self.length, self.lost = self.length / 2, 0

    def suggest(self, count: int) -> torch.Tensor:
        x, y, c = (values[self.searches == self.search] for values in (self.x, self.y, self.c))
        centre = x[order(y[:, 0], c)[0]]
        if len(x) > self.parameters.observations:
            near = (x - centre).square().sum(dim=1).argsort(stable=True)[: self.parameters.observations]
            x, y, c = (values[near.sort().values] for values in (x, y, c))
        self.centre = centre
        return self.sampled(x, finite(y)[:, 0], finite(c), count)

    def region(self, count: int, scales: torch.Tensor | None = None) -> torch.Tensor:
        """At least `count` points (n, d) of the trust region that were not asked before, unless there are none.

        Sobol points of the region; each coordinate is taken from them with a probability of min(20 / d, 1) and is the
        centre's otherwise, with at least one taken.

        Parameters
        ----------
        count
            How many are returned.
        scales
            Relative lengths of the region's sides (d,); all 1 if omitted.
        """
        d, n = self.box.dimension, max(count, self.candidates)
        half = self.length / 2 * (torch.ones(d) if scales is None else scales).double()
        below, above = self.box.neighbours(self.centre)
        lower = torch.minimum((self.centre - half).clamp(min=0), below)
        upper = torch.maximum((self.centre + half).clamp(max=1), above)
        drawn = SobolEngine(d, scramble=True).draw(n, dtype=torch.float64)
        points = lower + (upper - lower) * drawn
        mask = torch.rand(n, d) <= min(1.0, PERTURBED / d)
        if self.box.categories:
            points[:, self.box.categories] = drawn[:, self.box.categories]
            mask[:, self.box.categories] &= torch.rand(n, len(self.box.categories)) < self.length
        untouched = (~mask.any(dim=1)).nonzero()[:, 0]
        mask[untouched, torch.randint(d, (len(untouched),))] = True
        points = self.box.snap_(torch.where(mask, points, self.centre))
        points = points[self.unseen(points)]
        if not self.box.bins:
            return points
        points = points.unique(dim=0)
        if len(points) < count:  # a discrete region is exhausted: look around outside
            others = self.scattered(FRESH)
            points = torch.cat([points, others[self.unseen(others)]]).unique(dim=0)
        return points if len(points) >= count else torch.cat([points, self.scattered(count)])

    def _improves(self, fresh: torch.Tensor, current: torch.Tensor) -> bool:
        """Whether the best of the rows `fresh` is better than the best of the rows `current` (masks)."""
        (value, excess), (best, least) = (self._best(rows) for rows in (fresh, current))
        if excess > 0 or least > 0:
            return excess < least
        return value < best - GAIN * abs(best)

    def _best(self, rows: torch.Tensor) -> tuple[float, float]:
        """Objective and violation of the best of some rows; a failed candidate violates infinitely."""
        y, c = self.y[rows, 0], self.c[rows]
        first = order(y, c)[0]
        excess = violation(c)[first]
        return float(y[first]), float(excess) if y[first].isfinite() else math.inf
