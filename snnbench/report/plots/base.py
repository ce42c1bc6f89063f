"""What all plots share: their type, what they are drawn from, and why one cannot be drawn."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from snnbench.errors import RecordError, UsageError
from snnbench.stats.curves import Scale, best_so_far, progress, scaled
from snnbench.stats.measures import MEASURES, measured
from snnbench.stats.ranking import Ranking, Standing, rank
from snnbench.stats.runtimes import first_reached, reference_scale, targets_of

LONGEST = 26
"""Names are cut to so many characters in plots."""


@dataclass(frozen=True)
class Plot:
    """A figure and what is said about it.

    Attributes
    ----------
    name
        Kind of plot; safe as a file name.
    title
        Heading.
    caption
        One or two sentences: what was plotted, how many runs, which interval.
    figure
        ``matplotlib.figure.Figure``, not known to pyplot.
    alt
        Text alternative for those who do not see the figure.
    """

    name: str
    title: str
    caption: str
    figure: Any
    alt: str


class Impossible(UsageError):
    """A plot that the given runs cannot fill; the message says why."""


@contextlib.contextmanager
def possible() -> Iterator[None]:
    """What cannot be computed from sound records cannot be drawn; damaged ones are still an error."""
    try:
        yield
    except (Impossible, RecordError):
        raise
    except UsageError as error:
        raise Impossible(str(error)) from None


class Material:
    """Runs that are plotted, and what several plots need of them, computed once.

    Parameters
    ----------
    runs
        `snnbench.stats.selection.Selection.runs`: complete and failed runs with a column ``task``.
    measure
        One of `snnbench.stats.measures.MEASURES`.
    highlight
        Algorithms that keep a colour of their own where there are more algorithms than colours.
    logarithmic
        Whether evaluations are on a logarithmic axis.

    Raises
    ------
    UsageError
        If an algorithm to highlight was not run.
    """

    def __init__(
        self, runs: pd.DataFrame, measure: str = "test", highlight: Sequence[str] = (), logarithmic: bool = False
    ) -> None:
        if runs.empty:
            raise UsageError("no run to plot")
        self.runs, self.measure, self.logarithmic = runs, measure, logarithmic
        self.highlight = tuple(dict.fromkeys(highlight))
        self.tasks = sorted(str(task) for task in runs["task"].unique())
        self.algorithms = sorted(str(name) for name in runs["algorithm"].unique())
        self._groups: dict[tuple[str, str | None], pd.DataFrame] = {}
        self._curves: dict[tuple[str, str], np.ndarray] = {}
        self._targets: dict[str, np.ndarray] = {}

    @property
    def measured(self) -> str:
        """What the measure is, in words."""
        return MEASURES[self.measure]

    @cached_property
    def ranking(self) -> Ranking:
        """The ranking of the runs.

        Raises
        ------
        Impossible
            If they cannot be ranked.
        """
        with possible():
            return rank(self.runs, self.measure, mixed=True)

    @cached_property
    def order(self) -> list[str]:
        """Algorithms, the best first; those that are not ranked last, by name."""
        try:
            ranking = self.ranking
        except Impossible:
            return self.algorithms
        standings: list[Standing] = ranking.standings or (ranking.tasks[0].standings if len(self.tasks) == 1 else [])
        ranked = [s.algorithm for s in standings]
        return ranked + [name for name in self.algorithms if name not in ranked]

    def group(self, task: str, algorithm: str | None = None) -> pd.DataFrame:
        """The runs of one task, or of one algorithm on it, by seed; empty if there are none."""
        if not self._groups:
            ordered = self.runs.sort_values(["algorithm", "seed"], kind="stable")
            self._groups = {(str(key), None): rows for key, rows in ordered.groupby("task")}
            pairs = ordered.groupby(["task", "algorithm"])
            self._groups |= {(str(key), str(name)): rows for (key, name), rows in pairs}
        found = self._groups.get((task, algorithm))
        return self.runs.iloc[:0] if found is None else found

    def only_task(self) -> str:
        """The task, where a plot is of one."""
        if len(self.tasks) > 1:
            raise Impossible(f"this plot is of one problem, and there are {len(self.tasks)}")
        return self.tasks[0]

    def everywhere(self) -> list[str]:
        """Algorithms that were run on every task, in `order`.

        Raises
        ------
        Impossible
            For fewer than two tasks, or if there is none.
        """
        if len(self.tasks) < 2:
            raise Impossible("this plot is over several problems, and there is one")
        names = [name for name in self.order if all(len(self.group(task, name)) for task in self.tasks)]
        if not names:
            raise Impossible("no algorithm was run on every problem")
        return names

    def left_out(self, names: Sequence[str]) -> str:
        """A sentence on the algorithms that are not among `names`, or nothing."""
        missing = [name for name in self.order if name not in names]
        return f" Not run on every problem, so left out: {listed(missing)}." if missing else ""

    def objectives(self, task: str) -> list[str]:
        """Objectives of a task."""
        return str(self.group(task)["objectives"].iloc[0]).split(",")

    def curves(self, task: str, algorithm: str) -> np.ndarray:
        """How good the best was after each evaluation, (runs, budget) float64; failed runs are infinite throughout.

        One objective: its best feasible value so far. Several: 1 - hypervolume of all candidates so far.
        """
        key = (task, algorithm)
        if key not in self._curves:
            rows = self.group(task, algorithm)
            with possible():
                scale = reference_scale(rows) if len(self.objectives(task)) > 1 else None
            self._curves[key] = np.stack([_curve(row, scale) for _, row in rows.iterrows()])
        return self._curves[key]

    def targets(self, task: str) -> np.ndarray:
        """Frozen targets of a task, (n,)."""
        if task not in self._targets:
            self._targets[task] = targets_of(self.group(task))
        return self._targets[task]

    def times(self, task: str, algorithm: str) -> np.ndarray:
        """Evaluations until each target was reached, (runs, targets), infinite if it was not; see `hitting_times`."""
        curves, row = self.curves(task, algorithm), self.group(task, algorithm).iloc[0]
        if len(self.objectives(task)) == 1:
            if not row["worst"] > row["ideal"]:
                raise Impossible(f"{task}: its records hold no ideal and worst value, hence no targets")
            curves = scaled(curves, row["ideal"], row["worst"])
        return np.stack([first_reached(curve, self.targets(task)) for curve in curves])

    def values(self, task: str) -> dict[str, np.ndarray]:
        """The measure of every run of a task, (runs,) by algorithm, the best algorithm first."""
        rows = self.group(task)
        with possible():
            found = pd.Series(measured(rows, self.measure), rows["algorithm"])
        return {name: found.loc[[name]].to_numpy() for name in self.order if name in found.index}


def _curve(row: pd.Series, scale: Scale | None) -> np.ndarray:
    budget, names = int(row["budget"]), str(row["objectives"]).split(",")
    curve = np.full(budget, np.inf)
    if row["status"] != "failed":
        # The first objective in its own unit, whether or not the record holds a scale.
        found = (best_so_far(Path(row["run"]), names[0]) if scale is None else progress(row, scale))[:budget]
        curve[: len(found)] = found
        if len(found):  # a search that ended early keeps what it had
            curve[len(found) :] = found[-1]
    return curve


def clean(text: object, longest: int = LONGEST) -> str:
    """Text from a record as it is drawn: printable, in one line, not too long."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    if len(shown) <= longest:
        return shown
    head = (longest - 1) * 2 // 3
    return f"{shown[:head]}…{shown[len(shown) - (longest - 1 - head) :]}"


def slug(text: object) -> str:
    """A file name from a name in a record: letters, digits, dots and hyphens, not hidden, never empty."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(text)).strip("-.")[:100] or "unnamed"


def counted(number: int, noun: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seeds(runs: pd.DataFrame) -> str:
    """How many runs there are per task and algorithm, in words."""
    sizes = runs.groupby(["task", "algorithm"]).size()
    low, high = int(sizes.min()), int(sizes.max())
    return counted(low, "run") if low == high else f"{low} to {high} runs"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names in a sentence; of many, the first few."""
    shown = [clean(name) for name in names[:most]]
    if len(names) > most:
        return ", ".join(shown) + f" and {len(names) - most} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
