"""A matrix of runs on disk: which are complete, and which are still to be made."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from snnbench import registry
from snnbench.errors import SnnbenchError
from snnbench.experiment.disk import plain
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.record import RunRecord, difference, open_run

State = Literal["complete", "running", "interrupted", "failed", "other version", "unreadable", "missing"]
STATES: tuple[State, ...] = get_args(State)
BAD: tuple[State, ...] = ("failed", "other version", "unreadable")


@dataclass(frozen=True)
class Cell:
    """One run of a matrix, as its directory shows it.

    Attributes
    ----------
    plan
        What is run.
    directory
        Where.
    state
        ``running`` if some process works on it now; ``unreadable`` if the directory holds another run or is damaged;
        ``other version`` if it was made on another version of the problem than is installed.
    detail
        Why it failed or cannot be read.
    seconds
        What it took in all, in the processes that worked on it; ``None`` unless complete.
    """

    plan: RunPlan
    directory: Path
    state: State
    detail: str = ""
    seconds: float | None = None


def survey(plans: Sequence[RunPlan], out: Path) -> list[Cell]:
    """Look up every run of a matrix in a folder of records; nothing is changed."""
    return [look(plan, out) for plan in plans]


def look(plan: RunPlan, out: Path) -> Cell:
    """One run of a matrix as it is on disk now."""
    directory = plan.directory(out)
    if not (directory / "run.json").exists():
        return Cell(plan, directory, "missing")
    try:
        record = open_run(directory)
    except SnnbenchError as error:
        return Cell(plan, directory, "unreadable", str(error))
    other = difference(plain(record.plan.results_key()), plain(plan.results_key()), "plan")
    if other:
        return Cell(plan, directory, "unreadable", f"{directory} holds another run ({other})")
    recorded, version = record.content["problem"].get("version"), registry.load("problem", plan.problem).version
    if recorded != version:
        return Cell(plan, directory, "other version", f"problem version {recorded}, installed is {version}")
    state: State = record.status  # type: ignore[assignment]
    detail = (record.content.get("error") or {}).get("message", "") if state == "failed" else ""
    return Cell(plan, directory, state, detail, total_seconds(record) if state == "complete" else None)


def total_seconds(record: RunRecord) -> float:
    """Seconds that a run took so far: preparation, initial design, search and recommendation."""
    timings = record.content["timings"]
    return float(sum(timings.get(part) or 0.0 for part in ("prepare", "start", "search", "recommendation")))


def seconds_left(cells: Sequence[Cell], elapsed: Mapping[RunPlan, float], workers: int) -> float:
    """How long a matrix will take, judged by the runs that are complete; NaN while there is none.

    Parameters
    ----------
    cells
        The whole matrix.
    elapsed
        Of the runs under way, the seconds so far.
    workers
        Runs made at once.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        if cell.seconds is not None:
            for key in _likeness(cell.plan):
                known.setdefault(key, []).append(cell.seconds)
    if not known:
        return math.nan
    total = 0.0
    for cell in cells:
        if cell.state in ("missing", "interrupted", "running"):
            likes = next(known[key] for key in _likeness(cell.plan) if key in known)
            total += max(0.0, statistics.median(likes) - elapsed.get(cell.plan, 0.0))
    return total / max(1, workers)


def _likeness(plan: RunPlan) -> list[tuple[str, ...]]:
    """Groups of runs that should take as long as this one, the nearest first."""
    return [(plan.problem, plan.algorithm), (plan.problem,), ()]
