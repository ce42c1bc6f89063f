"""One self-contained HTML file: a run, or a set of runs. No script, nothing fetched; styles and drawings are inside."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from snnbench.errors import RecordError
from snnbench.experiment.record import open_run
from snnbench.report import facts, links, views
from snnbench.report.board import Board
from snnbench.report.commands import commands
from snnbench.report.html import asset, figures, render
from snnbench.report.plots import coloured, overall_plots, problem_plots, run_plots


def run_page(directory: Path) -> str:
    """A page on one run, in whatever state it is.

    Raises
    ------
    RecordError
        If its record is damaged.
    """
    try:
        known = facts.run_facts(directory)
        title = f"{known.algorithm} on {known.problem}, seed {known.plan.seed}"
        return _page("report_run.html", title, **facts.page_values(known), figures=figures(run_plots(directory), "r"))
    except facts.STRANGE as error:
        raise facts.strange(directory, error) from error


def runs_page(shown: Board) -> str:
    """A page on a set of runs: who ranks where and how sure that is, plots, what it was run on, how to repeat it."""
    ranked = shown.ranking
    colours = coloured(shown.ranked, ranked.measure)
    drawn = figures(overall_plots(shown.ranked, ranked.measure, colours), "o") if len(shown.tasks) > 1 else []
    sections = [
        {"task": task, "figures": figures(problem_plots(task.ranked, ranked.measure, colours), f"p{i}-")}
        for i, task in enumerate(shown.tasks)
    ]
    records = [open_run(Path(run)) for run in shown.runs["run"]]
    return _page(
        "report_runs.html",
        shown.title,
        board=shown,
        ranking=ranked,
        matrix=views.matrix(ranked),
        figures=drawn,
        sections=sections,
        environments=_environments([record.content for record in records]),
        commands=commands(record.plan for record in records),
    )


def _page(template: str, title: str, **values: Any) -> str:
    style = Markup(asset("style.css"))
    return render(template, title=title, style=style, root="", views=views, links=links, linked=False, **values)


def _environments(contents: Sequence[dict[str, Any]]) -> list[tuple[int, list[tuple[str, Any]]]]:
    """Number of runs and facts of every different environment, the most frequent first."""
    found: dict[str, tuple[int, list[tuple[str, Any]]]] = {}
    for content in contents:
        try:
            rows = facts.environment_rows(content)
        except (AttributeError, TypeError) as error:
            raise RecordError(f"a run.json holds no readable environment ({error})") from None
        count, _ = found.get(repr(rows), (0, rows))
        found[repr(rows)] = (count + 1, rows)
    return sorted(found.values(), key=lambda item: -item[0])
