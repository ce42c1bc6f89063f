"""What every export reads: the runs to export, and one run's evaluations in plain columns."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnbench.errors import RecordError, UsageError
from snnbench.experiment.columns import PREFIXES
from snnbench.experiment.disk import read_json
from snnbench.experiment.log import read_parquet
from snnbench.stats.selection import filtered, task_labels

_KINDS = (PREFIXES["objective"], PREFIXES["constraint"], PREFIXES["x"])


@dataclass(frozen=True)
class RunData:
    """One complete run.

    Attributes
    ----------
    row
        Of `load_results`, with its ``task``.
    content
        ``run.json``.
    objectives
        (n, m) As recorded, infinite where the candidate failed.
    constraints
        (n, k) Feasible where <= 0.
    failures
        (n,) Why each candidate failed, "" if it did not.
    variables
        Decoded variables by name, (n,) or (n, size) each; empty for large spaces, whose candidates are not recorded.
    """

    row: pd.Series
    content: dict[str, Any]
    objectives: np.ndarray
    constraints: np.ndarray
    failures: list[str]
    variables: dict[str, list[Any]]

    @property
    def names(self) -> list[str]:
        """Names of the objectives."""
        return str(self.row["objectives"]).split(",")

    @property
    def feasible(self) -> np.ndarray:
        """(n,) Whether all objectives are finite and all constraints met."""
        return np.asarray(np.isfinite(self.objectives).all(axis=1) & (self.constraints <= 0).all(axis=1))


def chosen(results: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """The complete runs that meet the conditions, with the name of their ``task``, sorted.

    Unlike a ranking, an export may hold runs of different versions, budgets and machines: they are told apart by name.

    Raises
    ------
    UsageError
        If there is none.
    """
    runs = filtered(results, where)
    runs = runs[runs["status"] == "complete"].copy()
    if runs.empty:
        raise UsageError("no complete run to export" + (f" with {' and '.join(where)}" if where else ""))
    runs["task"] = task_labels(runs)
    return runs.sort_values(["task", "algorithm", "seed", "run"])


def load(row: pd.Series) -> RunData:
    """Read one run; only what an export needs of it.

    Raises
    ------
    RecordError
        If the record is damaged.
    """
    directory = Path(row["run"])
    path = directory / "evaluations.parquet"
    table = read_parquet(path, lambda name: name == "failure" or name.startswith(_KINDS))

    def block(prefix: str) -> np.ndarray:
        columns = [np.asarray(table[n].to_numpy(), np.float64) for n in table.column_names if n.startswith(prefix)]
        return np.stack(columns, axis=1) if columns else np.empty((table.num_rows, 0))

    try:
        names = [PREFIXES["objective"] + name for name in str(row["objectives"]).split(",")]
        objectives = np.stack([np.asarray(table[name].to_numpy(), np.float64) for name in names], axis=1)
        constraints = block(PREFIXES["constraint"])
    except (KeyError, TypeError, ValueError):
        raise RecordError(f"{path}: its objectives are missing or no numbers; start again with --fresh") from None
    failures = table["failure"].to_pylist() if "failure" in table.column_names else [""] * table.num_rows
    prefix = PREFIXES["x"]
    variables = {n.removeprefix(prefix): table[n].to_pylist() for n in table.column_names if n.startswith(prefix)}
    objectives = np.where(np.isnan(objectives), np.inf, objectives)
    content = read_json(directory / "run.json", "restore the file")
    return RunData(row, content, objectives, constraints, [str(f or "") for f in failures], variables)


@contextlib.contextmanager
def new_path(path: Path) -> Iterator[Path]:
    """Where to write a file or folder that must not exist yet; it appears under its name only when complete."""
    if path.exists():
        raise UsageError(f"{path} exists already; remove it, or choose another --out")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True) if temporary.is_dir() else temporary.unlink(missing_ok=True)
