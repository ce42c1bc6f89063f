"""What a recorded evaluation looks like as columns, and back.

Every column carries its kind in the metadata of its field (index, objective, constraint, metric, failure, algorithm,
x, time), and an array metric its shape, so that a record can be turned back into the `Evaluations` it came from.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from snnbench.errors import RecordError, SnnbenchError
from snnbench.evaluations import Evaluations
from snnbench.space import SearchSpace

PREFIXES = {
    "index": "",
    "objective": "objective.",
    "constraint": "constraint.",
    "failure": "",
    "metric": "",
    "algorithm": "algorithm.",
    "x": "x.",
    "time": "time.",
}
DECODED_COORDINATES = 64

Block = dict[str, dict[str, np.ndarray]]


def normalise(evaluations: Evaluations, n: int, problem: str) -> tuple[Evaluations, dict[str, np.ndarray]]:
    """Bring metrics to the types they have on disk, so that an algorithm sees the same live and in a replay.

    Numbers become float64, arrays float32 or float64, everything else text. Metrics that are times (``seconds`` or
    ``..._seconds``) differ from run to run: they are taken out and returned apart.
    """
    metrics: dict[str, np.ndarray] = {}
    times: dict[str, np.ndarray] = {}
    for name, given in evaluations.metrics.items():
        values = np.asarray(given)
        if values.ndim == 0 or len(values) != n:
            raise SnnbenchError(
                f"problem {problem} returned metric {name!r} of shape {values.shape} for {n} candidates"
            )
        if values.dtype.kind in "biuf":
            single = values.ndim > 1 and values.dtype.kind == "f" and values.dtype.itemsize <= 4
            values = values.astype(np.float32 if single else np.float64)
        else:
            values = np.array([str(value) for value in values], dtype=object)
        (times if name == "seconds" or name.endswith("_seconds") else metrics)[name] = values
    objectives = evaluations.objectives.detach().to("cpu", torch.float64)
    constraints = evaluations.constraints.detach().to("cpu", torch.float64)
    if objectives.ndim != 2 or len(objectives) != n or len(evaluations.failures) != n or len(constraints) != n:
        raise SnnbenchError(f"problem {problem} returned {len(objectives)} results for {n} candidates")
    return Evaluations(objectives, constraints, metrics, tuple(evaluations.failures)), times


def join(parts: Sequence[Evaluations]) -> Evaluations:
    """Several batches as one. A metric that some batches lack is NaN (or "") there."""
    if len(parts) == 1:
        return parts[0]
    metrics = {}
    for name in dict.fromkeys(itertools.chain.from_iterable(part.metrics for part in parts)):
        example = next(part.metrics[name] for part in parts if name in part.metrics)
        blank = "" if example.dtype == object else np.nan
        blocks = [p.metrics.get(name, np.full((len(p), *example.shape[1:]), blank, example.dtype)) for p in parts]
        metrics[name] = np.concatenate(blocks)
    return Evaluations(
        torch.cat([part.objectives for part in parts]),
        torch.cat([part.constraints for part in parts]),
        metrics,
        tuple(itertools.chain.from_iterable(part.failures for part in parts)),
    )


def block(
    evaluations: Evaluations,
    objectives: Sequence[str],
    index: dict[str, np.ndarray],
    annotations: dict[str, np.ndarray],
    variables: dict[str, np.ndarray],
    times: dict[str, np.ndarray],
) -> Block:
    """Everything to record about some candidates, by kind and name."""
    values = evaluations.objectives.numpy()
    constraints = evaluations.constraints.numpy()
    return {
        "index": index,
        "objective": {name: values[:, i] for i, name in enumerate(objectives)},
        "constraint": {str(k): constraints[:, k] for k in range(constraints.shape[1])},
        "failure": {"failure": np.array(evaluations.failures, dtype=object)},
        "metric": dict(sorted(evaluations.metrics.items())),
        "algorithm": dict(sorted(annotations.items())),
        "x": variables,
        "time": times,
    }


def decoded(space: SearchSpace, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Values of the variables of small spaces, as they are recorded; nothing for large ones.

    Copies, for the candidates' memory is the algorithm's again as soon as it was told, and is recorded later.
    """
    if space.dimension > DECODED_COORDINATES:
        return {}
    values = space.decode(x)
    return {
        name: np.array([str(v) for v in value], dtype=object) if value.dtype == object else value.copy()
        for name, value in values.items()
    }


