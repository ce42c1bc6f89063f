"""A board as a static site: a leaderboard, a page for every problem, algorithm and run, tables and raw data.

It needs no server, no network and no script: pages refer to each other by relative links, and the script only sorts and
filters. The same runs give the same bytes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snnbench.errors import UsageError
from snnbench.experiment.disk import sha256
from snnbench.experiment.record import open_run
from snnbench.report import facts, links, ranking, tables, views
from snnbench.report.board import Board
from snnbench.report.folder import GeneratedFolder
from snnbench.report.html import asset, figures, render
from snnbench.report.plots import coloured, overall_plots, problem_plots

ASSETS = ("style.css", "tables.js", "icon.svg")
RAW = (
    "run.json", "start.json", "recommendation.json", "recommendation.safetensors", "evaluations.parquet",
    "timings.parquet",
)  # fmt: skip


def publish(shown: Board, out: Path, data: bool = True, plots: bool = True) -> GeneratedFolder:
    """Write a board's site.

    Parameters
    ----------
    shown
        From `board`.
    out
        Folder of the site; an earlier site in it is replaced.
    data
        Whether the runs' records are copied into it.
    plots
        Whether plots are drawn, which takes most of the time.

    Raises
    ------
    UsageError
        If the folder holds something else, or a run that is published.
    RecordError
        If a record is damaged.
    """
    target = out.resolve()
    for run in map(Path, shown.runs["run"]):
        # An earlier site is replaced: what is published must not be a part of it.
        if target.is_relative_to(run.resolve()) or run.resolve().is_relative_to(target):
            raise UsageError(f"a site and the runs in it may not lie in each other: {out}, {run}; name another --out")
    site = GeneratedFolder(out)
    for name in ASSETS:
        site.add(f"assets/{name}", asset(name))
    for row in shown.runs.to_dict("records"):
        _run(site, shown, row, data)
    measure = shown.ranking.measure
    colours = coloured(shown.ranked, measure) if plots else []
    for task in shown.tasks:
        drawn = figures(problem_plots(task.ranked, measure, colours), "p") if plots else []
        site.add(task.page, _page("problem.html", task.page, shown, task=task, figures=drawn))
    for name in sorted(shown.runs["algorithm"].unique()):
        page = links.algorithm_page(name)
        site.add(page, _page("algorithm.html", page, shown, **_algorithm(shown, name)))
    several = plots and len(shown.tasks) > 1
    drawn = figures(overall_plots(shown.ranked, measure, colours), "o") if several else []
    matrix = views.matrix(shown.ranking)
    site.add("index.html", _page("index.html", "index.html", shown, matrix=matrix, figures=drawn))
    for kind, suffix in tables.FORMATS.items():
        site.add(f"ranking.{suffix}", tables.formatted(shown.ranking, kind, problems=True))
    site.add("ranking.json", json.dumps(ranking.content(shown.ranking), indent=1, allow_nan=False) + "\n")
    site.save()
    return site


def _page(template: str, path: str, shown: Board, **values: Any) -> str:
    root = "../" * path.count("/")
    return render(
        template, root=root, board=shown, ranking=shown.ranking, views=views, links=links, linked=True, **values
    )


def _algorithm(shown: Board, name: str) -> dict[str, Any]:
    runs = shown.runs[shown.runs["algorithm"] == name]
    first = open_run(Path(runs["run"].iloc[0])).content["algorithm"]
    across = next((row for row in views.rows(shown.ranking.standings) if row.standing.algorithm == name), None)
    found = [(task, row) for task in shown.tasks for row in task.rows if row.standing.algorithm == name]
    source = {"class": first.get("class"), "source_sha256": first.get("source_sha256")}
    return {
        "name": name,
        "across": across,
        "found": found,
        "runs": runs,
        "reference": bool(first.get("reference")),
        "facts": {key: value for key, value in source.items() if value},
        "parameters": first.get("parameters") or {},
        "missing": shown.ranking.incomplete.get(name, []),
    }


def _run(site: GeneratedFolder, shown: Board, row: dict[str, Any], data: bool) -> None:
    folder, directory = row["folder"], Path(row["run"])
    try:
        known = facts.run_facts(directory)
        page = f"{folder}/index.html"
        files = [(path.name, path.stat().st_size, sha256(path)) for path in _raw(directory)]
        values = facts.page_values(known) | {"row": row, "task": _task(shown, row), "files": files, "data": data}
        html = _page("run.html", page, shown, **values)
    except facts.STRANGE as error:
        raise facts.strange(directory, error) from error
    site.add(page, html)
    if data:
        for name, _, digest in files:
            site.copy(f"{folder}/{name}", directory / name, digest)


def _task(shown: Board, row: dict[str, Any]) -> views.TaskView:
    return next(task for task in shown.tasks if task.label == row["task"])


def _raw(directory: Path) -> Iterator[Path]:
    """Files of a record that are published: no checkpoints, which only continue a run, and no symbolic links."""
    for name in RAW:
        path = directory / name
        if path.is_file() and not path.is_symlink():
            yield path
