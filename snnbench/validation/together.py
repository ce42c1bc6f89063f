"""What can be seen only of several runs: copies, gaps, mixtures."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from snnbench import registry
from snnbench.errors import UsageError
from snnbench.experiment.disk import plain
from snnbench.experiment.plan import RunPlan, Unfit, check, plans
from snnbench.experiment.record import difference
from snnbench.experiment.suite import Suite, SuiteProblem
from snnbench.parameters import as_known_to, resolve
from snnbench.validation.findings import Report
from snnbench.validation.runs import Run


def duplicates(runs: Sequence[Run], report: Report) -> None:
    """Runs that are there twice, and runs whose candidates are those of another."""
    for group in _groups(runs, lambda run: _text(plain(run.record.plan.results_key()))):
        for run in group[1:]:
            report.add("error", "duplicates", run.path, f"is the same run as {group[0].path}")
    measured = [run for run in runs if run.rows is not None and len(run.rows.digests)]
    for group in _groups(measured, lambda run: (run.problem, run.rows.digests.tobytes() if run.rows else b"")):
        first = group[0]
        for run in group[1:]:
            if run.algorithm != first.algorithm:
                text = f"evaluated exactly the candidates of {first.path}, another algorithm's run"
                report.add("warning", "duplicates", run.path, text)
            elif run.content["plan"]["seed"] != first.content["plan"]["seed"]:
                text = f"evaluated exactly the candidates of {first.path}, which has another seed"
                report.add("error", "duplicates", run.path, text)


def declarations(runs: Sequence[Run], report: Report) -> None:
    """What is recorded of registered problems and algorithms is what they declare."""
    for run in runs:
        content, plan = run.content, run.content["plan"]
        if plan["problem"] in registry.entries("problem"):
            other = _undeclared(plan, content["problem"])
            if other:
                report.add("error", "schema", run.path, f"not what the plan's settings make of the problem: {other}")
        if plan["algorithm"] in (known := registry.entries("algorithm")):
            capabilities = known[plan["algorithm"]].declares("capabilities")
            gradient = isinstance(capabilities, Mapping) and bool(capabilities.get("gradient"))
            if gradient != bool(content["algorithm"].get("reference")):
                text = f"{run.algorithm} {'uses' if gradient else 'does not use'} gradients, the record says otherwise"
                report.add("error", "references", run.path, text)


def _undeclared(plan: Mapping[str, Any], problem: Mapping[str, Any]) -> str | None:
    kind = registry.load("problem", plan["problem"])
    if kind.version != problem["version"]:  # its parameters may have been others
        return None
    try:
        parameters = resolve(kind.Parameters, plan["problem_settings"], plan["problem"])
    except UsageError as error:
        return str(error)
    now = as_known_to(problem["parameters"], plain(asdict(parameters)), plan["problem_settings"])
    return difference(problem["parameters"], now, "parameters")


def mixtures(runs: Sequence[Run], report: Report) -> None:
    """Versions, modified checkouts, data, trained networks and devices."""
    for run in runs:
        git = run.content["environment"].get("git")
        if isinstance(git, Mapping) and git.get("dirty"):
            report.add("warning", "versions", run.path, f"made by a modified checkout of commit {git.get('commit')}")
        if git is None:
            report.add("note", "versions", run.path, "not made from a checkout: its version is all that is known of it")
        if not run.content["environment"]["versions"].get("snnbench"):
            report.add("warning", "versions", run.path, "the version of snnbench is not recorded")
        if not _official(run.content["problem"]["description"]):
            report.add("warning", "data", run.path, "not made on official data: not comparable with published results")
        if run.content["algorithm"].get("reference"):
            report.add("note", "references", run.path, f"{run.algorithm} uses gradients: shown, never ranked")
        for kind in ("problem", "algorithm"):
            name = run.content["plan"][kind]
            if ".py" in name:
                report.add("note", "references", run.path, f"{kind} {name} comes from a file, which is not executed")
    _one(runs, lambda run: run.content["environment"]["versions"], "versions", "packages", report)
    _one(runs, lambda run: _commit(run), "versions", "commits", report)
    _one(runs, lambda run: run.content["device"].partition(":")[0], "data", "kinds of device", report)
    for group in _groups(runs, lambda run: run.problem, 1):
        what = f"trained networks of {group[0].problem}"
        _one(group, lambda run: checkpoints(run.content["problem"]["description"]), "data", what, report)


def complete(runs: Sequence[Run], suite: Suite, report: Report) -> None:
    """Every algorithm that is there has every run of the suite; there are no others."""
    expected = {_task_of_suite(problem, suite): problem for problem in suite.problems}
    members: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for run in runs:
        task = _task(run.record.plan.results_key())
        problem, plan = expected.get(task), run.content["plan"]
        seed = plan["seed"]
        if problem is None or (plan.get("penalty") and not suite.penalty):
            report.add("error", "suite", run.path, f"is no run of {suite.title}: {_difference(run, suite)}")
        elif run.content["problem"]["version"] != problem.version:
            version = run.content["problem"]["version"]
            text = f"{problem.name} version {version}, the suite is about version {problem.version}"
            report.add("error", "suite", run.path, text)
        elif seed not in suite.seeds:
            report.add("error", "suite", run.path, f"seed {seed} is none of the suite's")
        else:
            members[run.algorithm][task].add(seed)
    for algorithm, found in members.items():
        name = next(run.content["plan"]["algorithm"] for run in runs if run.algorithm == algorithm)
        for task, problem in expected.items():
            missing = sorted(set(suite.seeds) - found.get(task, set()))
            reason = _unfit(name, problem, suite) if len(missing) == len(suite.seeds) else ""
            objectives = f" ({','.join(problem.objectives)})" if problem.objectives else ""
            place = f"{problem.name}{objectives}/{algorithm}"
            if reason:
                report.add("note", "suite", place, f"left out: {reason}")
            elif missing:
                text = f"{len(missing)} of {len(suite.seeds)} seeds are missing: {_list(missing)}"
                report.add("error", "suite", place, text)


def checkpoints(description: Mapping[str, Any]) -> list[str]:
    """SHA-256 of the networks that a problem was made from."""
    found = description.get("checkpoints")
    return [str(c.get("sha256")) for c in found if isinstance(c, Mapping)] if isinstance(found, list) else []


def _task(key: Mapping[str, Any]) -> str:
    """What a run was about, whoever ran it."""
    key = {k: v for k, v in key.items() if k not in ("algorithm", "algorithm_settings", "seed", "penalty")}
    return _text(plain(key))


def _task_of_suite(problem: SuiteProblem, suite: Suite) -> str:
    return _task(_plan(problem, suite, "random").results_key())


def _plan(problem: SuiteProblem, suite: Suite, algorithm: str) -> RunPlan:
    settings = [f"problem.{name}={value}" for name, value in problem.settings]
    made = plans(
        [algorithm], [problem.name], suite.seeds[:1], problem.budget, problem.objectives, problem.constraints, settings,
        penalty=suite.penalty,
    )  # fmt: skip
    return made[0]


def _unfit(algorithm: str, problem: SuiteProblem, suite: Suite) -> str:
    """Why an algorithm cannot run a problem; "" if it can, or nobody here knows."""
    if algorithm not in registry.entries("algorithm"):
        return ""
    try:
        check(_plan(problem, suite, algorithm))
    except Unfit as error:
        return str(error).partition("; algorithms that fit")[0]
    except UsageError:  # something is not installed here
        return ""
    return ""


def _difference(run: Run, suite: Suite) -> str:
    """In which respect, in words."""
    plan = run.content["plan"]
    same = [problem for problem in suite.problems if problem.name == run.problem]
    if not same:
        return f"{run.problem} is none of its problems"
    if plan["budget"] not in {problem.budget for problem in same}:
        return f"budget {plan['budget']:,}, not {same[0].budget:,}"
    return "other objectives, constraints, settings, a time limit, or penalties"


def _official(description: Mapping[str, Any]) -> bool:
    data = description.get("data")
    nested = data.get("official", True) if isinstance(data, Mapping) else True
    return bool(description.get("official", True)) and bool(nested)


def _commit(run: Run) -> str:
    git = run.content["environment"].get("git")
    return str(git.get("commit")) if isinstance(git, Mapping) else "no checkout"


def _one(runs: Sequence[Run], of: Callable[[Run], Any], check: str, what: str, report: Report) -> None:
    """A warning if the runs do not all agree."""
    counts: dict[str, int] = defaultdict(int)
    for run in runs:
        counts[_text(of(run))] += 1
    if len(counts) > 1:
        usual = max(counts, key=lambda text: counts[text])
        others = [run.path for run in runs if _text(of(run)) != usual]
        text = (
            f"{len(counts)} different {what}; {len(others)} runs differ from the most frequent, {others[0]} the first"
        )
        report.add("warning", check, "", text)


def _groups(runs: Iterable[Run], key: Callable[[Run], Any], least: int = 2) -> Iterator[list[Run]]:
    found: dict[Any, list[Run]] = defaultdict(list)
    for run in runs:
        found[key(run)].append(run)
    yield from (group for group in found.values() if len(group) >= least)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _list(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds[:8])) + (", ..." if len(seeds) > 8 else "")
