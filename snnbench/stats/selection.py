"""Which runs may be ranked together, and in words why others may not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from snnbench.errors import UsageError

TASK = ("problem", "version", "variant", "objectives", "budget")
"""What makes two runs runs on the same task."""

CIRCUMSTANCES = {"device": "devices", "official": "official and unofficial data"}


@dataclass
class Selection:
    """Runs that are ranked, and what a reader has to know of the others.

    Attributes
    ----------
    runs
        Complete and failed runs of competitors, with a column ``task``.
    references
        Complete runs of algorithms that use gradients, never ranked.
    notes
        Footnotes, one line each.
    """

    runs: pd.DataFrame
    references: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def select(results: pd.DataFrame, where: Sequence[str] = (), mixed: bool = False) -> Selection:
    """Choose the runs to rank.

    Parameters
    ----------
    results
        From `load_results`.
    where
        Conditions ``column=value``, comma-separated alternatives: ``budget=400``, ``algorithm=de,cade``.
    mixed
        Whether versions, variants, objectives, budgets, devices and kinds of data may be mixed. Different versions,
        variants, objectives and budgets are then problems of their own, and devices, data and members pooled; notes
        say so.

    Raises
    ------
    UsageError
        If nothing is left; if runs are mixed that must not be silently; if a run is there twice.
    """
    results = filtered(results, where)
    notes = unfinished(results)
    runs = results[results["status"].isin(("complete", "failed"))].copy()
    references = runs["reference"].astype(bool) if "reference" in runs else pd.Series(False, runs.index)
    runs, gradients = runs[~references].copy(), runs[references & (runs["status"] == "complete")].copy()
    if runs.empty:
        chosen = f" with {' and '.join(where)}" if where else ""
        raise UsageError(f"no complete run{chosen} to rank" + (f"; {notes[0]}" if notes else ""))
    notes += _mixtures(runs, mixed)
    runs["task"] = task_labels(runs)
    twice = runs[runs.duplicated(["task", "algorithm", "seed"], keep=False)]
    if len(twice):
        one, other = twice.sort_values(["task", "algorithm", "seed"])["run"].iloc[:2]
        raise UsageError(f"the same run is there twice: {one} and {other}; remove one of them")
    failed = int((runs["status"] == "failed").sum())
    if failed:
        notes.append(f"{failed} failed runs count as worse than any other")
    if "penalty" in runs and (told := sorted(runs.loc[runs["penalty"].astype(bool), "algorithm"].unique())):
        where_told = ", ".join(sorted(runs.loc[runs["penalty"].astype(bool), "task"].unique()))
        notes.append(f"told penalised objectives in the place of constraints on {where_told}: {', '.join(told)}")
    return Selection(runs.sort_values(["task", "algorithm", "seed"]), gradients, notes)


def unfinished(results: pd.DataFrame) -> list[str]:
    """What is said about runs that are neither complete nor failed."""
    notes = []
    for status, group in results[~results["status"].isin(("complete", "failed"))].groupby("status"):
        count = f"{len(group)} {status} {'run is' if len(group) == 1 else 'runs are'} left out"
        why = f"the first: {group['detail'].iloc[0]}" if status == "unreadable" else "`snnbench status` lists them"
        notes.append(f"{count} ({why})")
    return notes


def filtered(results: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """Rows that meet all conditions ``column=value``; unreadable runs stay, to be mentioned."""
    for condition in where:
        column, equals, text = condition.partition("=")
        if not equals or column not in results:
            known = ", ".join(name for name in results if "." not in name)
            raise UsageError(f"condition {condition!r} is not of the form column=value, with a column of {known}")
        wanted = text.split(",") if column not in ("algorithm", "objectives", "variant") else _alternatives(text)
        # Statuses of unreadable runs have no other column: they are kept, to be mentioned.
        keep = results[column].map(_text).isin(wanted) | (results["status"] == "unreadable")
        results = results[keep]
    return results


def _alternatives(text: str) -> list[str]:
    """A value with commas in it, and its parts: names with settings and lists of objectives hold commas too."""
    return [text, *text.split(",")]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _mixtures(runs: pd.DataFrame, mixed: bool) -> list[str]:
    notes = []
    for column in TASK[1:]:
        counts = runs.groupby("problem")[column].nunique()
        for problem in counts.index[counts > 1]:
            values = sorted({_text(v) or "standard" for v in runs.loc[runs["problem"] == problem, column]})
            text = f"{problem} was run with different {column}: {'; '.join(values[:4])}"
            if not mixed:
                choice = "" if column == "variant" else f"--where {column}={values[-1]} chooses, "
                raise UsageError(f"{text}. {choice}--allow-mixed ranks them as different problems")
            notes.append(f"{text}; ranked as different problems")
    notes += _differing_members(runs, mixed)
    for column, words in CIRCUMSTANCES.items():
        values = sorted({_text(v) for v in runs[column]})
        if len(values) > 1:
            if not mixed:
                raise UsageError(
                    f"runs of different {words} ({', '.join(values)}); --where {column}={values[0]} chooses, "
                    "--allow-mixed ranks them together"
                )
            notes.append(f"runs of different {words} are ranked together")
        elif column == "official" and values == ["False"]:
            notes.append("none of the runs used official data: not comparable with published results")
    return notes


def _differing_members(runs: pd.DataFrame, mixed: bool) -> list[str]:
    """The same training rounds differently on different processors: searches may have begun from other networks."""
    if "members" not in runs:
        return []
    notes = []
    for (problem, _, _), found in runs.groupby(["problem", "version", "variant"])["members"].unique().items():
        if len(found) > 1:
            text = f"{problem} was run from differently trained networks (members {', '.join(sorted(found)[:4])})"
            if not mixed:
                raise UsageError(
                    f"{text}; --where members={sorted(found)[-1]} chooses, --allow-mixed ranks them together"
                )
            notes.append(f"{text}; they are ranked together")
    return notes


def task_labels(runs: pd.DataFrame) -> pd.Series:
    """Short names of tasks: the problem, and whatever distinguishes its tasks."""
    labels = runs["problem"].astype(str)
    for column in TASK[1:]:
        several = runs["problem"].map(runs.groupby("problem")[column].nunique()) > 1
        labels = labels.where(~several, labels + " · " + column + " " + runs[column].map(_text).replace("", "standard"))
    return labels
