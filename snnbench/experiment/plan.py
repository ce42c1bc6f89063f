"""What is to be run: the matrix of problems, algorithms and seeds, and whether its parts fit together."""

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from snnbench import registry
from snnbench.algorithm import NO_CONSTRAINTS, Algorithm, Capabilities
from snnbench.errors import RecordError, UsageError
from snnbench.experiment import overrides
from snnbench.experiment.environment import resolve_device
from snnbench.experiment.overrides import Settings
from snnbench.parameters import resolve
from snnbench.problem import Context, Estimate, Problem

MOST_WORKERS = 1024
_NO_MEMORY = ("allocate memory", "out of memory", "verflow")  # what PyTorch says about sizes that no machine has


class Unfit(UsageError):
    """An algorithm that cannot work on a problem: too many dimensions, objectives, constraints."""


@dataclass(frozen=True)
class RunPlan:
    """One run: everything that decides its results, and how it is evaluated.

    Attributes
    ----------
    problem, algorithm
        Registered names or ``/path/file.py:Class``.
    budget
        Evaluations.
    seed
        Seed of all random streams.
    objectives
        Names of metrics; empty for the problem's default.
    constraints
        Names of the problem's optional constraints that are switched on.
    problem_settings, algorithm_settings, evaluation_settings
        Parameters that differ from their defaults.
    time_limit
        Seconds of search, or ``None``.
    device
        ``auto``, ``cpu`` or ``cuda:N``.
    eval_workers
        Candidates evaluated at once, in processes of their own if more than one or asynchronous.
    asynchronous
        Whether a new candidate is asked for as soon as a worker is free. Then results depend on `eval_workers`.
    penalty
        Whether the algorithm is told penalised objectives in the place of constraints (`snnbench.experiment.penalty`).
    early_rejection
        Whether candidates are left as soon as they certainly lose, where problem and algorithm know how
        (`snnbench.algorithm.Algorithm.bounds`). What is recorded of those is another thing than without.
    """

    problem: str
    algorithm: str
    budget: int
    seed: int = 0
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    problem_settings: Settings = ()
    algorithm_settings: Settings = ()
    evaluation_settings: Settings = ()
    time_limit: float | None = None
    device: str = "auto"
    eval_workers: int = 1
    asynchronous: bool = False
    penalty: bool = False
    early_rejection: bool = False

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise UsageError(f"budget must be at least 1 evaluation, got {self.budget}")
        if self.seed < 0:
            raise UsageError(f"seed must be 0 or more, got {self.seed}")
        if self.time_limit is not None and not (math.isfinite(self.time_limit) and self.time_limit > 0):
            raise UsageError(f"time limit must be positive, got {self.time_limit}")
        if not 1 <= self.eval_workers <= MOST_WORKERS:
            raise UsageError(f"evaluation workers must be 1 to {MOST_WORKERS}, got {self.eval_workers}")

    def directory(self, out: Path) -> Path:
        """Where the run's record goes: readable, and different for plans with different results."""
        special = {
            name: getattr(self, name)
            for name in ("objectives", "constraints", "problem_settings", "algorithm_settings", "time_limit")
            if getattr(self, name)
        }
        if self.asynchronous:
            special["asynchronous"] = self.eval_workers
        special |= {name: True for name in ("penalty", "early_rejection") if getattr(self, name)}
        leaf = f"budget{self.budget}-seed{self.seed}"
        if special:
            leaf += "-" + hashlib.sha256(json.dumps(special, sort_keys=True).encode()).hexdigest()[:8]
        labels = registry.display_name("problem", self.problem), registry.display_name("algorithm", self.algorithm)
        return out / labels[0] / labels[1] / leaf

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``run.json``."""
        content = dataclasses.asdict(self)
        return {k: dict(v) if k.endswith("_settings") else v for k, v in content.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "RunPlan":
        """The inverse of `to_dict`; raises `RecordError` for anything else."""
        try:
            values: dict[str, Any] = {
                k: tuple(sorted(v.items())) if k.endswith("_settings") else v for k, v in content.items()
            }
            names = {k: tuple(content.get(k, ())) for k in ("objectives", "constraints")}
            return cls(**(values | names))
        except (AttributeError, KeyError, TypeError, UsageError) as error:
            raise RecordError(f"the recorded plan cannot be read ({error})") from None

    def results_key(self) -> dict[str, Any]:
        """The part that decides results: two runs that agree in it, on one device, are the same run."""
        content = self.to_dict()
        without = {"evaluation_settings", "device"} | (set() if self.asynchronous else {"eval_workers"})
        return {k: v for k, v in content.items() if k not in without}


def plans(
    algorithms: Sequence[str],
    problems: Sequence[str],
    seeds: Sequence[int] = (0,),
    budget: int | None = None,
    objectives: Sequence[str] = (),
    constraints: Sequence[str] = (),
    settings: Sequence[str] = (),
    time_limit: float | None = None,
    device: str = "auto",
    eval_workers: int = 1,
    asynchronous: bool = False,
    penalty: bool = False,
    early_rejection: bool = False,
) -> list[RunPlan]:
    """Every combination, by problem, then seed, then algorithm, so that comparisons come early.

    Parameters
    ----------
    algorithms, problems
        Registered names or ``file.py:Class``.
    seeds
        Seeds >= 0.
    budget
        Evaluations per run; ``None`` for each problem's default.
    objectives
        Metrics to minimise; empty for each problem's default.
    constraints
        Optional constraints to switch on.
    settings
        ``name=value`` as in `snnbench.experiment.overrides.parse`.
    time_limit
        Seconds of search per run.
    device
        ``auto``, ``cpu`` or ``cuda:N``.
    eval_workers, asynchronous
        Candidates evaluated at once, and whether as soon as a worker is free.
    penalty
        Whether algorithms that know no constraints are told penalised objectives where there are some.
    early_rejection
        Whether candidates are left as soon as they certainly lose.

    Raises
    ------
    UsageError
        For anything unknown or impossible.
    """
    algorithms, problems = ([_absolute(n) for n in dict.fromkeys(names)] for names in (algorithms, problems))
    if not (algorithms and problems and seeds):
        raise UsageError("a run needs at least one algorithm, one problem and one seed")
    algorithm_classes = {name: registry.load("algorithm", name) for name in algorithms}
    problem_classes = {name: registry.load("problem", name) for name in problems}
    labels = {name: registry.display_name("algorithm", name) for name in [*algorithms, *problems]}
    chosen = overrides.parse(settings, algorithm_classes, problem_classes, labels)
    return [
        RunPlan(
            problem=problem,
            algorithm=algorithm,
            budget=problem_classes[problem].default_budget if budget is None else budget,
            seed=seed,
            objectives=() if tuple(objectives) == problem_classes[problem].default_objectives else tuple(objectives),
            constraints=tuple(constraints),
            problem_settings=chosen.problems[problem],
            algorithm_settings=_batched(
                chosen.algorithms[algorithm], algorithm_classes[algorithm], 1 if asynchronous else eval_workers
            ),
            evaluation_settings=chosen.evaluation,
            time_limit=time_limit,
            device=device,
            eval_workers=eval_workers,
            asynchronous=asynchronous,
            penalty=penalty
            and not algorithm_classes[algorithm].capabilities.constraints
            and bool(problem_classes[problem].constraints or constraints),
            early_rejection=early_rejection,
        )
        for problem in problems
        for seed in dict.fromkeys(seeds)
        for algorithm in algorithms
    ]


def _batched(settings: Settings, kind: type[Algorithm], workers: int) -> Settings:
    """Settings with ``batch``, where it keeps workers busy: results depend on it, so it belongs to the run's name."""
    if workers == 1 or not kind.capabilities.batches or "batch" in dict(settings):
        return settings
    return tuple(sorted((*settings, ("batch", workers))))


