"""What is known of one recorded run, as its page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

from snnbench.errors import RecordError
from snnbench.experiment.disk import read_json
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.recommendation import violation
from snnbench.experiment.record import RunRecord, open_run
from snnbench.registry import display_name
from snnbench.report.chart import chart
from snnbench.report.commands import commands
from snnbench.stats.curves import best_so_far

SPLITS = ("search", "validation", "test")
STRANGE = (KeyError, TypeError, AttributeError, ValueError, UndefinedError)
"""What reading a record raises that was edited by hand."""


@dataclass(frozen=True)
class RunFacts:
    """One run.

    Attributes
    ----------
    record
        Its ``run.json``.
    start, final
        Points of ``recommendation.json``; empty if there is none.
    """

    record: RunRecord
    start: list[dict[str, Any]]
    final: list[dict[str, Any]]

    @property
    def content(self) -> dict[str, Any]:
        """All of ``run.json``."""
        return self.record.content

    @property
    def plan(self) -> RunPlan:
        """What was run."""
        return self.record.plan

    @property
    def problem(self) -> str:
        """The problem's name."""
        name: str = self.content["problem"]["name"]
        return display_name("problem", self.plan.problem) if ".py:" in self.plan.problem else name

    @property
    def algorithm(self) -> str:
        """The algorithm's name, without its settings."""
        return str(self.content["algorithm"]["name"])

    @property
    def leaf(self) -> str:
        """The name of its folder among the runs of its problem and algorithm."""
        return self.plan.directory(Path()).name

    @property
    def error(self) -> dict[str, str]:
        """Type, message and traceback of a failure, as texts; empty if there was none."""
        found = self.content.get("error")
        if not found:
            return {}
        return {k: str(v) for k, v in found.items()} if isinstance(found, Mapping) else {"message": str(found)}


def run_facts(directory: Path) -> RunFacts:
    """Read a run in any state.

    Raises
    ------
    RecordError
        If it is no run, or a file of it is damaged.
    """
    record = open_run(directory)
    path = directory / "recommendation.json"
    if not path.is_file():
        return RunFacts(record, [], [])
    found = read_json(path, "start again with --fresh")
    start, final = (found.get(key) or [] for key in ("start", "final"))
    if not all(isinstance(points, list) and all(map(_is_point, points)) for points in (start, final)):
        raise RecordError(f"{path} is incomplete; start again with --fresh")
    return RunFacts(record, start, final)


def page_values(facts: RunFacts) -> dict[str, Any]:
    """What the templates of a run's page need."""
    objectives = facts.content["problem"]["objectives"]
    return {
        "facts": facts,
        "metrics": metric_rows(facts),
        "front": front(facts),
        "commands": commands([facts.plan]),
        "environment": environment_rows(facts.content),
        "description": flattened(facts.content["problem"].get("description") or {}),
        "chart": chart(best_so_far(facts.record.directory, objectives[0]), objectives[0])
        if len(objectives) == 1
        else None,
    }


def strange(directory: Path, error: Exception) -> RecordError:
    """What to say of a record that can be opened but does not hold what it should; an error of its own stays."""
    if isinstance(error, RecordError):
        return error
    return RecordError(f"{directory / 'run.json'} is not as snnbench wrote it ({type(error).__name__}: {error})")


def metric_rows(facts: RunFacts) -> list[tuple[str, bool, list[float | None]]]:
    """The first recommended candidate's metrics: name, whether it is an objective, values before and after per split.

    Values are those of search, validation and test at the start, then at the end; ``None`` where there is none.
    """
    points = [p[0] if p else {} for p in (facts.start, facts.final)]
    names = {name for point in points for split in SPLITS for name in point.get(split, {})}
    objectives = list(facts.content["problem"]["objectives"])
    ordered = [n for n in objectives if n in names] + sorted(names - set(objectives))
    rows = []
    for name in ordered:
        values = [_scalar(point.get(split, {}).get(name)) for point in points for split in SPLITS]
        if any(v is not None for v in values):
            rows.append((name, name in objectives, values))
    amounts = [violation(point[split]) if split in point else None for point in points for split in SPLITS]
    if any(amounts):
        rows.insert(sum(row[1] for row in rows), ("constraint violation", False, amounts))
    return rows


def front(facts: RunFacts) -> list[list[float | None]]:
    """Objectives on the test split of what is feasible there of the recommended set; empty for one objective."""
    names = facts.content["problem"]["objectives"]
    if len(names) < 2:
        return []
    feasible = [found for point in facts.final if not violation(found := point.get("test", {}))]
    points = [[_scalar(found.get(name)) for name in names] for found in feasible]
    return sorted(points, key=lambda p: [float("inf") if v is None else v for v in p])


def flattened(value: Any, place: str = "") -> list[tuple[str, Any]]:
    """Nested facts as pairs: ``network.neuron.decay``; lists of plain values stay together."""
    if isinstance(value, Mapping) and value:
        return [
            pair for key, item in value.items() for pair in flattened(item, f"{place}.{key}" if place else str(key))
        ]
    if isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        return [pair for i, item in enumerate(value) for pair in flattened(item, f"{place}[{i}]")]
    return [(place, value)]


def environment_rows(content: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Device, hardware, versions and the state of the checkout."""
    found = content.get("environment") or {}
    rows: list[tuple[str, Any]] = [("device", content.get("device"))]
    rows += [(name, value) for name, value in (found.get("hardware") or {}).items()]
    git = found.get("git") or {}
    if git:
        rows.append(("commit", f"{git.get('commit')}{' (modified)' if git.get('dirty') else ''}"))
    return rows + [(name, value) for name, value in (found.get("versions") or {}).items()]


def _is_point(point: Any) -> bool:
    return isinstance(point, dict) and all(isinstance(point.get(split, {}), dict) for split in SPLITS)


def _scalar(value: Any) -> float | None:
    """A number; of a metric that is recorded after every step, the last one."""
    if isinstance(value, list) and value and not isinstance(value[-1], list):
        value = value[-1]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
