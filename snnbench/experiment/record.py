"""The run directory: what is in it, whether it can be trusted, and how others read it.

``run.json``               what was run, on what, how far it came (schema below)
``evaluations.parquet``    every evaluation (in parts under ``evaluations/`` until the run is complete)
``timings.parquet``        how long each took
``checkpoint.safetensors`` the algorithm's state
``start.json``             what the initial design is worth
``recommendation.json``    the candidates the run stands for; their vectors in ``recommendation.safetensors``
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from snnbench.errors import RecordError, UsageError
from snnbench.experiment.disk import plain, read_json, remove_leftovers, write_json
from snnbench.experiment.lock import is_locked
from snnbench.experiment.log import read_rows
from snnbench.experiment.plan import RunPlan

SCHEMA_VERSION = 1
_FILES = (
    "run.json", "start.json", "recommendation.json", "recommendation.safetensors", "checkpoint.safetensors",
    "evaluations.parquet", "timings.parquet",
)  # fmt: skip
_PLACE_AND_TIME = {"source", "path", "folder", "file", "seconds", "data_dir", "cache_dir"}
Status = str  # running, interrupted, complete, failed


@dataclass(frozen=True)
class RunResult:
    """A complete run.

    Attributes
    ----------
    directory
        Where its record is.
    plan
        What was run.
    stop
        Why the search ended: ``budget`` or ``time limit``.
    evaluations
        How many were made.
    start, final
        Points as in ``recommendation.json``: of the initial design and of the search.
    timings
        Seconds by activity.
    cached
        Whether it had been complete before.
    reference
        Whether the algorithm uses gradients: a reference, not a competitor.
    workers
        Of a run with evaluation workers: their number ``count``, whether ``asynchronous``, and the share
        ``utilisation`` of their time that went into evaluations.
    reference_lines
        What fixed solutions of the problem reach on the test split, by name.
    early_rejection
        Of a run with early rejection: how many candidates were ``rejected`` before the end, and the share ``samples``
        of the search's samples that were run.
    """

    directory: Path
    plan: RunPlan
    stop: str
    evaluations: int
    start: list[dict[str, Any]]
    final: list[dict[str, Any]]
    timings: dict[str, float]
    cached: bool = False
    reference: bool = False
    workers: dict[str, Any] | None = None
    reference_lines: dict[str, dict[str, float]] = field(default_factory=dict)
    early_rejection: dict[str, float] | None = None


class RunRecord:
    """``run.json`` of one run.

    Parameters
    ----------
    directory
        The run directory.
    content
        The whole file.
    """

    def __init__(self, directory: Path, content: dict[str, Any]) -> None:
        self.directory = directory
        self.content = content

    @property
    def plan(self) -> RunPlan:
        """What is run."""
        return RunPlan.from_dict(self.content["plan"])

    @property
    def status(self) -> Status:
        """``running``, ``interrupted``, ``complete`` or ``failed``; a killed run counts as interrupted."""
        status: str = self.content["status"]
        return "interrupted" if status == "running" and not is_locked(self.directory) else status

    @property
    def search_ended(self) -> bool:
        """Whether only the recommendation may be missing."""
        return self.content.get("stop") in ("budget", "time limit")

    def save(self, **changes: Any) -> None:
        """Change some entries and write the file."""
        self.content |= changes
        write_json(self.directory / "run.json", self.content)

    def require_same(self, what: str, now: Any) -> None:
        """Compare an entry with what it would be now.

        Raises
        ------
        UsageError
            If they differ, with the first place where they do.
        """
        place = difference(self.content.get(what), plain(now), what)
        if place:
            raise UsageError(
                f"{self.directory} holds another run ({place}); use --fresh to replace it, or another --out"
            )

    def result(self, cached: bool) -> RunResult:
        """The outcome of a complete run.

        Raises
        ------
        RecordError
            If a file of it is missing or damaged.
        """
        if cached and not (self.directory / "evaluations.parquet").is_file():
            raise RecordError(f"{self.directory / 'evaluations.parquet'} is missing; restore it, or start with --fresh")
        found = read_json(self.directory / "recommendation.json", "start again with --fresh")
        if not {"start", "final"} <= set(found):
            raise RecordError(f"{self.directory / 'recommendation.json'} is incomplete; start again with --fresh")
        return RunResult(
            directory=self.directory,
            plan=self.plan,
            stop=self.content["stop"],
            evaluations=self.content["evaluations"],
            start=found["start"],
            final=found["final"],
            timings=self.content["timings"],
            cached=cached,
            reference=bool(self.content["algorithm"].get("reference", False)),
            reference_lines=self.content.get("reference_lines", {}),
            workers=self.content.get("workers"),
            early_rejection=self.content.get("early_rejection"),
        )


def open_run(directory: Path) -> RunRecord:
    """Read a run directory.

    Raises
    ------
    RecordError
        If it is none, was written by another schema version, or ``run.json`` is damaged.
    """
    if not (directory / "run.json").is_file():
        reason = "no run.json in it" if directory.is_dir() else "no such folder"
        raise RecordError(f"{directory} is not a run directory ({reason}); `snnbench status` lists runs")
    content = read_json(directory / "run.json", "restore the file, or start again with --fresh")
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        writer = (content.get("environment") or {}).get("versions", {}).get("snnbench", "of unknown version")
        raise RecordError(
            f"{directory} has record schema {version!r}, this snnbench reads {SCHEMA_VERSION}; "
            f"use the snnbench that wrote it ({writer}), or start again with --fresh"
        )
    missing = [key for key in ("status", "plan", "problem", "algorithm") if key not in content]
    missing += [key for key in ("timings", "sessions", "evaluations") if key not in content]
    if missing:
        raise RecordError(f"{directory / 'run.json'} lacks {', '.join(missing)}; start again with --fresh")
    record = RunRecord(directory, content)
    _ = record.plan  # raises if it cannot be read
    return record


def find_runs(folder: Path) -> list[Path]:
    """Every run directory in a folder or below it, sorted; the folder itself if it is one."""
    return sorted(path.parent for path in folder.rglob("run.json"))


def load_evaluations(directory: Path | str, columns: Callable[[str], bool] | None = None) -> pa.Table:
    """All recorded evaluations of a run in any state; ``.to_pandas()`` gives a data frame.

    Parameters
    ----------
    directory
        The run.
    columns
        Which columns to read, by name; all by default.

    Raises
    ------
    RecordError
        If the directory is no run, or a file is damaged.
    """
    open_run(Path(directory))
    table = read_rows(Path(directory), columns=columns)
    return pa.table({"evaluation": pa.array([], pa.int64())}) if table is None else table


def load_timings(directory: Path | str) -> pa.Table:
    """When each evaluation ended (seconds of search), and what evaluating, asking and telling took.

    ``ask`` stands at the first evaluation of a generation, ``tell`` at the first one after it.
    """
    open_run(Path(directory))
    table = read_rows(Path(directory), timings=True)
    return pa.table({"evaluation": pa.array([], pa.int64())}) if table is None else table


def clear(directory: Path) -> None:
    """Delete a run's own files, and nothing else."""
    for name in _FILES:
        (directory / name).unlink(missing_ok=True)
    for part in (directory / "evaluations").glob("*.parquet"):
        part.unlink()
    remove_leftovers(directory, directory / "evaluations")


def difference(before: Any, now: Any, place: str) -> str | None:
    """Where two JSON values differ, in words; ``None`` if they agree. Folders and durations may differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            if key not in _PLACE_AND_TIME:
                found = difference(before.get(key), now.get(key), f"{place}.{key}")
                if found:
                    return found
        return None
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        pairs = zip(before, now, strict=True)
        return next((d for i, (a, b) in enumerate(pairs) if (d := difference(a, b, f"{place}[{i}]"))), None)
    return None if before == now else f"{place} was {_short(before)}, now {_short(now)}"


def source_hash(name: str) -> str | None:
    """SHA-256 of the file behind ``file.py:Class``; ``None`` for a registered name."""
    path, _, _ = name.rpartition(":")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path.endswith(".py") else None


def utc_now() -> str:
    """Now, as it stands in records."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
