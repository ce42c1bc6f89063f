"""Recorded runs as one table."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnbench.data.folders import default_cache
from snnbench.errors import RecordError, SnnbenchError
from snnbench.experiment.disk import read_json
from snnbench.experiment.packing import archives, unpacked
from snnbench.experiment.recommendation import violation
from snnbench.experiment.record import RunRecord, find_runs, open_run
from snnbench.registry import display_name

SPLITS = ("search", "validation", "test")

COLUMNS = (
    "run",
    "problem",
    "version",
    "variant",
    "algorithm",
    "seed",
    "budget",
    "objectives",
    "dimension",
    "status",
    "detail",
    "evaluations",
    "device",
    "official",
    "reference",
    "penalty",
    "horizon",
    "members",
    "seconds",
    "ideal",
    "worst",
    *SPLITS,
)


def load_results(folder: Path | str) -> pd.DataFrame:
    """Every run in a folder or below it, one row each, whatever state it is in.

    Parameters
    ----------
    folder
        Where runs were recorded; merging the runs of several machines is copying their folders together. Archives of
        `snnbench pack` are read like the runs in them, from copies in the cache.

    Returns
    -------
    pandas.DataFrame
        ``run`` (its directory), ``problem``, ``version``, ``variant`` ("" for the standard problem, else the
        settings that differ), ``algorithm`` (with its settings, if it has any), ``seed``, ``budget``, ``objectives``
        (comma-separated), ``dimension`` of the search space, ``status`` (complete, running, interrupted, failed or
        unreadable) with ``detail``, ``evaluations``, ``device``, ``official`` (data), ``reference`` (uses gradients),
        ``penalty`` (was told penalised objectives in the place of constraints),
        ``horizon`` (depends on the budget), ``members`` (fingerprint of the trained networks that the search starts
        from, "" if none), ``seconds`` of search,
        ``ideal`` and ``worst`` value of the first objective as frozen with the problem's version;
        ``search``, ``validation`` and ``test``: the first objective of the (first) recommended candidate on each
        split, infinite if the run failed, found nothing, or that violates a constraint there, and NaN while it is not
        complete; and ``test.<metric>`` for every scalar metric.

    Raises
    ------
    RecordError
        If there is no run, or an archive is damaged.

    Notes
    -----
    ``load_results("runs").groupby(["problem", "algorithm"])["test"].median()`` is a first look at what there is.
    """
    folder = Path(folder)
    runs = find_runs(folder)
    for archive in archives(folder):
        runs += find_runs(unpacked(archive, default_cache()))
    if not runs:
        reason = "no run in it or below it" if folder.is_dir() else "no such folder"
        raise RecordError(f"{folder}: {reason}; `snnbench run --out {folder}` makes some")
    rows = [_row(run) for run in runs]
    table = pd.DataFrame(rows)
    found = [name for name in COLUMNS if name in table]
    return table[[*found, *sorted(set(table) - set(found))]]


def _row(directory: Path) -> dict[str, Any]:
    try:
        return _readable(open_run(directory))
    except SnnbenchError as error:
        reason = str(error)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        # Any of these comes from content that no version writes: somebody changed a file.
        reason = f"{directory}: its record was changed or damaged ({type(error).__name__}: {error}); restore it"
    return {"run": str(directory), "status": "unreadable", "detail": _shown(reason)} | dict.fromkeys(SPLITS, np.nan)


def _readable(record: RunRecord) -> dict[str, Any]:
    content, plan = record.content, record.plan
    problem = content["problem"]
    if record.status == "complete":
        record.result(cached=True)
    row: dict[str, Any] = {
        "run": str(record.directory),
        "problem": _shown(problem["name"] if ".py:" not in plan.problem else display_name("problem", plan.problem)),
        "version": problem["version"],
        "variant": _shown(_variant(record)),
        "algorithm": _shown(content["algorithm"]["name"] + _settings(dict(plan.algorithm_settings))),
        "seed": plan.seed,
        "budget": plan.budget,
        "objectives": ",".join(problem["objectives"]),
        "dimension": problem.get("dimension", np.nan),
        "status": record.status,
        "detail": _shown(str(content.get("error") or "")),
        "evaluations": int(content["evaluations"]),
        "device": str(content.get("device", "")).partition(":")[0],
        "official": bool((problem.get("description") or {}).get("official", True)),
        "reference": bool(content["algorithm"].get("reference", False)),
        "penalty": plan.penalty,
        "horizon": bool(content["algorithm"].get("horizon", False)),
        "members": _members((problem.get("description") or {}).get("checkpoints")),
        "seconds": content["timings"].get("search", np.nan),
    }
    points = problem.get("reference_points") or {}
    ends = [tuple(map(float, points.get(name, (np.nan, np.nan)))) for name in problem["objectives"]]
    ideal, worst = ends[0]
    return row | {"ideal": ideal, "worst": worst} | _outcome(record, problem["objectives"][0])


def _variant(record: RunRecord) -> str:
    """What makes the run's problem another than the standard one; "" if nothing."""
    plan = record.plan
    parts = [f"{name}={value}" for name, value in plan.problem_settings]
    parts += [f"constraint {name}" for name in plan.constraints]
    parts += ["early rejection"] if plan.early_rejection else []
    parts += [f"time limit {plan.time_limit:g} s"] if plan.time_limit is not None else []
    parts += [f"asynchronous, {plan.eval_workers} workers"] if plan.asynchronous else []
    return "; ".join(parts)


def _shown(text: str) -> str:
    """Without what steers a terminal: line ends, escape sequences and the like."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _members(checkpoints: Any) -> str:
    """Eight digits that differ if any checkpoint does."""
    hashes = [str(c.get("sha256")) for c in checkpoints or [] if isinstance(c, Mapping)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:8] if hashes else ""


def _settings(given: Mapping[str, Any]) -> str:
    return "[" + ",".join(f"{name}={value}" for name, value in given.items()) + "]" if given else ""


def _outcome(record: RunRecord, objective: str) -> dict[str, Any]:
    """The recommendation, where there is one."""
    if record.status == "failed":
        return dict.fromkeys(SPLITS, np.inf)
    if record.status != "complete":
        return dict.fromkeys(SPLITS, np.nan)
    final = read_json(record.directory / "recommendation.json", "start again with --fresh").get("final")
    if not isinstance(final, list):
        raise RecordError(f"{record.directory / 'recommendation.json'} is incomplete")
    if not final:
        return dict.fromkeys(SPLITS, np.inf)
    first = final[0]
    row = {}
    for split in SPLITS:
        found = first.get(split, {})
        row[split] = np.inf if violation(found) else _finite(found.get(objective))
    for name, value in first.get("test", {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            row[f"test.{name}"] = float(value)
    return row


def _finite(value: Any) -> float:
    """A recorded number; what is missing or not finite counts as infinitely bad."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if good else np.inf
