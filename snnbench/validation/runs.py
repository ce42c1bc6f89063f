"""One run: what its files say, and whether they agree with each other."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snnbench.errors import SnnbenchError
from snnbench.experiment.disk import plain
from snnbench.experiment.record import RunRecord, open_run
from snnbench.experiment.seeds import streams
from snnbench.registry import display_name
from snnbench.validation.evaluations import Rows, read_rows
from snnbench.validation.files import small
from snnbench.validation.findings import Report

_NUMBER = (int, float)
# What every check relies on, by place in run.json.
_TYPES: dict[str, type | tuple[type, ...]] = {
    "status": str,
    "evaluations": int,
    "plan": dict,
    "plan.problem": str,
    "plan.algorithm": str,
    "plan.budget": int,
    "plan.seed": int,
    "plan.device": str,
    "plan.objectives": list,
    "plan.constraints": list,
    "plan.problem_settings": dict,
    "plan.algorithm_settings": dict,
    "problem": dict,
    "problem.name": str,
    "problem.version": int,
    "problem.dimension": int,
    "problem.objectives": list,
    "problem.constraints": int,
    "problem.parameters": dict,
    "problem.description": dict,
    "problem.reference_points": dict,
    "algorithm": dict,
    "algorithm.name": str,
    "algorithm.parameters": dict,
    "budget": dict,
    "budget.evaluations": int,
    "seeds": dict,
    "device": str,
    "environment": dict,
    "environment.versions": dict,
    "environment.hardware": dict,
    "timings": dict,
}


@dataclass
class Run:
    """A run whose ``run.json`` can be relied on.

    Attributes
    ----------
    path
        Its directory, relative to the folder.
    record
        ``run.json``.
    rows
        What its evaluations say; ``None`` if they cannot be read.
    final
        The points of its recommendation; empty if there are none or they cannot be read.
    """

    path: Path
    record: RunRecord
    rows: Rows | None = None
    final: tuple[Mapping[str, Any], ...] = ()

    @property
    def content(self) -> dict[str, Any]:
        """The whole ``run.json``."""
        return self.record.content

    @property
    def problem(self) -> str:
        """Name of the problem: registered, or file and class."""
        return display_name("problem", self.content["plan"]["problem"])

    @property
    def algorithm(self) -> str:
        """Name of the algorithm with its settings."""
        given = self.content["plan"]["algorithm_settings"]
        settings = ",".join(f"{name}={value}" for name, value in sorted(given.items()))
        name = display_name("algorithm", self.content["plan"]["algorithm"])
        return f"{name}[{settings}]" if settings else name

    @property
    def foreign(self) -> bool:
        """Whether its problem comes from a file of the submitter's."""
        return ".py" in self.content["plan"]["problem"]

    @property
    def measured(self) -> bool:
        """Whether its first recommended point has a value of every objective on every split."""
        names = self.content["problem"]["objectives"]
        return bool(self.final) and all(
            _finite(self.final[0][split].get(name)) for split in ("search", "validation", "test") for name in names
        )

    @property
    def complete(self) -> bool:
        """Whether it says that it is."""
        return bool(self.content["status"] == "complete")


def load(folder: Path, path: Path, report: Report) -> Run | None:
    """Read a run directory and check what does not need other runs; ``None`` if there is nothing to rely on."""
    directory = folder / path
    if not small(directory / "run.json"):  # a link, or too large: said already
        return None
    try:
        record = open_run(directory)
    except (SnnbenchError, RecursionError) as error:
        text = str(error).replace(str(directory), "it") if str(error) else "run.json is nested too deep"
        report.add("error", "schema", path, text)
        return None
    if place := _untypical(record.content):
        report.add("error", "schema", path, f"run.json: {place}")
        return None
    run = Run(path, record)
    _plan(run, report)
    _status(run, report)
    if run.complete:
        run.rows = read_rows(directory, path, record.content, report)
        run.final = recommendation(run, directory, report)
    return run


def _untypical(content: Mapping[str, Any]) -> str:
    for place, kind in _TYPES.items():
        value: Any = content
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"{place} is {json.dumps(value)[:40]}"
    names = [*content["problem"]["objectives"], *content["plan"]["objectives"], *content["plan"]["constraints"]]
    if not content["problem"]["objectives"] or not all(isinstance(name, str) for name in names):
        return "problem.objectives are no names"
    points = content["problem"]["reference_points"]
    for name in content["problem"]["objectives"]:
        ends = points.get(name)
        if not (isinstance(ends, list) and len(ends) == 2 and all(_finite(end) for end in ends)):
            return f"problem.reference_points have no ideal and worst value of {name}"
    return ""


