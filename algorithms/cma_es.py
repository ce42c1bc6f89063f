"""Covariance matrix adaptation (CMA-ES) by pycma, with the full and with the diagonal covariance matrix."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, State, Task
from snnbench.algorithms.evolution_strategies import initial_step
from snnbench.parameters import param


@dataclass(frozen=True)
class CMAParameters:
    """Parameters of `CMAES` and `SeparableCMAES`."""

    population: int | None = param(
        None, "candidates per generation, lambda; by default 4 + 3 ln d", low=4, source="Hansen 2016, table 1"
    )
    sigma_spread: float = param(
        0.3,
        "initial step size where weights have an initial design, as a share of its spread",
        low=1e-9,
        source="ours, tuned on sew-digits, seeds 1-2",
    )
    sigma_box: float = param(
        0.3, "initial step size elsewhere, as a share of the box's width", low=1e-9, high=1, source="Hansen 2016: 0.3"
    )


class CMAES(Algorithm):
    """CMA-ES with full covariance matrix (pycma), up to 300 dimensions.

    The problem's initial design is evaluated first, up to one generation of it, and the search starts from its best
    point; not from the average, since separately trained networks do not average into a useful one. For network
    weights the initial step size is `sigma_spread` times the root mean square distance per coordinate from the other
    points of the design to the best (0.01 of the box if it is a single point). Where there is no design the start
    is uniform in the box, and there and in spaces without weights the initial step size is `sigma_box` times the
    box's width.

    Points outside the box are reflected at its surface, as often as needed, before they are evaluated; pycma is told
    the point it drew. The objective continued by reflection has no plateau outside the box that could mislead the
    step size, and where nothing leaves the box this is plain pycma. (pycma's own transformation bends the outer 5 %
    of each coordinate and costs more than the rest at 20,000 dimensions.)

    Where pycma would stop before the budget ends, except for a flat fitness, which is ordinary if the objective is
    an error rate, the search begins anew from the next best point of the initial design, or from a new random one.

    At 300 dimensions a candidate costs pycma 0.5 ms of one core and at 500 1.1 ms, growing with d^2 (measured, cma
    4.5.0), while the covariance takes some d^2 evaluations to learn: hence the limit. The saved state holds the
    fitness values told so far, from which loading replays the search: that takes as long as pycma took until then.
    """

    family: ClassVar[str] = "evolution strategy"
    capabilities: ClassVar[Capabilities] = Capabilities(max_dimension=300, min_dimension=2)
    Parameters: ClassVar[type] = CMAParameters
    reference: ClassVar[str] = (
        "N. Hansen, The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772, 2016; "
        "N. Hansen, Y. Akimoto and P. Baudis, CMA-ES/pycma, doi:10.5281/zenodo.2559634"
    )
    diagonal: ClassVar[bool] = False

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        box = (bound.double().numpy() for bound in (task.space.lower, task.space.upper))
        self.lower, self.upper = box
        self._reset(seed)

    def ask(self) -> torch.Tensor:
        if not self.told:
            design = self._design()
            if len(design):
                return design
        drawn = self._draw()
        x = torch.empty(len(drawn), self.task.space.dimension, dtype=self.task.dtype)
        for row, point in zip(x, drawn, strict=True):
            row.copy_(torch.from_numpy(reflect(point, self.lower, self.upper)))
        return self.task.space.clip_(x).to(self.task.device)

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        self._learn(evaluations.fitness.tolist())

    def state_dict(self) -> State:
        return super().state_dict() | {"seed": self.seed, "told": torch.tensor(self.told, dtype=torch.float64)}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._reset(state["seed"])
        told = state["told"].tolist()
        while len(self.told) < len(told):
            first = 0 if self.told else len(self._design())
            size = first or len(self._draw())
            self._learn(told[len(self.told) : len(self.told) + size])

    def _reset(self, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.told: list[float] = []
        self.worst = 0.0
        self.starts: list[tuple[np.ndarray, float]] = []
        self.restarts = 0
        self.strategy: Any = None
        self.drawn: list[np.ndarray] = []

    def _population(self) -> int:
        size: int | None = self.parameters.population
        return size or 4 + int(3 * np.log(self.task.space.dimension))

    def _design(self) -> torch.Tensor:
        design = self.task.initial(self._population()).to(self.task.device, self.task.dtype, copy=True)
        return self.task.space.clip_(design)

    def _draw(self) -> list[np.ndarray]:
        if self.strategy is None:
            self.strategy = self._start()
        with warnings.catch_warnings():  # pycma's advice to people who run it by hand
            warnings.simplefilter("ignore")
            self.drawn = self.strategy.ask()
        return self.drawn

    def _learn(self, fitness: list[float]) -> None:
        designed = not self.told and not self.drawn
        self.told += fitness
        if designed:
            self.starts = self._starts(np.array(fitness))
            return
        if len(fitness) < len(self.drawn):
            return  # the budget ends within this generation
        values = np.array(fitness)
        finite = values[np.isfinite(values)]
        self.worst = float(max(self.worst, finite.max(initial=self.worst)))
        # pycma only ranks; a failed candidate ranks behind every other one
        values[~np.isfinite(values)] = self.worst + max(1.0, abs(self.worst))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.strategy.tell(self.drawn, values.tolist())
            if self.strategy.stop():
                self._ended(self.strategy)
                self.strategy = None
                self.restarts += 1

    def _ended(self, strategy: Any) -> None:
        """Called when pycma stops a run."""
        return None

    def _starts(self, fitness: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Points to start from, best first, and the initial step size from each, in widths of the box."""
        design = self._design()[: len(fitness)].double().cpu().numpy()
        width, order = self.upper - self.lower, np.argsort(fitness, kind="stable")
        starts = []
        for first in order.tolist():
            squares = [float((((row - design[first]) / width) ** 2).mean()) for row in design]
            step = initial_step(self.task, squares, self.parameters.sigma_spread, self.parameters.sigma_box)
            starts.append((design[first].copy(), step))
        return starts

    def _restart(self) -> tuple[np.ndarray, float, dict[str, Any]]:
        """Where the next run starts, its initial step size in widths of the box, and options of pycma for it."""
        if self.starts:
            mean, step = self.starts[self.restarts % len(self.starts)]
        else:
            mean, step = self._anywhere(), self.parameters.sigma_box
        return mean, step, {"popsize": self._population(), "maxiter": np.inf, "tolflatfitness": np.inf}

    def _anywhere(self) -> np.ndarray:
        return self.lower + (self.upper - self.lower) * self.rng.random(self.task.space.dimension)

    def _start(self) -> Any:
        import cma  # takes a second to import

        mean, step, chosen = self._restart()
        width = self.upper - self.lower
        scalar = np.ndim(width) == 0
        options = {
            "CMA_diagonal": self.diagonal,
            "maxstd": float(width) / 3 if scalar else width / 3,  # pycma's own limit where it knows of bounds
            "randn": lambda *shape: self.rng.standard_normal(shape),
            "seed": np.nan,  # leaves numpy's global generator alone
            "signals_filename": None,
            "verbose": -9,
            "verb_disp": 0,
            "verb_log": 0,
        } | chosen
        if not scalar:
            options["CMA_stds"] = width
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            strategy = cma.CMAEvolutionStrategy(mean, step * float(width) if scalar else step, options)
        # A self-check of pycma's, used from 300 dimensions on, draws from numpy's global generator.
        strategy.adapt_sigma.check_consistency = lambda _: None
        return strategy


class SeparableCMAES(CMAES):
    """CMA-ES with diagonal covariance matrix (pycma), up to 1e6 dimensions.

    The same as `CMAES` otherwise. Time and memory grow with d only: at 20,000 dimensions a candidate costs 2.3 ms of
    one core, at 1e6 0.3 s, and pycma holds 2.7 GB (measured, cma 4.5.0), which sets the limit.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(max_dimension=1_000_000, min_dimension=2)
    reference: ClassVar[str] = (
        "R. Ros and N. Hansen, A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity, PPSN X, "
        "LNCS 5199:296-305, 2008; N. Hansen, Y. Akimoto and P. Baudis, CMA-ES/pycma, doi:10.5281/zenodo.2559634"
    )
    diagonal: ClassVar[bool] = True


def reflect(point: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """A point (d,) moved into the box by reflection at its surface; unchanged where it is inside."""
    outside = (point < lower) | (point > upper)
    if not outside.any():
        return point
    width = upper - lower
    phase = np.mod(point - lower, 2 * width)
    return np.where(outside, lower + np.minimum(phase, 2 * width - phase), point)