def build_problem(plan: RunPlan, context: Context | None = None) -> Problem:
    """The plan's problem on the plan's device, not yet prepared."""
    kind = registry.load("problem", plan.problem)
    strategy = dict(plan.evaluation_settings).get("strategy", "auto")
    context = replace(context or Context(), device=resolve_device(plan.device), strategy=strategy)
    parameters = resolve(kind.Parameters, dict(plan.problem_settings), registry.display_name("problem", plan.problem))
    problem: Problem = kind(parameters, plan.objectives, context, plan.constraints)
    return problem


def estimate(problem: Problem) -> Estimate:
    """What evaluations will take.

    Raises
    ------
    UsageError
        If the memory is too small for the problem's networks.
    """
    with _in_memory(problem):
        return problem.estimate()


@contextlib.contextmanager
def _in_memory(problem: Problem) -> Iterator[None]:
    """Networks that no memory holds are a user's mistake: `UsageError`."""
    try:
        yield
    except (MemoryError, OverflowError, RuntimeError, TypeError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error) for word in _NO_MEMORY):
            raise
        usual = asdict(type(problem).Parameters())
        changed = ", ".join(f"{k}={v}" for k, v in asdict(problem.parameters).items() if v != usual[k])
        text = f"{problem.name}: not enough memory for its networks"
        raise UsageError(f"{text} with {changed}" if changed else text) from None


