"""One CSV file with a row per evaluation, for R, spreadsheets and IOHanalyzer's "custom CSV" upload."""

from pathlib import Path

import numpy as np
import pandas as pd

from snnbench.report.exports.source import RunData, load, new_path

_FORMULA = ("=", "+", "-", "@")


def export(runs: pd.DataFrame, out: Path) -> int:
    """Write the file.

    Columns: ``function_name`` (the task), ``algorithm_name``, ``dimension``, ``run_id`` (the seed), ``budget``,
    ``version``, ``evaluations`` (from 1), ``raw_y`` (first objective), ``best_y`` (best feasible so far), ``feasible``,
    and ``objective.NAME`` of every objective.

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
    names = list(dict.fromkeys(name for text in runs["objectives"] for name in str(text).split(",")))
    count = 0
    with new_path(out) as path, open(path, "w", encoding="utf-8", newline="") as file:
        for number, (_, row) in enumerate(runs.iterrows()):
            block = _block(load(row), names)
            block.to_csv(file, index=False, header=number == 0, na_rep="", lineterminator="\n")
            count += len(block)
    return count


def _block(run: RunData, names: list[str]) -> pd.DataFrame:
    first = np.where(run.feasible, run.objectives[:, 0], np.inf)
    columns = {
        "function_name": _cell(str(run.row["task"])),
        "algorithm_name": _cell(str(run.row["algorithm"])),
        "dimension": run.row["dimension"],
        "run_id": run.row["seed"],
        "budget": run.row["budget"],
        "version": run.row["version"],
        "evaluations": np.arange(1, len(first) + 1),
        "raw_y": run.objectives[:, 0],
        "best_y": np.minimum.accumulate(first) if len(first) else first,
        "feasible": run.feasible,
    }
    own = dict(zip(run.names, run.objectives.T, strict=True))
    return pd.DataFrame(columns | {f"objective.{name}": own.get(name, np.nan) for name in names})


def _cell(text: str) -> str:
    """Text that a spreadsheet shows and does not compute."""
    return f"'{text}" if text.startswith(_FORMULA) else text
