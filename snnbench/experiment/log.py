"""The evaluations of a run on disk: parts that only ever get more, one file in the end.

While a run works, rows are kept in ``evaluations/000001.parquet``, ``000002.parquet``, ... When it completes, they are
rewritten as ``evaluations.parquet`` (everything that repeats with the seed) and ``timings.parquet`` (everything that
does not), in row groups of a fixed length: the bytes of the former do not depend on where the parts were cut.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from snnbench.errors import RecordError
from snnbench.experiment.columns import Block, conform, kind_of, to_table, unify
from snnbench.experiment.disk import remove_leftovers, replacing

ROW_GROUP = 4096
_TIME_TOTALS = ("evaluate", "ask", "tell")


@dataclass(frozen=True)
class _Segment:
    path: Path
    first: int
    rows: int


class EvaluationLog:
    """Append-only record of evaluations.

    Parameters
    ----------
    directory
        The run directory. Rows that are already there are kept and checked.

    Raises
    ------
    RecordError
        If a file is truncated, or rows are missing.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.parts = directory / "evaluations"
        self.final = directory / "evaluations.parquet"
        self.timings = directory / "timings.parquet"
        self._pending: list[Block] = []
        self._pending_rows = 0
        self._segments: list[_Segment] = []
        self._cache: tuple[Path, pa.Table] | None = None
        for path in [self.final] if self.final.exists() else sorted(self.parts.glob("*.parquet")):
            index = read_parquet(path, ["evaluation"]).column(0).to_numpy()
            first = self.stored
            if not np.array_equal(index, np.arange(first, first + len(index))):
                raise RecordError(f"{path}: evaluations from number {first} on are missing; start again with --fresh")
            self._segments.append(_Segment(path, first, len(index)))

    @property
    def stored(self) -> int:
        """Rows on disk."""
        return self._segments[-1].first + self._segments[-1].rows if self._segments else 0

    @property
    def rows(self) -> int:
        """Rows on disk and in memory."""
        return self.stored + self._pending_rows

    @property
    def compacted(self) -> bool:
        """Whether the rows are in their final form."""
        return self.final.exists()

    def append(self, rows: Block) -> None:
        """Add rows, in memory until the next `flush`."""
        self._pending.append(rows)
        self._pending_rows += len(rows["index"]["evaluation"])

    def flush(self) -> None:
        """Bring all rows to the disk."""
        if not self._pending:
            return
        table = to_table(self._pending)
        self.parts.mkdir(exist_ok=True)
        last = int(self._segments[-1].path.stem) if self._segments else 0
        path = self.parts / f"{last + 1:06d}.parquet"
        with replacing(path) as file:
            pq.write_table(table, file, compression="zstd")
        self._segments.append(_Segment(path, self.stored, table.num_rows))
        self._pending, self._pending_rows = [], 0

    def read(self, start: int, stop: int) -> pa.Table:
        """Rows [start, stop) from the disk."""
        pieces = []
        for segment in self._segments:
            low, high = max(start, segment.first), min(stop, segment.first + segment.rows)
            if low < high:
                pieces.append(self._load(segment).slice(low - segment.first, high - low))
        if not pieces:
            raise RecordError(f"{self.directory} does not hold evaluations {start} to {stop - 1}")
        schema = unify([piece.schema for piece in pieces])
        return pa.concat_tables([conform(piece, schema) for piece in pieces]).combine_chunks()

    def find(self, digests: set[int]) -> dict[int, int]:
        """Candidates by digest: the number of the evaluation that measured each first, where one did."""
        found: dict[int, int] = {}
        wanted = np.array(sorted(digests), np.int64)
        for segment in self._segments:
            column = read_parquet(segment.path, ["digest"]).column(0).to_numpy()
            for row in np.flatnonzero(np.isin(column, wanted)):
                found.setdefault(int(column[row]), segment.first + int(row))
        return found

    def last_seconds(self) -> float:
        """Search time at the last recorded evaluation; 0 without any."""
        if not self._segments or self.compacted:
            return 0.0
        return float(read_parquet(self._segments[-1].path, ["time.seconds"]).column(0)[-1].as_py())

    def finish(self) -> None:
        """Rewrite the parts as the final files, row group by row group, and remove them. Repeatable."""
        self.flush()
        if not self.compacted and self._segments:
            schema = unify([pq.read_schema(segment.path) for segment in self._segments])
            repeats = [f for f in schema if kind_of(f) != "time"]
            times = [f for f in schema if kind_of(f) == "time"]
            renamed = [f.with_name(f.name.removeprefix("time.")) for f in times]
            number = schema.field("evaluation")
            # The one that says "finished" comes last.
            self._rewrite(self.timings, schema, [number, *times], pa.schema([number, *renamed]))
            self._rewrite(self.final, schema, repeats, pa.schema(repeats))
            self._segments = [_Segment(self.final, 0, self.stored)]
            self._cache = None
        if self.parts.is_dir():
            remove_leftovers(self.parts)
            for path in self.parts.glob("*.parquet"):
                path.unlink()
            with contextlib.suppress(OSError):  # something of the user's lies in it: leave it
                self.parts.rmdir()

    def totals(self) -> dict[str, float]:
        """Seconds spent evaluating, asking and telling, after `finish`."""
        if not self.timings.exists():
            return dict.fromkeys(_TIME_TOTALS, 0.0)
        table = read_parquet(self.timings, list(_TIME_TOTALS))
        return {name: float(np.nansum(table.column(name).to_numpy())) for name in _TIME_TOTALS}

    def _load(self, segment: _Segment) -> pa.Table:
        if self._cache is None or self._cache[0] != segment.path:
            self._cache = (segment.path, read_parquet(segment.path))
        return self._cache[1]

    def _rewrite(self, path: Path, schema: pa.Schema, fields: list[pa.Field], written: pa.Schema) -> None:
        chosen = pa.schema(fields)
        with replacing(path) as file, pq.ParquetWriter(file, written, compression="zstd") as writer:
            for table in _regrouped(_tables(self._segments, chosen)):
                writer.write_table(table.rename_columns(written.names).cast(written), row_group_size=ROW_GROUP)


