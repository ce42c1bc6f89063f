"""What every optimizer with a Gaussian process does: an initial design, data, pending candidates, a saved state."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch.quasirandom import SobolEngine

from snnbench.algorithm import Algorithm, Evaluations, State, Task
from snnbench.algorithms.bayesian.gaussian_process import GaussianProcess, Prior
from snnbench.algorithms.bayesian.isolation import isolated
from snnbench.algorithms.bayesian.outcomes import Standard, finite, order
from snnbench.algorithms.bayesian.unit_box import UnitBox
from snnbench.algorithms.initial_design import fill

FRESH = 256
"""Random points among which one that was not evaluated before is looked for."""

COLD = 10
"""Every so many fits, hyperparameters start from their defaults, not from the last ones."""


class BayesianOptimizer(Algorithm):
    """Base class: evaluates an initial design, then what `suggest` finds from all that was told.

    The initial design is the problem's own, then scrambled Sobol points (perturbed copies of the design in a space
    of weights, where uniform points are worthless; see `fill`). In an ordinary run all of it is one generation and
    later generations have `batch` candidates; in an asynchronous run every `ask` is one candidate.

    A subclass has the parameters ``initial_points`` and ``batch`` and implements `suggest`. Its models see the unit
    box (`UnitBox`) in float64 on the CPU, whatever the task's device. They are fitted in every `ask`, from the data,
    a seed drawn from `generator`, and the hyperparameters of the `ask` before: the same optimum at a quarter of the
    cost. Every tenth fit starts from the default ones instead.

    Attributes
    ----------
    x, y, c : torch.Tensor
        What was told, in that order: points (n, d) of the unit box, objectives (n, m), constraints (n, k); float64.
    searches, suggested : torch.Tensor
        The number of the search (counted over restarts) that each told point belongs to, (n,) int64, and whether a
        model suggested it, (n,) bool.
    waiting : torch.Tensor
        Points (p, d) that were asked and not told yet; likewise ``waiting_*``.
    queue : torch.Tensor
        Points (q, d) of the space, in the task's type, to be asked before any is suggested.
    search : int
        Number of the current search.
    hyper : torch.Tensor
        Hyperparameters (outcomes, p) of the models fitted last; `fits` counts how often.
    """

    family: ClassVar[str] = "Bayesian"
    state: ClassVar[tuple[str, ...]] = (
        *("x", "y", "c", "searches", "suggested"),
        *("waiting", "waiting_numbers", "waiting_searches", "waiting_suggested"),
        *("queue", "asked", "search", "hyper", "fits"),
    )

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.box = UnitBox(task.space)
        d = task.space.dimension
        self.x = torch.empty(0, d, dtype=torch.float64)
        self.y = torch.empty(0, len(task.objectives), dtype=torch.float64)
        self.c = torch.empty(0, task.constraints, dtype=torch.float64)
        self.searches = torch.empty(0, dtype=torch.int64)
        self.suggested = torch.empty(0, dtype=torch.bool)
        self.waiting = torch.empty(0, d, dtype=torch.float64)
        self.waiting_numbers = torch.empty(0, dtype=torch.int64)
        self.waiting_searches = torch.empty(0, dtype=torch.int64)
        self.waiting_suggested = torch.empty(0, dtype=torch.bool)
        self.queue = torch.empty(0, d, dtype=task.dtype, device=task.device)
        self.asked = 0
        self.search = 0
        self.hyper = torch.empty(0, 0, dtype=torch.float64)
        self.fits = 0
        self.notes: dict[str, float] = {}
        self._noted = 0

    @abstractmethod
    def suggest(self, count: int) -> torch.Tensor:
        """New candidates (count, d) of the unit box, from at least two told points of the current search."""

    @property
    def batch(self) -> int:
        """Candidates suggested at once."""
        if self.task.asynchronous:
            return 1
        size: int = self.parameters.batch or max(1, self.task.workers)
        return size

    @property
    def design_size(self) -> int:
        """Points of an initial design: by default 2 (d + 1), at most a quarter of the budget, at least 2."""
        size: int | None = self.parameters.initial_points
        return size or max(2, min(2 * (self.task.space.dimension + 1), self.task.budget // 4))

    def ask(self) -> torch.Tensor:
        """The next points of the initial design, or suggestions."""
        if not self.asked:
            self.queue = self._design()
        self.notes = {}
        self.before_ask()
        from_queue = len(self.queue) > 0
        if from_queue:
            count = 1 if self.task.asynchronous else len(self.queue)
            x, self.queue = self.queue[:count].clone(), self.queue[count:].clone()
        else:
            with isolated(self._seed()):
                enough = int((self.searches == self.search).sum()) >= 2
                unit = self.suggest(self.batch) if enough else self.scattered(self.batch)
            x = self.box.native(unit, self.queue)
        n = len(x)
        self.waiting = torch.cat([self.waiting, self.box.unit(x)])
        self.waiting_numbers = torch.cat([self.waiting_numbers, torch.arange(self.asked, self.asked + n)])
        self.waiting_searches = torch.cat([self.waiting_searches, torch.full((n,), self.search)])
        self.waiting_suggested = torch.cat([self.waiting_suggested, torch.full((n,), not from_queue)])
        self.asked += n
        self._noted = n
        return x

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        """Remember what candidates are worth."""
        n = len(x)
        if self.task.asynchronous:
            rows = torch.tensor(
                [int((self.waiting_numbers == number).nonzero()[0, 0]) for number in evaluations.candidates.tolist()]
            )
        else:
            rows = torch.arange(n)
        self.x = torch.cat([self.x, self.box.unit(x)])
        self.y = torch.cat([self.y, evaluations.objectives.double().cpu()])
        self.c = torch.cat([self.c, evaluations.constraints.double().cpu()])
        self.searches = torch.cat([self.searches, self.waiting_searches[rows]])
        self.suggested = torch.cat([self.suggested, self.waiting_suggested[rows]])
        stays = torch.ones(len(self.waiting), dtype=torch.bool)
        stays[rows] = False
        self.waiting, self.waiting_numbers = self.waiting[stays], self.waiting_numbers[stays]
        self.waiting_searches, self.waiting_suggested = self.waiting_searches[stays], self.waiting_suggested[stays]

    def before_ask(self) -> None:
        """Hook of subclasses that restart."""

    def annotations(self) -> dict[str, np.ndarray]:
        return {name: np.full(self._noted, value) for name, value in self.notes.items()}

    def state_dict(self) -> State:
        return {
            name: value.clone() if isinstance(value, torch.Tensor) else value
            for name, value in super().state_dict().items()
        }

    def restart(self) -> None:
        """Begin a new search from a new design, which leaves out the problem's own."""
        self.search += 1
        self.fits = 0
        known = self.task.initial(self.design_size)
        self.queue = self._filled(known, len(known) + self.design_size)[len(known) :].clone()

    def models(self, x: torch.Tensor, columns: torch.Tensor, prior: Prior) -> list[GaussianProcess]:
        """A Gaussian process of each outcome: points (n, d), and standardised outcomes (m, n)."""
        starts: list[torch.Tensor | None] = [None] * len(columns)
        if self.fits % COLD:
            starts = list(self.hyper)
        fitted = [
            GaussianProcess(x, column, self.box, prior, start) for column, start in zip(columns, starts, strict=True)
        ]
        self.hyper = torch.stack([model.theta for model in fitted])
        self.fits += 1
        return fitted

    def newest_and_best(self, largest: int) -> torch.Tensor:
        """Rows of told points to fit models to: all if at most so many, else half the best and the rest the newest."""
        n = len(self.x)
        if n <= largest:
            return torch.arange(n)
        best = order(Standard.of(finite(self.y)).values.sum(dim=1), self.c)[: largest // 2]
        others = torch.ones(n, dtype=torch.bool)
        others[best] = False
        newest = others.nonzero()[:, 0][-(largest - len(best)) :]
        return torch.cat([best, newest]).sort().values

    def scattered(self, count: int) -> torch.Tensor:
        """Scrambled Sobol points (count, d) of the unit box."""
        if not count:  # which torch does not draw
            return torch.empty(0, self.box.dimension, dtype=torch.float64)
        return self.box.snap_(SobolEngine(self.box.dimension, scramble=True).draw(count, dtype=torch.float64))

    def unseen(self, u: torch.Tensor) -> torch.Tensor:
        """Which of the points (n, d) were never asked, (n,) bool; all, if evaluating a point again may tell more."""
        if self.task.noisy:
            return torch.ones(len(u), dtype=torch.bool)
        known = {row.tobytes() for row in torch.cat([self.x, self.waiting]).numpy()}
        rounded = self.box.unit(self.box.native(u, self.queue))
        return torch.tensor([row.tobytes() not in known for row in rounded.numpy()], dtype=torch.bool)

    def _design(self) -> torch.Tensor:
        return self._filled(self.task.initial(self.design_size), self.design_size)

    def _filled(self, design: torch.Tensor, size: int) -> torch.Tensor:
        design = design.to(self.task.device, self.task.dtype, copy=True)
        if len(design) and self.box.holds_weights:
            return fill(self.task, design, size, self.generator)
        with isolated(self._seed()):
            points = self.scattered(max(0, size - len(design)))
        return torch.cat([self.task.space.clip_(design), self.box.native(points, self.queue)])[:size]

    def _seed(self) -> int:
        return int(torch.randint(2**31 - 1, (1,), generator=self.generator, device=self.generator.device))
