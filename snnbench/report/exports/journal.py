"""An Optuna storage, for optuna-dashboard and Optuna's plots.

A study per problem and algorithm, a trial per evaluation.
"""

import json
import warnings
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from snnbench.errors import UsageError
from snnbench.report.exports.source import RunData, load, new_path


def export(runs: pd.DataFrame, out: Path) -> int:
    """Write a journal file (`optuna.storages.journal.JournalFileBackend`).

    Studies are called ``TASK / ALGORITHM``. A trial's attributes are its ``seed``, number of ``evaluation`` from 0 and
    why it failed; its parameters are the recorded variables (spaces of at most 64 coordinates); ``constraints`` stand
    where Optuna keeps them. A candidate that failed is a failed trial. A trial's times are those of the export.

    Parameters
    ----------
    runs
        From `snnbench.report.exports.source.chosen`.
    out
        The file, which must not exist.

    Returns
    -------
    int
        Evaluations written.
    """
    try:
        import optuna
    except ImportError:
        raise UsageError("an Optuna storage needs Optuna: pip install 'snnbench[bayes]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    count = 0
    with new_path(out) as path, open(path, "w", encoding="utf-8") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # names of metrics
        storage = optuna.storages.JournalStorage(_backend(file))
        for (task, algorithm), members in runs.groupby(["task", "algorithm"], sort=True):
            loaded = [load(row) for _, row in members.iterrows()]
            study = optuna.create_study(
                storage=storage, study_name=f"{task} / {algorithm}", directions=["minimize"] * len(loaded[0].names)
            )
            study.set_metric_names(loaded[0].names)
            first = members.iloc[0]
            for name in ("problem", "version", "variant", "algorithm", "budget"):
                value = first[name]
                study.set_user_attr(name, value.item() if hasattr(value, "item") else value)
            known = _distributions(loaded)
            trials = [trial for run in loaded for trial in _trials(run, known)]
            study.add_trials(trials)
            count += len(trials)
    return count


def _backend(file: TextIO) -> Any:
    """A journal that one process writes once: Optuna's own opens, locks and syncs the file for every trial.

    An SQLite storage took 54 ms of processor per trial of 15 parameters, this less than 1 ms.
    """
    from optuna.storages.journal import BaseJournalBackend

    class Once(BaseJournalBackend):
        def __init__(self) -> None:
            self.unread: list[dict[str, Any]] = []

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            self.unread += logs
            file.writelines(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)

        def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
            # Everything is written through the one storage that reads, so what is new is what it has not read.
            logs, self.unread = self.unread, []
            return logs

    return Once()


def _trials(run: RunData, known: dict[str, Any]) -> list[Any]:
    from optuna.trial import TrialState, create_trial

    columns = _columns(run)
    finite = np.isfinite(run.objectives).all(axis=1)
    trials = []
    for i, good in enumerate(finite.tolist()):
        parameters = {name: columns[name][i] for name in known if columns[name][i] is not None}
        attributes = {"seed": int(run.row["seed"]), "evaluation": i}
        trials.append(
            create_trial(
                state=TrialState.COMPLETE if good else TrialState.FAIL,
                values=run.objectives[i].tolist() if good else None,
                params=parameters,
                distributions={name: known[name] for name in parameters},
                user_attrs=attributes | ({"failure": run.failures[i]} if run.failures[i] else {}),
                system_attrs={"constraints": run.constraints[i].tolist()} if run.constraints.shape[1] else {},
            )
        )
    return trials


def _columns(run: RunData) -> dict[str, list[Any]]:
    """Variables by name; a vector's coordinates each for themselves."""
    columns: dict[str, list[Any]] = {}
    for name, values in run.variables.items():
        if values and isinstance(values[0], list):
            columns |= {f"{name}[{i}]": list(v) for i, v in enumerate(zip(*values, strict=True))}
        else:
            columns[name] = values
    return columns


def _distributions(runs: list[RunData]) -> dict[str, Any]:
    """Ranges of the variables as recorded with the problem, widened to what was recorded if that lies outside."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    described = (runs[0].content["problem"].get("description") or {}).get("variables") or []
    ranges = {str(v.get("name")): v for v in described if isinstance(v, dict)}
    columns = [_columns(run) for run in runs]
    found: dict[str, Any] = {}
    for name in columns[0]:
        values = [v for c in columns for v in c.get(name, []) if v is not None]
        known = ranges.get(name.partition("[")[0], {})
        if not values:
            continue
        if isinstance(values[0], str):
            choices = [str(c) for c in known.get("choices", [])]
            found[name] = CategoricalDistribution([*choices, *sorted(set(values) - set(choices))])
            continue
        low, high = min(known.get("low", np.inf), *values), max(known.get("high", -np.inf), *values)
        whole = all(isinstance(v, int) for v in values)
        kind = IntDistribution if whole else FloatDistribution
        found[name] = kind(low, high, log=bool(known.get("log", False)) and low > 0)
    return found