def _plan(run: Run, report: Report) -> None:
    """What stands in two places must be the same."""
    content, plan = run.content, run.content["plan"]
    if plan["budget"] != content["budget"]["evaluations"]:
        text = f"the plan's budget is {plan['budget']}, the recorded one {content['budget']['evaluations']}"
        report.add("error", "schema", run.path, text)
    for kind in ("problem", "algorithm"):
        name = content[kind]["name"]
        if ".py" not in plan[kind] and plan[kind] != name:
            report.add("error", "schema", run.path, f"the plan's {kind} is {plan[kind]!r}, the recorded one {name!r}")
    for kind in ("problem", "algorithm"):
        for name, value in plan[f"{kind}_settings"].items():
            if content[kind]["parameters"].get(name) != plain(value):
                report.add("error", "schema", run.path, f"the plan's {kind} setting {name} is not the recorded value")
    wanted = tuple(plan["objectives"])
    if wanted and wanted != tuple(content["problem"]["objectives"]):
        report.add("error", "schema", run.path, "the plan's objectives are not the recorded ones")
    if content["seeds"] != streams(plan["seed"]):
        report.add("error", "seeds", run.path, f"the recorded streams are not those of seed {plan['seed']}")


def _status(run: Run, report: Report) -> None:
    content = run.content
    status, budget = content["status"], content["budget"]["evaluations"]
    if status == "failed":
        error = content.get("error")
        reason = error.get("message", "") if isinstance(error, Mapping) else ""
        report.add("warning", "status", run.path, f"failed ({reason}): ranked last")
    elif status != "complete":
        report.add("error", "status", run.path, f"{status}: finish it with `snnbench resume`")
    elif content.get("stop") != "budget":
        report.add("error", "status", run.path, f"ended because of {content.get('stop')}, not because of its budget")
    elif content["evaluations"] != budget and not content["algorithm"].get("reference"):
        text = f"run.json says {content['evaluations']:,} evaluations, with a budget of {budget:,}"
        report.add("error", "evaluations", run.path, text)


def recommendation(run: Run, directory: Path, report: Report) -> tuple[Mapping[str, Any], ...]:
    """Check ``recommendation.json`` against the evaluations; its final points."""
    points = _points(directory / "recommendation.json")
    if points is None:
        report.add("error", "recommendation", run.path, "recommendation.json cannot be read or is incomplete")
        return ()
    if not points:
        report.add("warning", "recommendation", run.path, "nothing is recommended: ranked last")
    for number, point in enumerate(points):
        for text in _faults(run, point):
            report.add("error", "recommendation", run.path, f"point {number}: {text}")
    return tuple(points)


def _points(path: Path) -> list[Mapping[str, Any]] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if small(path) else None
    except (OSError, ValueError, RecursionError):
        return None
    found = content.get("final") if isinstance(content, dict) else None
    whole = isinstance(found, list) and all(
        isinstance(point, dict)
        and type(point.get("digest")) is int
        and (point.get("evaluation") is None or type(point["evaluation"]) is int)
        and all(isinstance(point.get(split), dict) for split in ("search", "validation", "test"))
        for point in found
    )
    return found if whole else None


def _faults(run: Run, point: Mapping[str, Any]) -> list[str]:
    problem = run.content["problem"]
    faults = []
    for split in ("search", "validation", "test"):
        for name in problem["objectives"]:
            value, ideal = point[split].get(name), problem["reference_points"][name][0]
            if not _finite(value):
                faults.append(f"{name} on the {split} split is no finite number")
            elif value < ideal - 1e-9:
                faults.append(f"{name} on the {split} split is {value:g}, better than the ideal {ideal:g}")
    number = point["evaluation"]
    if number is None or run.rows is None:
        return faults
    if not 0 <= number < len(run.rows.digests):
        return [*faults, f"evaluation {number} is not on record"]
    if int(run.rows.digests[number]) != point["digest"]:
        faults.append(f"evaluation {number} was of another candidate: its digest differs")
    for name, column in run.rows.scalars.items():
        value = point["search"].get(name)
        if _finite(value) and not np.isnan(column[number]) and value != column[number]:
            faults.append(f"{name} on the search split is {value:g}, evaluation {number} measured {column[number]:g}")
    return faults


def _finite(value: Any) -> bool:
    return isinstance(value, _NUMBER) and not isinstance(value, bool) and math.isfinite(value)