def read_parquet(path: Path, columns: list[str] | Callable[[str], bool] | None = None) -> pa.Table:
    """Read a Parquet file, or only the columns that are named or chosen by name, or raise `RecordError`."""
    try:
        file = pq.ParquetFile(path)
        if callable(columns):  # few columns of many small files: threads would cost more than they save
            return file.read(columns=[name for name in file.schema_arrow.names if columns(name)], use_threads=False)
        return file.read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(f"{path} is truncated or no Parquet file ({reason}); start again with --fresh") from None


def read_rows(directory: Path, timings: bool = False, columns: Callable[[str], bool] | None = None) -> pa.Table | None:
    """All rows of a run in any state, without the timings or only those; ``None`` if there are none yet.

    With `columns` only the columns that it picks by name: a long run on a wide problem has 100 MB of others.
    """
    final = directory / ("timings.parquet" if timings else "evaluations.parquet")
    if (directory / "evaluations.parquet").exists():
        return read_parquet(final, columns) if final.exists() else None
    tables = [read_parquet(path, columns) for path in sorted((directory / "evaluations").glob("*.parquet"))]
    if not tables:
        return None
    schema = unify([table.schema for table in tables])
    whole = pa.concat_tables([conform(table, schema) for table in tables])
    if not timings:
        return whole.select([f.name for f in schema if kind_of(f) != "time"])
    whole = whole.select(["evaluation", *[f.name for f in schema if kind_of(f) == "time"]])
    return whole.rename_columns([name.removeprefix("time.") for name in whole.column_names])


def _tables(segments: list[_Segment], schema: pa.Schema) -> Iterator[pa.Table]:
    for segment in segments:
        present = set(pq.read_schema(segment.path).names)
        yield conform(read_parquet(segment.path, [f.name for f in schema if f.name in present]), schema)


def _regrouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `ROW_GROUP` rows, the last one shorter."""
    held: Any = None
    for table in tables:
        held = table if held is None else pa.concat_tables([held, table])
        while held.num_rows >= ROW_GROUP:
            yield held.slice(0, ROW_GROUP).combine_chunks()
            held = held.slice(ROW_GROUP)
    if held is not None and held.num_rows:
        yield held.combine_chunks()
