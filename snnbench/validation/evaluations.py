"""The evaluations of a run: rows, numbers, values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from snnbench.validation.files import small
from snnbench.validation.findings import Report

_MOST_VALUES = 1 << 26  # of one column: a few bytes of a Parquet file may stand for any number of them


@dataclass
class Rows:
    """What other checks need of the evaluations.

    Attributes
    ----------
    digests
        (n,) int64 fingerprints of the candidates.
    scalars
        Objectives and scalar metrics by name, (n,) float64 each.
    """

    digests: np.ndarray
    scalars: dict[str, np.ndarray] = field(default_factory=dict)


def read_rows(directory: Path, path: Path, content: Mapping[str, Any], report: Report) -> Rows | None:
    """Check the Parquet files of a complete run; ``None`` if the evaluations cannot be read.

    Only numbers and the reasons of failures are read, and nothing before the file's own description says that there
    are as many rows as the budget allows.
    """

    def wrong(text: str) -> None:
        report.add("error", "evaluations", path, text)

    file = directory / "evaluations.parquet"
    budget, reference = content["budget"]["evaluations"], bool(content["algorithm"].get("reference"))
    if not small(file):
        wrong("no evaluations.parquet" if not file.exists() else "evaluations.parquet is not opened")
        return None
    try:
        with pq.ParquetFile(file) as opened:
            rows = opened.metadata.num_rows
            if rows != budget and not (reference and rows < budget):
                wrong(f"{rows:,} evaluations on record, the budget is {budget:,}")
            if rows > budget:
                return None
            if not _bounded(opened):
                wrong(f"evaluations.parquet says that a column has more than {_MOST_VALUES:,} values; it is not read")
                return None
            table = opened.read(columns=_wanted(opened.schema_arrow))
    except (pa.ArrowException, OSError, ValueError) as error:
        wrong(f"evaluations.parquet is truncated or no Parquet file ({str(error).splitlines()[0]})")
        return None
    objectives = content["problem"]["objectives"]
    needed = ["evaluation", "candidate", "digest", "failure", *(f"objective.{name}" for name in objectives)]
    needed += [f"constraint.{k}" for k in range(content["problem"]["constraints"])]
    if missing := [name for name in needed if name not in table.column_names]:
        wrong(f"no column {', '.join(missing)}")
        return None
    for text in _numbering(table, rows):
        wrong(text)
    for text in _values(table, content):
        wrong(text)
    _timings(directory, path, rows, report)
    return _rows(table, objectives)


def _bounded(file: pq.ParquetFile) -> bool:
    """Whether its columns fit into memory."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    values = [sum(group.column(j).num_values for group in groups) for j in range(metadata.num_columns)]
    return max([metadata.num_rows, *values]) <= _MOST_VALUES


def _wanted(schema: pa.Schema) -> list[str]:
    """Columns of single numbers, and the reasons of failures."""
    numbers = [f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    return [*numbers, *(f.name for f in schema if f.name == "failure" and pa.types.is_string(f.type))]


def _numbering(table: pa.Table, rows: int) -> list[str]:
    number = np.asarray(table["evaluation"].to_numpy())
    faults = []
    if not np.array_equal(number, np.arange(rows)):
        first = int(np.flatnonzero(number != np.arange(rows))[0])
        faults.append(f"row {first} is evaluation {number[first]}: they must be numbered from 0 without gaps")
    candidates = np.asarray(table["candidate"].to_numpy())
    if len(np.unique(candidates)) != rows:
        faults.append("a candidate was evaluated twice under one number")
    return faults


def _values(table: pa.Table, content: Mapping[str, Any]) -> list[str]:
    failed = np.array([bool(reason) for reason in table["failure"].to_pylist()], bool)
    faults = []
    for name in content["problem"]["objectives"]:
        values = np.asarray(table[f"objective.{name}"].to_numpy(), np.float64)
        ideal = float(content["problem"]["reference_points"][name][0])
        for rows, what in (
            (np.isnan(values), "is NaN"),
            (~failed & np.isinf(values), "is infinite, and no failure says why"),
            (failed & np.isfinite(values), "has a value though it failed"),
            (values < ideal - 1e-9, f"is better than the problem's ideal {ideal:g}"),
            (_differs(table, name, values, failed), "is not the metric of that name"),
        ):
            faults += _where(rows, f"objective {name}", what)
    for k in range(content["problem"]["constraints"]):
        faults += _where(np.isnan(table[f"constraint.{k}"].to_numpy()), f"constraint {k}", "is NaN")
    return faults


def _differs(table: pa.Table, name: str, values: np.ndarray, failed: np.ndarray) -> np.ndarray:
    if name not in table.column_names:
        return np.zeros(len(values), bool)
    metric = np.asarray(table[name].to_numpy(), np.float64)
    return np.asarray(~failed & ~np.isnan(metric) & ~np.isnan(values) & (metric != values))


def _where(rows: np.ndarray, what: str, is_wrong: str) -> list[str]:
    if not rows.any():
        return []
    more = f", and in {int(rows.sum()) - 1:,} more" if rows.sum() > 1 else ""
    return [f"{what} of evaluation {int(np.flatnonzero(rows)[0])}{more} {is_wrong}"]


def _timings(directory: Path, path: Path, rows: int, report: Report) -> None:
    file = directory / "timings.parquet"
    try:
        found = pq.ParquetFile(file).metadata.num_rows if small(file) else None
    except (pa.ArrowException, OSError):
        found = -1
    if found is None:
        report.add("note", "evaluations", path, "no timings.parquet: nothing is known of how long it took")
    elif found != rows:
        report.add("error", "evaluations", path, "timings.parquet is damaged or has another number of rows")


def _rows(table: pa.Table, objectives: list[str]) -> Rows:
    scalars = {
        name: np.asarray(table[name].to_numpy(), np.float64)
        for name in table.column_names
        if "." not in name and name not in ("evaluation", "candidate", "generation", "digest", "failure")
    }
    scalars |= {name: np.asarray(table[f"objective.{name}"].to_numpy(), np.float64) for name in objectives}
    return Rows(np.asarray(table["digest"].to_numpy(), np.int64), scalars)
