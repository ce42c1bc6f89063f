"""Run directories as `snnbench run` leaves them, written without running anything."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def write_run(
    folder, problem="p", algorithm="a", seed=0, values=None, objectives=("error",), budget=None, final=None,
    status="complete", constraints=(), ends=(0.0, 1.0), columns=None, recorded=None, about=None, **changes,
):  # fmt: skip
    """One run: `values` (n, m) are its evaluations, `final` (k, m) its recommendation on every split."""
    values = np.ones((10, 1)) if values is None else np.asarray(values, float).reshape(-1, len(objectives))
    budget = len(values) if budget is None else budget
    best = values[np.isfinite(values).all(axis=1)][:1] if final is None else np.asarray(final, float)
    run = folder / problem / algorithm / f"budget{budget}-seed{seed}"
    run.mkdir(parents=True)
    content = {
        "schema_version": 1,
        "status": status,
        "stop": "budget",
        "evaluations": len(values) if recorded is None else recorded,
        "plan": {"problem": problem, "algorithm": algorithm, "budget": budget, "seed": seed, "objectives": objectives},
        "problem": {
            "name": problem,
            "version": 1,
            "objectives": objectives,
            "dimension": 9,
            "reference_points": dict.fromkeys(objectives, ends),
            "description": {"official": True},
        }
        | (about or {}),
        "algorithm": {"name": algorithm, "reference": False},
        "device": "cpu",
        "timings": {"search": 1.0},
        "sessions": 1,
    }
    content |= changes
    (run / "run.json").write_text(json.dumps(content))
    table = {"evaluation": np.arange(len(values)), "x.size": np.arange(len(values)) / 10.0}
    table |= {f"objective.{name}": values[:, i] for i, name in enumerate(objectives)}
    table |= {f"constraint.{k}": np.asarray(c, float) for k, c in enumerate(constraints)}
    pq.write_table(pa.table(table | (columns or {})), run / "evaluations.parquet")
    points = [{s: dict(zip(objectives, p, strict=True)) for s in ("search", "validation", "test")} for p in best]
    (run / "recommendation.json").write_text(
        json.dumps({"start": [], "final": [{"evaluation": 0} | p for p in points]})
    )
    return run


@pytest.fixture
def recorded(tmp_path):
    """`write_run` into a folder of the test; ``recorded.folder`` is the folder."""

    def write(**arguments):
        return write_run(tmp_path / "runs", **arguments)

    write.folder = tmp_path / "runs"
    return write
