"""IOHprofiler's own format, which IOHanalyzer and IOHinspector read (Doerr et al., arXiv:1810.05281).

A folder per algorithm, a JSON file per problem with its runs, and their evaluations as text. IOHinspector passes the
texts of experiment attributes to Python's eval, so none of a record's texts is written there.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnbench import __version__
from snnbench.report.exports.source import RunData, load, new_path

LARGEST_DIMENSION = 65_535
"""IOHinspector keeps dimensions in 16 bits: larger ones are written as this."""


def export(runs: pd.DataFrame, out: Path) -> int:
    """Write the folder.

    ``evaluations`` counts from 1, ``raw_y`` is the first objective (infinite where the candidate failed or is
    infeasible), ``F2``, ``F3``, ... are the others. Runs are numbered in the order of their seeds, which are run
    attributes.

    Parameters
    ----------
    runs
        From `snnbench.report.exports.source.chosen`.
    out
        The folder, which must not exist.

    Returns
    -------
    int
        Evaluations written.
    """
    functions = {task: number for number, task in enumerate(runs["task"].unique(), 1)}
    count = 0
    with new_path(out) as folder:
        for number, (algorithm, own) in enumerate(runs.groupby("algorithm", sort=True), 1):
            place = folder / f"{number:02d}-{_safe(str(algorithm))}"
            for task, members in own.groupby("task", sort=True):
                count += _function(place, str(algorithm), str(task), functions[task], members)
    return count


def _function(place: Path, algorithm: str, task: str, number: int, runs: pd.DataFrame) -> int:
    label = f"f{number}_{_safe(task)}"
    dimension = min(int(runs["dimension"].iloc[0]), LARGEST_DIMENSION)
    data = Path(f"data_{label}") / f"IOHprofiler_f{number}_DIM{dimension}.dat"
    (place / data.parent).mkdir(parents=True)
    entries, count = [], 0
    with open(place / data, "w", encoding="ascii", newline="\n") as file:
        for _, row in runs.iterrows():
            run = load(row)
            _write(file, run)
            entries.append(_entry(run))
            count += len(run.objectives)
    content = {
        "version": f"snnbench {__version__}",
        "suite": "snnbench",
        "function_id": number,
        "function_name": task,
        "maximization": False,
        "algorithm": {"name": algorithm, "info": "snnbench"},
        "experiment_attributes": [{"budget": str(int(runs["budget"].iloc[0]))}],
        "attributes": ["evaluations", "raw_y", *_others(runs)],
        "run_attributes": ["seed"],
        "scenarios": [{"dimension": dimension, "path": str(data), "runs": entries}],
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    (place / f"IOHprofiler_{label}.json").write_text(text, encoding="utf-8")
    return count


def _others(runs: pd.DataFrame) -> list[str]:
    return [f"F{i}" for i in range(2, 1 + len(str(runs["objectives"].iloc[0]).split(",")))]


def _write(file: Any, run: RunData) -> None:
    values = np.where(run.feasible[:, None], run.objectives, np.inf)
    file.write(" ".join(["evaluations", "raw_y", *(f"F{i}" for i in range(2, 1 + values.shape[1]))]) + "\n")
    for number, row in enumerate(values.tolist(), 1):
        file.write(f"{number} {' '.join(map(repr, row))}\n")


def _entry(run: RunData) -> dict[str, Any]:
    """One run; where no candidate was feasible, its best is the largest number, for JSON has no infinity."""
    values = np.where(run.feasible, run.objectives[:, 0], np.inf)
    best = int(values.argmin())
    y = float(values[best]) if np.isfinite(values[best]) else float(np.finfo(np.float64).max)
    return {
        "instance": 1,
        "seed": int(run.row["seed"]),
        "evals": len(values),
        "best": {"evals": best + 1, "y": y, "x": []},
    }


def _safe(text: str) -> str:
    """A file's name from any text; different texts are told apart by the number beside it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:60].strip(".") or "_"
