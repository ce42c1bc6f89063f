"""Run a plan, or continue one: whatever happens, what was measured is on disk and can be continued."""

import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from snnbench import registry
from snnbench.errors import AlgorithmError, RecordError, SnnbenchError, UsageError, said
from snnbench.experiment.disk import DiskFull, plain, remove_leftovers
from snnbench.experiment.environment import versions
from snnbench.experiment.interrupt import Interrupted, stop_requests
from snnbench.experiment.lock import locked
from snnbench.experiment.log import EvaluationLog
from snnbench.experiment.observer import NullObserver, Observer
from snnbench.experiment.plan import RunPlan, check
from snnbench.experiment.record import RunRecord, RunResult, clear, open_run, source_hash, utc_now
from snnbench.experiment.session import Session, continuing, initial_content
from snnbench.problem import Context, Problem


def run(
    plan: RunPlan,
    out: Path,
    observer: Observer | None = None,
    context: Context | None = None,
    fresh: bool = False,
) -> RunResult:
    """Make a run, or continue it if its directory holds a part of it, or return it if it is complete.

    Parameters
    ----------
    plan
        What to run.
    out
        Folder of all runs; this one's is ``plan.directory(out)``.
    observer
        Is told everything; nobody if omitted.
    context
        Folders of data and caches; the plan's device takes the place of its device.
    fresh
        Delete what the directory holds of an earlier run.

    Returns
    -------
    RunResult
        With ``cached`` set if there was nothing to do.

    Raises
    ------
    UsageError
        If parts of the plan do not fit, the directory holds another run, or another process works on it.
    RecordError
        If its record is damaged or does not match what the algorithm does.
    AlgorithmError
        If the algorithm breaks its contract or raises; recorded, evaluations kept.
    Interrupted
        After SIGINT or SIGTERM.
    SnnbenchError
        If the disk is full, or the problem fails; evaluations kept.
    """
    return _execute(plan, plan.directory(out), observer or NullObserver(), context or Context(), fresh)


def resume(directory: Path, observer: Observer | None = None, context: Context | None = None) -> RunResult:
    """Continue the run in a directory; `run` says what is returned and raised.

    Without a context, the data folder is the one that the run was started with.
    """
    record = open_run(directory)
    if context is None:
        data = record.content.get("folders", {}).get("data_dir")
        context = Context(data_dir=data and Path(data))
    return _execute(record.plan, directory, observer or NullObserver(), context, fresh=False)


def _execute(plan: RunPlan, directory: Path, observer: Observer, context: Context, fresh: bool) -> RunResult:
    context = replace(context, progress=observer.on_prepare)
    observer.on_plan(plan, directory)
    record = None if fresh else _existing(directory, plan)
    if record is not None and record.status == "complete" and _same_data(record, context):
        result = record.result(cached=True)
        observer.on_finish(result)
        return result
    problem = check(plan, context)
    with locked(directory):
        if fresh:
            clear(directory)
        remove_leftovers(directory, directory / "evaluations")
        record = _existing(directory, plan)  # again: it may have ended while the lock was awaited
        began = time.monotonic()
        _prepare(problem)
        if record is None:
            record = RunRecord(directory, initial_content(plan, problem, time.monotonic() - began))
        else:
            continuing(record, plan, problem)
            if record.status == "complete":
                return record.result(cached=True)
            _mention_versions(record, observer)
            record.content["plan"] = plan.to_dict()
        log = EvaluationLog(directory)
        with stop_requests() as stop:
            result = _guarded(Session(record, problem, log, stop, observer))
    observer.on_finish(result)
    return result


def _prepare(problem: Problem) -> None:
    try:
        problem.prepare()
    except (SnnbenchError, OSError):
        raise
    except (Exception, SystemExit) as error:
        raise SnnbenchError(f"problem {problem.name} failed in prepare: {said(error)}") from error


def _guarded(session: Session) -> RunResult:
    """Run a session; however it fails, keep what is measured and say in the record what happened."""
    record, log = session.record, session.log
    try:
        return session.run()
    except DiskFull as error:
        kept = f"disk full: {log.stored} evaluations are kept in {record.directory}"
        _note(record, "interrupted", error, "disk full", log)
        begun = (record.directory / "run.json").exists()
        then = f"`snnbench resume {record.directory}`" if begun else "give the same command again"
        raise SnnbenchError(f"{kept}; free space, then {then}") from error
    except Interrupted:
        _note(record, "interrupted", None, "interrupted", log)
        raise
    except RecordError:
        raise  # nothing in the directory is touched while it is in doubt
    except SnnbenchError as error:
        with suppress(DiskFull):
            log.flush()
        _note(record, "failed", error, "algorithm error" if isinstance(error, AlgorithmError) else "error", log)
        raise
    except KeyboardInterrupt:
        _note(record, "interrupted", None, "interrupted", log)
        raise
    except Exception as error:
        with suppress(DiskFull):
            log.flush()
        _note(record, "failed", error, "error", log)
        raise


def _note(
    record: RunRecord,
    status: str,
    error: BaseException | None,
    stop: str = "error",
    log: EvaluationLog | None = None,
) -> None:
    changes: dict[str, Any] = {"status": status, "stop": stop, "finished": utc_now()}
    if record.search_ended:  # the search itself is done; only what comes after it is missing
        changes.pop("stop")
    if log is not None:
        changes["evaluations"] = log.stored
    if error is not None:
        cause = error.__cause__ or error
        text = "".join(traceback.format_exception(cause, limit=-5)).encode("utf-8", "replace").decode("utf-8")
        changes["error"] = {"type": type(cause).__name__, "message": str(error), "traceback": text}
    with suppress(DiskFull, OSError):  # the record on disk then still says "running", which is as good
        record.save(**changes)


def _existing(directory: Path, plan: RunPlan) -> RunRecord | None:
    """The record that a directory holds of this very plan."""
    if not (directory / "run.json").exists():
        if (directory / "evaluations").exists() or (directory / "evaluations.parquet").exists():
            raise RecordError(f"{directory} holds evaluations but no run.json; use --fresh to start again")
        return None
    record = open_run(directory)
    record.content["key"] = plain(record.plan.results_key())
    record.require_same("key", plan.results_key())
    del record.content["key"]
    for kind, name in (("algorithm", plan.algorithm), ("problem", plan.problem)):
        now = source_hash(name)
        if record.content[kind].get("source_sha256") != now:
            label = registry.display_name("algorithm" if kind == "algorithm" else "problem", name)
            raise UsageError(f"{label} has changed since {directory} was made; use --fresh, or another --out")
    return record


def _same_data(record: RunRecord, context: Context) -> bool:
    now = context.data_dir and str(context.data_dir.resolve())
    return bool(record.content.get("folders", {}).get("data_dir") == now)


def _mention_versions(record: RunRecord, observer: Observer) -> None:
    before, now = record.content.get("environment", {}).get("versions", {}), versions()
    changed = [f"{name} {before[name]} -> {now.get(name)}" for name in before if before[name] != now.get(name)]
    if changed:
        observer.on_message(f"continuing with other versions than before: {', '.join(changed)}")
