"""Convergence of one run: best search objective so far against evaluations, as PNG and on the terminal."""

import shutil
from pathlib import Path

import numpy as np

from snnbench.experiment.columns import PREFIXES
from snnbench.experiment.record import RunResult, load_evaluations, open_run


def best_so_far(directory: Path, objective: str) -> tuple[np.ndarray, np.ndarray]:
    """All recorded values of an objective, and the feasible ones' running minimum: (n,) each, failures as inf."""
    own = f"objective.{objective}"
    table = load_evaluations(directory, lambda name: name == own or name.startswith(PREFIXES["constraint"]))
    values = table.column(own).to_numpy()
    feasible = np.ones(len(values), bool)
    for name in table.column_names:
        if name.startswith(PREFIXES["constraint"]):
            feasible &= table.column(name).to_numpy() <= 0
    return values, np.minimum.accumulate(np.where(feasible, values, np.inf)) if len(values) else values


def plot(result: RunResult) -> Path | None:
    """Draw ``convergence.png`` into the run directory; returns its path, or None if there is nothing to be seen."""
    from snnbench.report.plots import RUN, Impossible, draw, save

    try:
        (made,) = draw(RUN, open_run(result.directory), "convergence")
    except Impossible:
        return None
    path = result.directory / "convergence.png"
    save(made, path)
    return path


def terminal_plot(best: np.ndarray, objective: str, height: int = 9) -> str:
    """A line chart of the best objective so far in block characters, at most 80 columns wide.

    Empty where it would say nothing: fewer than three finite values, or no change.
    """
    finite = best[np.isfinite(best)]
    if len(finite) < 3 or finite[0] == finite[-1]:
        return ""
    columns = min(80, shutil.get_terminal_size().columns) - 12
    if columns < 20:
        return ""
    index = np.linspace(len(best) - len(finite), len(best) - 1, columns).round().astype(int)
    low, high = finite[-1], finite[0]
    # Eighths of a row above the bottom line.
    level = np.round((best[index] - low) / (high - low) * (height * 8 - 1)).astype(int) + 1
    lines = [f"best {objective} so far (search)"]
    for row in range(height - 1, -1, -1):
        cells = "".join(" ▁▂▃▄▅▆▇█"[int(np.clip(v - 8 * row, 0, 8))] for v in level)
        label = f"{high:.4g}" if row == height - 1 else f"{low:.4g}" if row == 0 else ""
        lines.append(f"{label:>9} ┤{cells}".rstrip())
    last = f"{len(best):,} evaluations"
    lines.append(" " * 10 + "└" + "─" * columns)
    lines.append(" " * 11 + "1" + last.rjust(columns - 1))
    return "\n".join(lines)
