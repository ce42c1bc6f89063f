"""Recommendations of a few runs, measured again."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from snnbench import registry
from snnbench.errors import SnnbenchError
from snnbench.experiment.disk import plain
from snnbench.experiment.environment import hardware, versions
from snnbench.experiment.evaluator import Evaluator
from snnbench.experiment.overrides import EvaluationParameters
from snnbench.experiment.plan import build_problem
from snnbench.experiment.record import difference
from snnbench.experiment.session import identity
from snnbench.parameters import as_known_to
from snnbench.problem import Context, Problem, Split
from snnbench.validation.findings import Report, clean
from snnbench.validation.runs import Run
from snnbench.validation.together import checkpoints
from snnbench.validation.vectors import check_box


def recompute(
    runs: Sequence[tuple[Run, torch.Tensor]],
    number: int,
    seed: int,
    tolerance: float,
    context: Context,
    trust_code: bool,
    report: Report,
) -> None:
    """Measure the first recommended point of some runs again, on the search and test split.

    Parameters
    ----------
    runs
        Complete ones with their vectors (k, d).
    number
        How many.
    seed
        Of their choice.
    tolerance
        Largest accepted difference, as a share of the objective's frozen range.
    context
        Folders and display; the device is the CPU, or the runs' own where it is here.
    trust_code
        Whether problems from files are executed.
    report
        Receives findings, and ``sample``.
    """
    offered = []
    for run, x in runs:
        if run.foreign and not trust_code:
            report.add("warning", "recomputation", run.path, "not recomputable: its problem is a file, not executed")
        elif run.measured:
            offered.append((run, x))
    chosen = sorted(random.Random(seed).sample(range(len(offered)), min(number, len(offered))))
    report.sample = {"seed": seed, "tolerance": tolerance, "offered": len(offered), "runs": []}
    prepared: dict[str, Problem | str] = {}
    for run, x in (offered[i] for i in chosen):
        key = _key(run)
        if key not in prepared:
            prepared[key] = _prepare(run, context)
        problem = prepared[key]
        if isinstance(problem, str):
            report.add("error", "recomputation", run.path, problem)
        else:
            report.sample["runs"].append(_again(run, x, problem, tolerance, report))
    for run, x in offered:
        problem = prepared.get(_key(run), "")
        if isinstance(problem, Problem) and problem.dimension == x.shape[1]:
            check_box(run, x, problem.space, report)


def _key(run: Run) -> str:
    plan = run.content["plan"]
    parts = ("problem", "problem_settings", "objectives", "constraints", "device")
    return repr([plan[part] for part in parts])


def _prepare(run: Run, context: Context) -> Problem | str:
    """The run's problem, ready; or why there is none, in words."""
    plan = run.record.plan
    try:
        installed = registry.load("problem", plan.problem).version
        if installed != run.content["problem"]["version"]:
            version = run.content["problem"]["version"]
            return f"problem version {version}, installed is {installed}: validate it with the snnbench that has it"
        here = torch.cuda.is_available() or not run.content["device"].startswith("cuda")
        problem = build_problem(
            replace(plan, device="auto" if here and "cuda" in run.content["device"] else "cpu"), context
        )
        problem.prepare()
    except SnnbenchError as error:
        return f"its problem cannot be prepared here: {error}"
    return problem


def _again(run: Run, x: torch.Tensor, problem: Problem, tolerance: float, report: Report) -> dict[str, Any]:
    """Measure one run's first point; what came out."""
    recorded = run.content["problem"]["description"]
    now = plain(identity(run.record.plan, problem))
    networks = checkpoints(recorded) == checkpoints(now["description"])
    machine = _machine(run)
    largest = 0.0
    values: dict[str, Any] = {}
    splits: tuple[Split, ...] = ("test",) if problem.noisy else ("search", "test")
    for split in splits:
        evaluator = Evaluator(problem, EvaluationParameters(), lambda text: None)
        found = evaluator.all(x[:1].to(problem.context.device), split)
        for j, name in enumerate(problem.selected):
            ideal, worst = problem.reference_points()[name]
            was, is_now = float(run.final[0][split][name]), float(found.objectives[0, j])
            values[f"{split}.{name}"] = {"recorded": was, "here": plain(is_now)}
            largest = max(largest, abs(was - is_now) / (worst - ideal))
    agrees = largest <= tolerance
    text = f"{_shown(values)}: {'differs by' if largest else 'equal;'} {largest:.2%} of the range"
    if agrees:
        outcome = "agrees"
    elif not networks:
        outcome = "other networks"
        text += "; this machine trained other networks, so values need not agree"
        report.add("warning", "recomputation", run.path, text)
    elif machine:
        outcome = "another machine"
        report.add("warning", "recomputation", run.path, f"{text}; recorded on another machine ({machine})")
    else:
        outcome = "differs"
        report.add("error", "recomputation", run.path, text)
    was = run.content["problem"]
    now["parameters"] = as_known_to(was["parameters"], now["parameters"], dict(run.record.plan.problem_settings))
    other = difference(_frozen(was), _frozen(now), "problem")
    if other:
        report.add("error", "recomputation", run.path, f"is not the problem that is installed: {other}")
    return {
        "run": clean(str(run.path)), "outcome": outcome, "difference": plain(largest), "values": values,
        "same_networks": networks,
    }  # fmt: skip


def _frozen(problem: Mapping[str, Any]) -> dict[str, Any]:
    """What training cannot change."""
    names = ("name", "version", "standard", "dimension", "objectives", "constraints", "parameters", "reference_points")
    return {name: problem.get(name) for name in names}


def _machine(run: Run) -> str:
    """In which respect that matters for rounding this is another machine; "" if in none."""
    environment = run.content["environment"]
    pairs = {
        "torch": (environment["versions"].get("torch"), versions().get("torch")),
        "CPU": (environment["hardware"].get("cpu"), hardware().get("cpu")),
        "device": (run.content["device"].partition(":")[0], "cuda" if torch.cuda.is_available() else "cpu"),
    }
    return ", ".join(f"{name} {was}, here {now}" for name, (was, now) in pairs.items() if was != now)


def _shown(values: Mapping[str, Mapping[str, Any]]) -> str:
    def number(value: Any) -> str:
        return "infinite" if value is None else f"{value:.6g}"

    return ", ".join(f"{name} {number(v['recorded'])}, here {number(v['here'])}" for name, v in values.items())


def cache_context(cache_dir: Path | None, data_dir: Path | None) -> Context:
    """Folders for the preparation of problems."""
    return Context(data_dir=data_dir) if cache_dir is None else Context(data_dir=data_dir, cache_dir=cache_dir)
