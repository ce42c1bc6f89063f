"""Expected running times on the terminal, and as plain data."""

import math
import textwrap
from typing import Any

from snnbench.report.text import number, table
from snnbench.stats.target_tables import TargetTable

WIDTH = 79


def shown(tables: list[TargetTable]) -> str:
    """One table per problem, of at most 80 columns for names of ordinary length."""
    note = (
        "Expected running time (ERT): evaluations of all runs until the target or their end, divided by the runs that "
        "reached it, whose number follows in parentheses; - where none did. Targets are frozen with the problem's "
        "version; shown are some from those that not every run "
        "reached within a twentieth of the budget to the hardest that any reached."
    )
    depending = sorted({name for t in tables for name in t.horizon})
    notes = [note]
    if depending:
        notes.append(f"{', '.join(depending)}: depends on the budget, so its times hold for the budget it was run for.")
    return "\n\n".join([*map(_shown, tables), *(textwrap.fill(n, WIDTH, break_on_hyphens=False) for n in notes)])


def content(tables: list[TargetTable]) -> list[dict[str, Any]]:
    """The tables as JSON can hold them; an infinite time is null."""
    return [
        {
            "problem": t.task,
            "objective": t.objective,
            "budget": t.budget,
            "depends_on_budget": t.horizon,
            "targets": t.targets.tolist(),
            "targets_scaled": t.scaled.tolist(),
            "algorithms": [
                {
                    "algorithm": row.algorithm,
                    "runs": row.runs,
                    "ert": [value if math.isfinite(value) else None for value in row.ert.tolist()],
                    "successes": row.successes.tolist(),
                }
                for row in t.rows
            ],
        }
        for t in tables
    ]


def _shown(found: TargetTable) -> str:
    if not len(found.targets):
        return f"{found.task}: no target tells its runs apart"
    header = ["runs", *(f"<= {number(value)}" for value in found.targets)]
    rows = [
        [f"{row.algorithm} ", str(row.runs), *(_cell(e, s) for e, s in zip(row.ert, row.successes, strict=True))]
        for row in found.rows
    ]
    return f"{found.task}: evaluations to reach {found.objective}, of {found.budget}\n" + table(
        ["algorithm", *header], rows
    )


def _cell(ert: float, successes: int) -> str:
    return f"{ert:,.0f} ({successes})" if math.isfinite(ert) else "-"
