"""What a benchmark problem is: a space, an initial design, and a measurement that yields objectives and metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from snnbench.data.folders import default_cache
from snnbench.errors import UsageError, unknown
from snnbench.evaluations import Evaluations
from snnbench.parameters import NoParameters
from snnbench.space import SearchSpace

Split = Literal["search", "validation", "test"]
Progress = Callable[[str, int, int], None]


def silent_progress(stage: str, done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


@dataclass(frozen=True)
class Context:
    """Where and on what a problem works.

    Attributes
    ----------
    device
        The device of networks, data and candidates.
    data_dir
        Folder the user named with ``--data-dir``: looked into first, and trusted to be what the user wants even
        if its checksum is not the official one (then the record says so).
    cache_dir
        Where downloads and checkpoints are kept.
    progress
        Called with (stage, done, total) during long preparations.
    strategy
        How networks are run, of problems that know several ways; all give the same results. ``auto`` for the fastest.
    """

    device: torch.device = torch.device("cpu")
    data_dir: Path | None = None
    cache_dir: Path = field(default_factory=default_cache)
    progress: Progress = silent_progress
    strategy: str = "auto"


@dataclass(frozen=True)
class Objective:
    """One metric that can be minimised.

    Attributes
    ----------
    doc
        What it is, one line.
    unit
        Unit per sample, "" for a ratio.
    """

    doc: str
    unit: str = ""


@dataclass(frozen=True)
class Constraint:
    """An upper limit on one metric, which a user may switch on: metric - limit <= 0.

    Attributes
    ----------
    metric
        Name of a metric that `Problem.measure` returns, (n,).
    limit
        Its largest value that is feasible.
    doc
        What it is, one line.
    """

    metric: str
    limit: float
    doc: str


@dataclass(frozen=True)
class Estimate:
    """What running a problem on this device will take; measured on a small part and extrapolated.

    Attributes
    ----------
    preparation, evaluation
        Seconds to prepare (0 if cached) and seconds per evaluation.
    memory
        Bytes of device memory for evaluation, without the population.
    dimension
        d, so that a population of n float32 members takes 4 n d bytes.
    """

    preparation: float
    evaluation: float
    memory: int
    dimension: int


class Problem(ABC):
    """Base class of every problem. Everything is minimised.

    A subclass declares `version`, `objectives` and `default_objectives`, optionally `Parameters`, and implements
    `prepare`, `space`, `dimension`, `initial`, `measure`, `describe`, `reference_points` and `estimate`. Anything
    frozen with the version (splits, recipe, energy model, reference points) may change only together with it.
    A problem whose networks can be trained by (surrogate) gradient may set `differentiable` and implement `gradient`
    and `samples`, so that a gradient reference can be shown beside the gradient-free.

    Parameters
    ----------
    parameters
        An instance of `Parameters`; its defaults are the standard problem, anything else is a variant and
        recorded as such.
    objectives
        Names of the metrics to minimise; the default objectives if empty.
    context
        Device, folders and progress display.
    constraints
        Names of `optional_constraints` to switch on; they come after those that the problem has anyway.

    Raises
    ------
    UsageError
        For an unknown or repeated objective or constraint.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    objectives: ClassVar[Mapping[str, Objective]]
    default_objectives: ClassVar[tuple[str, ...]] = ("error",)
    default_budget: ClassVar[int] = 1000
    constraints: int = 0
    optional_constraints: ClassVar[Mapping[str, Constraint]] = {}
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    noisy: ClassVar[bool] = False
    strategies: ClassVar[tuple[str, ...]] = ()
    """Ways to run its networks that `Context.strategy` chooses from, if there are several."""
    differentiable: ClassVar[bool] = False
    Parameters: ClassVar[type] = NoParameters

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        self.parameters = self.Parameters() if parameters is None else parameters
        self.context = context or Context()
        self.selected = tuple(objectives) or self.default_objectives
        for objective in self.selected:
            if objective not in self.objectives:
                raise unknown(f"objective of {self.name}", objective, self.objectives)
        self.limits: list[Constraint] = []
        for constraint in constraints:
            if constraint not in self.optional_constraints:
                raise unknown(f"optional constraint of {self.name}", constraint, self.optional_constraints)
            self.limits.append(self.optional_constraints[constraint])
        for what, names in (("objectives", self.selected), ("constraints", constraints)):
            if len(set(names)) != len(names):
                raise UsageError(f"{what} are named twice: {','.join(names)}")
        self.constraints = type(self).constraints + len(self.limits)

    @property
    def standard(self) -> bool:
        """Whether this is the versioned problem itself and not a variant with other parameters."""
        return self.parameters == self.Parameters()

    @property
    @abstractmethod
    def space(self) -> SearchSpace:
        """The search space; known after `prepare`."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Dimension of the space, known before `prepare`."""

    @abstractmethod
    def prepare(self) -> None:
        """Fetch data and make or load checkpoints. Cached, repeatable, never counted as search time."""

    @abstractmethod
    def initial(self, n: int) -> torch.Tensor:
        """The first n points of the initial design that every algorithm may start from: (k, d) with k <= n."""

    @abstractmethod
    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """Run candidates (n, d) through the network on one split.

        Returns
        -------
        dict of str to numpy.ndarray
            Metrics, (n, ...) each; must hold every objective of `objectives`, and may hold ``failure``, (n,) of
            str, with the reason why a candidate could not be evaluated. Each row must depend on that candidate
            only, never on the others in ``x``.
        """

    def measure_bounded(self, x: torch.Tensor, bounds: np.ndarray) -> dict[str, np.ndarray]:
        """As `measure` on the search split, but a candidate may be left as soon as it certainly exceeds its bound.

        Parameters
        ----------
        x
            (n, d).
        bounds
            (n,) of the one selected objective, +inf where the exact value is needed.

        Returns
        -------
        dict of str to numpy.ndarray
            With ``rejected``, (n,) 1 or 0. The objective of a rejected candidate is above its bound and not above
            what `measure` would have found; all others have the metrics of `measure`, to the last bit. This default
            rejects none.
        """
        return self.measure(x, "search") | {"rejected": np.zeros(len(x))}

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Everything a reader of the record needs to know: data and checkpoint hashes, splits, recipe, models."""

    @abstractmethod
    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Every objective's ideal and reference (worst) value, frozen with the version, for indicators."""

    def targets(self) -> dict[str, list[float]]:
        """Values that count as reached in fixed-target measures, by objective, frozen with the version; when prepared.

        Where an objective is not named, targets from 1 to 0.01 of the way from its ideal to its worst value apply.
        """
        return {}

    @abstractmethod
    def estimate(self) -> Estimate:
        """Time and memory on this device, before `prepare`."""

    def reference_lines(self) -> dict[str, dict[str, float]]:
        """Fixed solutions to compare with, by name: each one's metrics on the test split; after `prepare`.

        No algorithm sees them. They go into the record and are shown beside results.
        """
        return {}

    @property
    def strategy(self) -> str | None:
        """How networks were run, for the record, of problems that know several ways (`strategies`)."""
        return None

    @property
    def samples(self) -> int:
        """Samples of the search split that one evaluation uses; of differentiable problems only."""
        raise NotImplementedError(f"{self.name} is not differentiable")

    def gradient(self, x: torch.Tensor, batch: int, generator: torch.Generator) -> tuple[float, torch.Tensor]:
        """Mean training loss and its gradient at one point, for reference algorithms; of differentiable problems only.

        Parameters
        ----------
        x
            (d,).
        batch
            Samples of the search split to draw, without replacement.
        generator
            Draws them, on the CPU.

        Returns
        -------
        float, torch.Tensor
            Loss, and its (surrogate) gradient (d,).
        """
        raise NotImplementedError(f"{self.name} is not differentiable")

    def evaluate(self, x: torch.Tensor, split: Split = "search", bounds: np.ndarray | None = None) -> Evaluations:
        """Measure candidates (n, d) and pick the objectives. A candidate without a finite value gets +inf.

        With bounds (n,), on the search split, candidates that exceed them may be left early (`measure_bounded`).
        """
        metrics = self.measure(x, split) if bounds is None else self.measure_bounded(x, bounds)
        reasons = [str(reason) for reason in metrics.pop("failure", np.full(len(x), ""))]
        chosen = np.stack([np.asarray(metrics[name], np.float64) for name in self.selected], axis=1)
        for row in np.flatnonzero(~np.isfinite(chosen).all(axis=1)):
            bad = [n for n, v in zip(self.selected, chosen[row], strict=True) if not np.isfinite(v)]
            reasons[row] = reasons[row] or f"not finite: {', '.join(bad)}"
        failed = np.array([bool(reason) for reason in reasons])
        chosen[failed] = np.inf
        own = np.asarray(metrics.pop("constraints", np.zeros((len(x), 0))), np.float64)
        switched_on = [np.asarray(metrics[c.metric], np.float64) - c.limit for c in self.limits]
        constraints = np.column_stack([own, *switched_on])
        constraints = np.where(np.isnan(constraints), np.inf, constraints)
        for values in metrics.values():
            if values.dtype.kind == "f":
                np.nan_to_num(values, copy=False, nan=np.inf, posinf=np.inf, neginf=-np.inf)
        return Evaluations(torch.from_numpy(chosen), torch.from_numpy(constraints), metrics, tuple(reasons))