def to_table(blocks: Sequence[Block]) -> pa.Table:
    """Blocks as one table, in their order."""
    tables = []
    for _, group in itertools.groupby(blocks, key=_signature):
        members = list(group)
        columns, fields = [], []
        for kind, named in members[0].items():
            for name in named:
                column, field = _column(kind, name, np.concatenate([member[kind][name] for member in members]))
                columns.append(column)
                fields.append(field)
        tables.append(pa.Table.from_arrays(columns, schema=pa.schema(fields)))
    schema = unify([table.schema for table in tables])
    return pa.concat_tables([conform(table, schema) for table in tables]).combine_chunks()


def unify(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of all, in an order that does not depend on how the rows were cut into parts.

    Raises
    ------
    SnnbenchError
        If a column changes its type or shape within a run.
    """
    fields: dict[str, pa.Field] = {}
    for field in itertools.chain.from_iterable(schemas):
        known = fields.setdefault(field.name, field)
        if not known.equals(field, check_metadata=True):
            raise SnnbenchError(f"column {field.name!r} changed its type, shape or meaning during the run")
    kinds = list(PREFIXES)

    def order(field: pa.Field) -> tuple[int, str]:
        kind = kind_of(field)
        return kinds.index(kind), field.name if kind in ("metric", "algorithm") else ""

    return pa.schema(sorted(fields.values(), key=order))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns; missing ones are null."""
    columns = [
        table.column(field.name) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def kind_of(field: pa.Field) -> str:
    """Kind of a recorded column."""
    return (field.metadata or {}).get(b"kind", b"?").decode()


def to_evaluations(table: pa.Table) -> Evaluations:
    """Recorded rows as what the problem returned then (times left out)."""
    found: dict[str, list[np.ndarray]] = {"objective": [], "constraint": []}
    metrics, failures = {}, ("",) * table.num_rows
    for field, column in zip(table.schema, table.columns, strict=True):
        kind = kind_of(field)
        if kind in found:
            found[kind].append(column.to_numpy())
        elif kind == "failure":
            failures = tuple(column.to_pylist())
        elif kind == "metric" and column.null_count < len(column):
            metrics[field.name] = _values(field, column)
    empty = np.zeros((table.num_rows, 0))
    objectives, constraints = (np.stack(v, axis=1) if v else empty for v in found.values())
    return Evaluations(torch.tensor(objectives), torch.tensor(constraints), metrics, failures)


def _signature(content: Block) -> Any:
    return [[(kind, name, v.shape[1:], v.dtype) for name, v in named.items()] for kind, named in content.items()]


def _column(kind: str, name: str, values: np.ndarray) -> tuple[pa.Array, pa.Field]:
    metadata = {"kind": kind}
    if values.ndim > 1:
        size = int(np.prod(values.shape[1:]))
        metadata["shape"] = json.dumps(values.shape[1:])
        offsets = np.arange(len(values) + 1, dtype=np.int32) * size
        array = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))
    else:
        array = pa.array(values)
    return array, pa.field(PREFIXES[kind] + name, array.type, metadata=metadata)


def _values(field: pa.Field, column: pa.ChunkedArray) -> np.ndarray:
    shape = (field.metadata or {}).get(b"shape")
    if shape is None:
        numbers = column.to_numpy()
        return numbers if numbers.dtype.kind == "f" else np.array(["" if v is None else v for v in numbers], object)
    dtype = field.type.value_type.to_pandas_dtype()
    values = np.full((len(column), *json.loads(shape)), np.nan, dtype)
    present = column.is_valid().to_numpy()
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    try:
        values[present] = flat.reshape(-1, *values.shape[1:])
    except ValueError:
        raise RecordError(f"column {field.name!r} does not have its recorded shape") from None
    return values