def check(plan: RunPlan, context: Context | None = None, installed: bool = True) -> Problem:
    """Whether the plan can run at all, before anything is prepared.

    Returns
    -------
    Problem
        The problem, not prepared.

    Raises
    ------
    UsageError
        One line; `Unfit` if the algorithm does not fit the problem, with the registered algorithms that do.
    """
    problem = build_problem(plan, context)
    kind = registry.load("algorithm", plan.algorithm)
    name = registry.display_name("algorithm", plan.algorithm)
    resolve(kind.Parameters, dict(plan.algorithm_settings), name)
    resolve(overrides.EvaluationParameters, dict(plan.evaluation_settings), "evaluation")
    for needed in (problem, kind) if installed else ():
        if missing := registry.missing_modules(needed):
            label = problem.name if needed is problem else name
            raise UsageError(f"{label} needs {' and '.join(missing)}: {registry.advice(needed)}")
    strategy = problem.context.strategy
    if strategy not in ("auto", *problem.strategies):
        known = ", ".join(("auto", *problem.strategies))
        raise UsageError(f"{problem.name} cannot be evaluated by {strategy}; evaluation.strategy takes {known}")
    with _in_memory(problem):
        obstacle = _obstacle(kind.capabilities, problem, plan.asynchronous, plan.penalty)
    if obstacle:
        fitting = ", ".join(_fitting(problem, plan.asynchronous)) or "none"
        advice = "; --penalty tells it penalised objectives" if obstacle == NO_CONSTRAINTS else ""
        raise Unfit(f"{name} {obstacle} ({_shape(problem)}); algorithms that fit: {fitting}{advice}")
    return problem


def _obstacle(capabilities: Capabilities, problem: Problem, asynchronous: bool, penalty: bool = False) -> str | None:
    return capabilities.obstacle(
        problem.dimension,
        len(problem.selected),
        0 if penalty else problem.constraints,
        asynchronous=asynchronous,
        gradient=problem.differentiable,
    )


def _fitting(problem: Problem, asynchronous: bool) -> list[str]:
    names = []
    for name, entry in registry.entries("algorithm").items():
        try:
            if _obstacle(entry.load().capabilities, problem, asynchronous) is None:  # type: ignore[attr-defined]
                names.append(name)
        except UsageError:  # cannot be imported here, so it is no advice
            continue
    return names


def _shape(problem: Problem) -> str:
    text = f"{problem.name}: {','.join(problem.selected)}"
    return text + (f"; {problem.constraints} constraints" if problem.constraints else "")


def _absolute(name: str) -> str:
    path, separator, attribute = name.rpartition(":")
    return f"{Path(path).resolve()}{separator}{attribute}" if separator and path.endswith(".py") else name
