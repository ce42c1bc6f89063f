"""The end of a run on the terminal."""

from typing import Any

from snnbench.experiment.recommendation import violation
from snnbench.experiment.record import RunResult
from snnbench.registry import display_name
from snnbench.report.text import duration, number, percent, table

REFERENCE = "uses gradients: a reference, not ranked among the gradient-free"
# Metric, label, unit, whether it is a share; shown before and after where a problem measures it.
_LINES = (
    ("accuracy", "test accuracy", "", True),
    ("spikes", "spikes per sample", "", False),
    ("energy", "energy per sample", " nJ", False),
    ("latency", "latency, early exit", " steps", False),
)


def summary(result: RunResult, objectives: list[str]) -> str:
    """What a run achieved: objectives on all three splits before and after, and what they cost.

    "Start" is the candidate of the initial design, and "end" the candidate of the run, that validation picks; test
    figures are of these two only.
    """
    plan = result.plan
    title = f"{display_name('problem', plan.problem)} · {display_name('algorithm', plan.algorithm)} · seed {plan.seed}"
    seconds = result.timings.get("search", float("nan"))
    rate = result.evaluations / seconds if seconds else float("nan")
    made = f"{result.evaluations:,} evaluations in {duration(seconds)} ({number(rate)}/s)"
    ended = "" if result.stop == "budget" else f", ended by the {result.stop}"
    lines = [title, made + ended + (", complete before" if result.cached else "")]
    if result.workers and result.workers["utilisation"] is not None:
        kind = "asynchronous, " if result.workers["asynchronous"] else ""
        lines.append(
            f"{result.workers['count']} workers, {kind}busy {percent(result.workers['utilisation'])} of the time"
        )
    if result.early_rejection:
        left, share = int(result.early_rejection["rejected"]), percent(result.early_rejection["samples"])
        lines.append(f"{left:,} candidates left as soon as they had lost; {share} of the samples were run")
    if result.reference:
        lines.append(REFERENCE)
    lines.append("")
    if not result.final:
        return "\n".join([*lines, "no candidate could be evaluated: see the failure column of the record"])
    start = result.start[0] if result.start else None
    amounts = [violation(point["validation"]) for point in result.final]
    if min(amounts) > 0:
        lines += [f"no feasible candidate: what follows violates constraints by {number(min(amounts))}", ""]
    elif violation(result.final[0]["test"]):
        lines += [
            f"infeasible on test, by {number(violation(result.final[0]['test']))}, although not on validation",
            "",
        ]
    if len(objectives) == 1:
        lines += [_objective_table(objectives[0], start, result.final[0]), ""]
        lines += _changes(start, result.final[0])
        lines += _references(result.reference_lines, objectives[0])
    else:
        lines += [_front(objectives, result.final)]
    return "\n".join(lines)


def overview(results: list[tuple[RunResult, list[str]]]) -> str:
    """One line per run, for a matrix of runs."""
    rows = []
    for result, objectives in results:
        plan, first = result.plan, (result.final or [{}])[0]
        name = objectives[0]
        values = [_value(first, split, name) for split in ("search", "validation", "test")]
        problem, algorithm = display_name("problem", plan.problem), display_name("algorithm", plan.algorithm)
        rows.append(
            [problem, algorithm + "*" * result.reference, str(plan.seed), f"{result.evaluations:,}", name, *values]
        )
    header = ["problem", "algorithm", "seed", "evaluations", "objective", "search", "validation", "test"]
    footnote = f"\n* {REFERENCE}" if any(result.reference for result, _ in results) else ""
    return table(header, rows) + footnote


def _value(point: dict[str, Any], split: str, name: str) -> str:
    if not point:
        return "failed"
    return "infeasible" if violation(point[split]) else number(point[split][name])


def _objective_table(name: str, start: dict[str, Any] | None, end: dict[str, Any]) -> str:
    splits = ("search", "validation", "test")
    rows = [[f"{name} at {label}", *(number(point[s][name]) for s in splits)]
            for label, point in (("start", start), ("end", end)) if point]  # fmt: skip
    return table(["", *splits], rows)


def _changes(start: dict[str, Any] | None, end: dict[str, Any]) -> list[str]:
    lines = []
    for metric, label, unit, share in _LINES:
        if not isinstance(_last(end["test"].get(metric, [])), list):
            shown = percent if share else number
            after = shown(_last(end["test"][metric])) + unit
            before = f"{shown(_last(start['test'][metric]))} -> " if start else ""
            lines.append(f"{label:21}{before}{after}")
    return lines


def _references(fixed: dict[str, dict[str, float]], objective: str) -> list[str]:
    """What fixed solutions reach on test, to compare with."""
    shown = {name: values[objective] for name, values in fixed.items() if objective in values}
    if not shown:
        return []
    width = max(20, *map(len, shown))
    heading = f"\nfor comparison, {objective} on test of"
    return [heading, *(f"  {name:{width}} {number(value)}" for name, value in shown.items())]


def _last(value: Any) -> Any:
    """The value after all steps of a metric that is recorded after every step; a list if it is no such metric."""
    return value[-1] if isinstance(value, list) and value else value


def _front(objectives: list[str], points: list[dict[str, Any]], most: int = 15) -> str:
    ordered = sorted(points, key=lambda p: p["validation"][objectives[0]])
    rows = [[str(i + 1), *(_value(p, "test", name) for name in objectives)] for i, p in enumerate(ordered[:most])]
    text = f"{len(points)} candidates, none better than another on validation; on test:\n"
    text = text if len(points) > 1 else "1 candidate, better than all others on validation; on test:\n"
    text += table(["", *objectives], rows)
    return text + (f"\n... and {len(points) - most} more in recommendation.json" if len(points) > most else "")
