"""What the pages of a board show, as plain data: rows of tables with links, and what has to be said beside them."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from snnbench.experiment.record import open_run
from snnbench.report import links
from snnbench.report.ranking import tested_across
from snnbench.stats.measures import MEASURES
from snnbench.stats.ranking import Ranking, Standing, TaskRanking, Verdicts

__all__ = [
    "Row",
    "TaskView",
    "competitors",
    "counted",
    "extent",
    "judged",
    "matrix",
    "pair_rows",
    "rows",
    "task_views",
    "tested_across",
    "tested_within",
]


@dataclass(frozen=True)
class Row:
    """One algorithm in a leaderboard.

    Attributes
    ----------
    standing
        What the ranking says of it.
    shared
        How many algorithms have its rank, itself included.
    interval
        Where its value and interval lie between the ends of the table's scale, each in 0 to 100 (low, value, high);
        ``None`` where one of them is infinite.
    """

    standing: Standing
    shared: int
    interval: tuple[float, float, float] | None

    @property
    def page(self) -> str:
        """Its page, from the site's root."""
        return links.algorithm_page(self.standing.algorithm)


@dataclass(frozen=True)
class TaskView:
    """One problem as it was run: version, objectives, budget and settings.

    Attributes
    ----------
    ranking
        The ranking on it.
    name, page
        Its name in links, and its page from the site's root.
    facts
        ``problem``, ``version``, ``variant``, ``objectives``, ``budget``, ``ideal``, ``worst``.
    rows
        Algorithms, best first.
    runs
        Its runs, references included, with the columns of `load_results`, and ``folder``.
    references
        Label and first objective on the test split of what is there for comparison.
    """

    ranking: TaskRanking
    name: str
    page: str
    facts: dict[str, Any]
    rows: list[Row]
    runs: pd.DataFrame
    references: list[tuple[str, float]]

    @property
    def ranked(self) -> pd.DataFrame:
        """Its runs without gradient references."""
        return competitors(self.runs)

    @property
    def label(self) -> str:
        """How tables call it."""
        return self.ranking.task


def rows(standings: Sequence[Standing], low: float | None = None, high: float | None = None) -> list[Row]:
    """A leaderboard's rows; the scale of its intervals spans what is shown where no ends are given."""
    finite = [v for s in standings for v in (s.low, s.value, s.high) if math.isfinite(v)]
    low = min(finite, default=0.0) if low is None else low
    high = max(finite, default=1.0) if high is None else high
    counts = [s.rank for s in standings]
    return [Row(s, counts.count(s.rank), _placed(s, low, high)) for s in standings]


def task_views(ranking: Ranking, runs: pd.DataFrame) -> list[TaskView]:
    """One per problem of a ranking.

    Parameters
    ----------
    ranking
        Of these runs.
    runs
        What was ranked and the references, with the columns ``task`` and ``folder``.
    """
    views = []
    for task in ranking.tasks:
        own = runs[runs["task"] == task.task]
        first = competitors(own).iloc[0]
        keys = ("problem", "version", "variant", "objectives", "budget", "ideal", "worst")
        facts = {key: first[key] for key in keys}
        name = links.task_slug(facts)
        views.append(TaskView(task, name, links.task_page(name), facts, rows(task.standings), own, _references(own)))
    return views


def competitors(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that are ranked: all but those that use gradients."""
    return runs[~runs["reference"].astype(bool)]


def matrix(ranking: Ranking) -> list[tuple[str, list[Standing | None]]]:
    """Every algorithm's standing on every problem, in the order of the leaderboard; ``None`` where it was not run."""
    found = {(s.algorithm, t.task): s for t in ranking.tasks for s in t.standings}
    names = [s.algorithm for s in ranking.standings]
    names += sorted({s.algorithm for t in ranking.tasks for s in t.standings} - set(names))
    return [(name, [found.get((name, t.task)) for t in ranking.tasks]) for name in names]


def extent(ranking: Ranking) -> str:
    """How much a ranking rests on, in words."""
    names = {s.algorithm for t in ranking.tasks for s in t.standings}
    least, most = (f(t.seeds[i] for t in ranking.tasks) for i, f in ((0, min), (1, max)))
    seeds = counted(most, "seed") if least == most else f"{least} to {most} seeds"
    return f"{counted(len(ranking.tasks), 'problem')}, {counted(len(names), 'algorithm')}, {seeds}"


def counted(count: int, noun: str) -> str:
    """A number and what is counted: ``1 seed``, ``1,000 runs``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def judged(ranking: Ranking) -> str:
    """What runs are judged by, in words."""
    return f"{MEASURES[ranking.measure]}; lower is better"


def tested_within(task: TaskRanking, alpha: float) -> str:
    """What was tested on one problem, and what its seeds can show at best."""
    pairs = len(task.verdicts.pairs)
    text = (
        "Rank: one more than the number of algorithms that are significantly better (two-sided Mann-Whitney U test "
        f"over seeds, Holm's correction over {counted(pairs, 'pair')}, alpha {alpha:g}). Not told apart does not mean "
        "equal. Medians over seeds with 95 % bootstrap intervals."
    )
    if not pairs:
        return "One algorithm: nothing to compare it with. Median over seeds with a 95 % bootstrap interval."
    smallest = min(pair.smallest for pair in task.verdicts.pairs.values())
    corrected = min(1.0, smallest * pairs)
    text += f" So many seeds can give no p below {smallest:.2g}, which Holm makes {corrected:.2g}"
    return text + (": too few to tell any two apart." if corrected > alpha else ".")


def pair_rows(verdicts: Verdicts) -> list[dict[str, Any]]:
    """All pairs, the surest first, the better one named first."""
    found = []
    for (a, b), pair in verdicts.pairs.items():
        first, second = (a, b) if pair.effect >= 0 else (b, a)
        corrected = verdicts.corrected[a, b]
        found.append(
            {
                "better": first,
                "worse": second,
                "effect": abs(pair.effect),
                "p": pair.p,
                "corrected": corrected,
                "significant": corrected <= verdicts.alpha and pair.effect != 0,
            }
        )
    return sorted(found, key=lambda row: (row["corrected"], row["p"], -row["effect"], row["better"], row["worse"]))


def _references(runs: pd.DataFrame) -> list[tuple[str, float]]:
    """Medians of algorithms that use gradients, and of what a problem's fixed solutions reach."""
    gradients = runs[runs["reference"].astype(bool)]
    found = [(f"{name} (uses gradients)", float(group["test"].median()))
             for name, group in gradients.groupby("algorithm", sort=True)]  # fmt: skip
    lines: dict[str, list[float]] = {}
    for run, objectives in zip(runs["run"], runs["objectives"], strict=True):
        for label, values in (open_run(Path(run)).content.get("reference_lines") or {}).items():
            value = values.get(objectives.partition(",")[0]) if isinstance(values, dict) else None
            if isinstance(value, int | float):
                lines.setdefault(str(label), []).append(float(value))
    return found + [(label, statistics.median(values)) for label, values in lines.items()]


def _placed(standing: Standing, low: float, high: float) -> tuple[float, float, float] | None:
    values = (standing.low, standing.value, standing.high)
    if not all(math.isfinite(v) for v in values):
        return None
    span = high - low
    shares = [100.0 * (v - low) / span if span > 0 else 50.0 for v in values]
    first, middle, last = (round(min(100.0, max(0.0, share)), 1) for share in shares)
    return first, middle, last
