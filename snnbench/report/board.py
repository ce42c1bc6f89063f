"""What a site or a page shows of recorded runs: their ranking, and every run with its place."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from snnbench.errors import UsageError
from snnbench.experiment.record import RunRecord, open_run
from snnbench.experiment.suite import Suite
from snnbench.report import links, views
from snnbench.report.facts import RunFacts
from snnbench.stats.ranking import Ranking, rank
from snnbench.stats.selection import TASK, select


@dataclass(frozen=True)
class Board:
    """What a site shows.

    Attributes
    ----------
    title, description
        Of the board.
    ranking
        Across problems, and on each.
    tasks
        Its problems.
    runs
        Ranked runs and gradient references, with the columns of `load_results`, ``task``, and ``folder``: the run's
        folder in the site.
    """

    title: str
    description: str
    ranking: Ranking
    tasks: list[views.TaskView]
    runs: pd.DataFrame

    @property
    def ranked(self) -> pd.DataFrame:
        """The runs without gradient references."""
        return views.competitors(self.runs)


def board(
    results: pd.DataFrame,
    title: str,
    description: str = "",
    measure: str = "test",
    alpha: float = 0.05,
    where: Sequence[str] = (),
    mixed: bool = False,
    alone: bool = False,
) -> Board:
    """Rank recorded runs for a board; parameters and errors as of `snnbench.stats.ranking.rank`."""
    ranked = rank(results, measure, alpha, where, mixed, alone)
    selection = select(results, where, mixed)
    found = [selection.runs]
    if not selection.references.empty:
        # References stand beside the runs of the same task.
        tasks = selection.runs[[*TASK, "task"]].drop_duplicates()
        found.append(selection.references.merge(tasks, on=list(TASK), how="inner"))
    runs = pd.concat(found).sort_values(["task", "algorithm", "seed"], ignore_index=True)
    runs["folder"] = _folders([Path(run) for run in runs["run"]])
    return Board(title, description, ranked, views.task_views(ranked, runs), runs)


def of_suite(results: pd.DataFrame, suite: Suite) -> tuple[pd.DataFrame, str]:
    """The runs on a suite's problems, as it fixes them, with its seeds; of any algorithm.

    Parameters
    ----------
    results
        From `load_results`.
    suite
        Which suite.

    Returns
    -------
    pandas.DataFrame
        The rows that belong to it.
    str
        How many do not, in words; "" if all do.

    Raises
    ------
    UsageError
        If none does.
    """
    belongs = [status == "unreadable" or _belongs(open_run(Path(run)), suite)
               for run, status in zip(results["run"], results["status"], strict=True)]  # fmt: skip
    kept = results[belongs]
    if (kept["status"] == "unreadable").all():
        raise UsageError(f"none of the {views.counted(len(results), 'run')} is of the suite {suite.title}")
    others = len(results) - len(kept)
    return kept, f"{views.counted(others, 'run')} not of the suite {suite.title} left out" if others else ""


def _belongs(record: RunRecord, suite: Suite) -> bool:
    plan, problem = record.plan, record.content["problem"]
    if plan.seed not in suite.seeds or plan.time_limit is not None:
        return False
    return any(
        (plan.problem, problem["version"], plan.budget) == (wanted.name, wanted.version, wanted.budget)
        and (tuple(problem["objectives"]) == wanted.objectives if wanted.objectives else not plan.objectives)
        and set(plan.constraints) == set(wanted.constraints)
        and dict(plan.problem_settings).keys() <= dict(wanted.settings).keys()
        and all(str(problem["parameters"].get(name)) == str(value) for name, value in wanted.settings)
        for wanted in suite.problems
    )


def _folders(runs: list[Path]) -> list[str]:
    """Folders in the site. Runs that differ only in the version of their problem have the same plan: a hash tells them
    apart."""
    wanted = []
    for run in runs:
        record = open_run(run)
        known = RunFacts(record, [], [])
        wanted.append((known.problem, known.algorithm, known.leaf, record.content["problem"]))
    plain = [links.run_folder(*parts[:3]) for parts in wanted]
    return [
        folder if plain.count(folder) == 1 else f"{folder}-{links.digest(json.dumps(parts[3], sort_keys=True))}"
        for folder, parts in zip(plain, wanted, strict=True)
    ]
