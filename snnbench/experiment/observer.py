"""What a run tells whoever watches it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from snnbench.experiment.plan import RunPlan
    from snnbench.experiment.record import RunResult


@dataclass(frozen=True)
class StartInfo:
    """Known when the search begins.

    Attributes
    ----------
    directory
        Where the record is.
    dimension
        Of the search space.
    budget, recorded
        Evaluations in this run, and how many of them are on disk from before an interruption.
    objectives
        Names of the objectives.
    start
        What the initial design is worth: points as in ``recommendation.json``; empty without an initial design.
    """

    directory: Path
    dimension: int
    budget: int
    recorded: int
    objectives: tuple[str, ...]
    start: list[dict[str, Any]]


@dataclass(frozen=True)
class Progress:
    """Where the search stands.

    Attributes
    ----------
    evaluations, budget
        Done and in total.
    best
        The smallest value of each objective so far; inf before the first.
    rate
        Candidates per second since this process began to search.
    remaining
        Seconds left, by budget or time limit, whichever comes first; NaN while unknown.
    generation
        Number of the current `ask`, from 0.
    """

    evaluations: int
    budget: int
    best: tuple[float, ...]
    rate: float
    remaining: float
    generation: int


class Observer(Protocol):
    """Receives everything there is to show. Called often: an observer limits its own drawing."""

    def on_plan(self, plan: "RunPlan", directory: Path) -> None:
        """A run is about to be prepared."""

    def on_prepare(self, stage: str, done: int, total: int) -> None:
        """Preparation advances: data, checkpoints, the evaluation of the initial design."""

    def on_start(self, info: StartInfo) -> None:
        """The search begins."""

    def on_progress(self, progress: Progress) -> None:
        """Candidates were evaluated."""

    def on_message(self, text: str) -> None:
        """Something worth one line."""

    def on_finish(self, result: "RunResult") -> None:
        """The run is complete."""


class NullObserver:
    """Shows nothing."""

    def on_plan(self, plan: "RunPlan", directory: Path) -> None:
        """Ignore it."""

    def on_prepare(self, stage: str, done: int, total: int) -> None:
        """Ignore it."""

    def on_start(self, info: StartInfo) -> None:
        """Ignore it."""

    def on_progress(self, progress: Progress) -> None:
        """Ignore it."""

    def on_message(self, text: str) -> None:
        """Ignore it."""

    def on_finish(self, result: "RunResult") -> None:
        """Ignore it."""
