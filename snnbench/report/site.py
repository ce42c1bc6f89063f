"""A board as a static site: a leaderboard, a page for every problem, algorithm and run, tables and raw data.

It needs no server, no network and no script: pages refer to each other by relative links, and the script only sorts and
filters. The same runs give the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from snnbench.errors import RecordError, UsageError
from snnbench.experiment.record import open_run
from snnbench.report import facts as run_facts
from snnbench.report import links, ranking, tables, views
from snnbench.report.chart import chart
from snnbench.report.commands import commands
from snnbench.report.folder import GeneratedFolder, file_sha256
from snnbench.report.html import asset, figures, render
from snnbench.report.plots import overall_plots, problem_plots
from snnbench.stats.curves import best_so_far
from snnbench.stats.ranking import Ranking, rank
from snnbench.stats.selection import select

ASSETS = ("style.css", "tables.js", "icon.svg")
RAW = (
    "run.json", "start.json", "recommendation.json", "recommendation.safetensors", "evaluations.parquet",
    "timings.parquet",
)  # fmt: skip


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


def board(
    results: pd.DataFrame,
    title: str,
    description: str = "",
    measure: str = "test",
    alpha: float = 0.05,
    where: Sequence[str] = (),
    mixed: bool = False,
) -> Board:
    """Rank recorded runs for a board; parameters and errors as of `snnbench.stats.ranking.rank`."""
    ranked = rank(results, measure, alpha, where, mixed)
    selection = select(results, where, mixed)
    found = [selection.runs]
    if not selection.references.empty:
        # References stand beside the runs of the same task.
        key = ["problem", "version", "variant", "objectives", "budget"]
        tasks = selection.runs[[*key, "task"]].drop_duplicates()
        found.append(selection.references.merge(tasks, on=key, how="inner"))
    runs = pd.concat(found).sort_values(["task", "algorithm", "seed"], ignore_index=True)
    runs["folder"] = _folders([Path(run) for run in runs["run"]])
    return Board(title, description, ranked, views.task_views(ranked, runs), runs)


def publish(shown: Board, out: Path, data: bool = True) -> GeneratedFolder:
    """Write a board's site.

    Parameters
    ----------
    shown
        From `board`.
    out
        Folder of the site; an earlier site in it is replaced.
    data
        Whether the runs' records are copied into it.

    Raises
    ------
    UsageError
        If the folder holds something else, or lies among the runs.
    RecordError
        If a record is damaged.
    """
    target = out.resolve()
    for run in map(Path, shown.runs["run"]):
        if target.is_relative_to(run.resolve()):
            raise UsageError(f"{out} lies in the run {run}; name a folder elsewhere")
    site = GeneratedFolder(out)
    for name in ASSETS:
        site.add(f"assets/{name}", asset(name))
    for row in shown.runs.to_dict("records"):
        _run(site, shown, row, data)
    for task in shown.tasks:
        drawn = figures(problem_plots(_ranked(task.runs), shown.ranking.measure), "p")
        site.add(task.page, _page("problem.html", task.page, shown, task=task, figures=drawn))
    for name in sorted(shown.runs["algorithm"].unique()):
        page = links.algorithm_page(name)
        site.add(page, _page("algorithm.html", page, shown, **_algorithm(shown, name)))
    drawn = figures(overall_plots(_ranked(shown.runs), shown.ranking.measure), "o") if len(shown.tasks) > 1 else []
    matrix = views.matrix(shown.ranking)
    site.add("index.html", _page("index.html", "index.html", shown, matrix=matrix, figures=drawn))
    for kind, suffix in tables.FORMATS.items():
        site.add(f"ranking.{suffix}", tables.formatted(shown.ranking, kind, problems=True))
    site.add("ranking.json", json.dumps(ranking.content(shown.ranking), indent=1, allow_nan=False) + "\n")
    site.save()
    return site


def _page(template: str, path: str, shown: Board, **values: Any) -> str:
    root = "../" * path.count("/")
    return render(template, root=root, board=shown, ranking=shown.ranking, views=views, links=links, **values)


def _ranked(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[~runs["reference"].astype(bool)]


def _folders(runs: list[Path]) -> list[str]:
    """Folders in the site. Runs that differ only in the version of their problem have the same plan: a hash tells them
    apart."""
    wanted = []
    for run in runs:
        record = open_run(run)
        known = run_facts.RunFacts(record, [], [])
        wanted.append((known.problem, known.algorithm, known.leaf, record.content["problem"]))
    plain = [links.run_folder(*parts[:3]) for parts in wanted]
    return [
        folder if plain.count(folder) == 1 else f"{folder}-{links.digest(json.dumps(parts[3], sort_keys=True))}"
        for folder, parts in zip(plain, wanted, strict=True)
    ]


def _algorithm(shown: Board, name: str) -> dict[str, Any]:
    runs = shown.runs[shown.runs["algorithm"] == name]
    first = open_run(Path(runs["run"].iloc[0])).content["algorithm"]
    across = next((row for row in views.rows(shown.ranking.standings) if row.standing.algorithm == name), None)
    found = [(task, row) for task in shown.tasks for row in task.rows if row.standing.algorithm == name]
    facts = {"class": first.get("class"), "source_sha256": first.get("source_sha256")}
    return {
        "name": name,
        "across": across,
        "found": found,
        "runs": runs,
        "reference": bool(first.get("reference")),
        "facts": {key: value for key, value in facts.items() if value},
        "parameters": first.get("parameters") or {},
        "missing": shown.ranking.incomplete.get(name, []),
    }


def _run(site: GeneratedFolder, shown: Board, row: dict[str, Any], data: bool) -> None:
    folder, directory = row["folder"], Path(row["run"])
    try:
        known = run_facts.run_facts(directory)
        files = [(path.name, path.stat().st_size, file_sha256(path)) for path in _raw(directory)]
        page = f"{folder}/index.html"
        values = {
            "facts": known,
            "metrics": run_facts.metric_rows(known),
            "front": run_facts.front(known),
            "commands": commands([known.plan]),
            "environment": run_facts.environment_rows(known.content),
            "description": run_facts.flattened(known.content["problem"].get("description") or {}),
            "chart": _chart(directory, known),
        }
        html = _page("run.html", page, shown, row=row, task=_task(shown, row), files=files, data=data, **values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(
            f"{directory / 'run.json'} is not as snnbench wrote it ({type(error).__name__}: {error})"
        ) from error
    site.add(page, html)
    if data:
        for name, _, sha256 in files:
            site.copy(f"{folder}/{name}", directory / name, sha256)


def _chart(directory: Path, known: run_facts.RunFacts) -> Any:
    objectives = known.content["problem"]["objectives"]
    return chart(best_so_far(directory, objectives[0]), objectives[0]) if len(objectives) == 1 else None


def _task(shown: Board, row: dict[str, Any]) -> views.TaskView:
    return next(task for task in shown.tasks if task.label == row["task"])


def _raw(directory: Path) -> Iterator[Path]:
    """Files of a record that are published: no checkpoints, which only continue a run, and no symbolic links."""
    for name in RAW:
        path = directory / name
        if path.is_file() and not path.is_symlink():
            yield path
