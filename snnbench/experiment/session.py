"""One process's work on one run directory, between taking its lock and giving it back."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from snnbench import registry
from snnbench.algorithm import Algorithm, Gradient, Task
from snnbench.errors import AlgorithmError, RecordError, SnnbenchError, UsageError
from snnbench.evaluations import Evaluations
from snnbench.experiment import checkpoint
from snnbench.experiment.asynchronous import AsynchronousSearch
from snnbench.experiment.columns import to_evaluations
from snnbench.experiment.digest import digests
from snnbench.experiment.disk import plain, read_json, write_json
from snnbench.experiment.environment import environment
from snnbench.experiment.evaluator import Evaluator
from snnbench.experiment.interrupt import Interrupted, StopRequest
from snnbench.experiment.log import EvaluationLog, read_rows
from snnbench.experiment.observer import Observer, StartInfo
from snnbench.experiment.overrides import EvaluationParameters
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.recommendation import Candidates, Jury, Point
from snnbench.experiment.record import SCHEMA_VERSION, RunRecord, RunResult, source_hash, utc_now
from snnbench.experiment.search import Search, blame, checked
from snnbench.experiment.seeds import stream, streams
from snnbench.experiment.workers import PooledEvaluator, WorkerPool
from snnbench.parameters import as_known_to, resolve
from snnbench.problem import Problem

START_POINTS = 32  # of the initial design, at most, compete for "start"
RESULT_SCHEMA = 1


def initial_content(plan: RunPlan, problem: Problem, prepared: float) -> dict[str, Any]:
    """``run.json`` of a run that begins now."""
    kind, parameters = algorithm_parts(plan)
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "running",
        "stop": None,
        "error": None,
        "evaluations": 0,
        "plan": plan.to_dict(),
        "problem": identity(plan, problem),
        # Measured, so not part of what a resumed run must agree with.
        "reference_lines": plain(problem.reference_lines()),
        "algorithm": {
            "name": registry.display_name("algorithm", plan.algorithm),
            "class": kind.__name__,
            "reference": kind.capabilities.gradient,
            "horizon": kind.capabilities.horizon,
            "parameters": plain(asdict(parameters)),
            "source_sha256": source_hash(plan.algorithm),
        },
        "targets": problem.targets(),
        "budget": {"evaluations": plan.budget, "time_limit": plan.time_limit},
        "seeds": streams(plan.seed),
        "device": str(problem.context.device),
        "folders": {"data_dir": problem.context.data_dir and str(problem.context.data_dir.resolve())},
        "environment": environment(problem.context.device),
        "started": utc_now(),
        "finished": None,
        "sessions": 0,
        "timings": {"prepare": prepared, "start": 0.0, "recommendation": 0.0, "checkpoint": 0.0},
    }


def identity(plan: RunPlan, problem: Problem) -> dict[str, Any]:
    """What the problem is, down to the hashes of its data; needs a prepared problem."""
    found: dict[str, Any] = plain(
        {
            "name": problem.name,
            "version": problem.version,
            "standard": problem.standard,
            "dimension": problem.dimension,
            "objectives": list(problem.selected),
            "constraints": problem.constraints,
            "optional_constraints": {c.metric: c.limit for c in problem.limits},
            "parameters": asdict(problem.parameters),
            "source_sha256": source_hash(plan.problem),
            "reference_points": problem.reference_points(),
            "description": problem.describe(),
        }
    )
    return found


def algorithm_parts(plan: RunPlan) -> tuple[Any, Any]:
    """Class and parameters of the plan's algorithm."""
    kind = registry.load("algorithm", plan.algorithm)
    name = registry.display_name("algorithm", plan.algorithm)
    return kind, resolve(kind.Parameters, dict(plan.algorithm_settings), name)


def design_of(problem: Problem, n: int) -> torch.Tensor:
    """The first n points of a problem's initial design (k, d), or `SnnbenchError` if they are none."""
    x = problem.initial(n)
    if not isinstance(x, torch.Tensor) or x.ndim != 2 or x.shape[1] != problem.dimension or len(x) > n:
        got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        text = f"problem {problem.name}: initial({n}) must return at most {n} points of shape (k, {problem.dimension})"
        raise SnnbenchError(f"{text}, got {got}")
    return x


def build_algorithm(plan: RunPlan, problem: Problem, charge: Callable[[int], None]) -> Algorithm:
    """The plan's algorithm with its own random stream, on a prepared problem; `charge` counts samples of gradients."""
    device = problem.context.device

    def initial(n: int) -> torch.Tensor:
        # A copy: candidates are moved into the box in place, the problem's own points must not be.
        return problem.space.clip_(design_of(problem, n).to(device, torch.float32, copy=True))

    def gradient(x: torch.Tensor, batch: int, generator: torch.Generator) -> tuple[float, torch.Tensor]:
        charge(batch)
        return problem.gradient(x, batch, generator)

    kind, parameters = algorithm_parts(plan)
    task = Task(
        space=problem.space,
        objectives=problem.selected,
        budget=plan.budget,
        initial=initial,
        constraints=0 if plan.penalty else problem.constraints,
        device=device,
        noisy=problem.noisy,
        workers=plan.eval_workers,
        asynchronous=plan.asynchronous,
        gradient=Gradient(gradient, problem.samples) if kind.capabilities.gradient else None,
    )
    name = registry.display_name("algorithm", plan.algorithm)
    with blame(name, "its constructor"), torch.no_grad():
        algorithm: Algorithm = kind(task, parameters, stream(plan.seed, "algorithm"))
    if not hasattr(algorithm, "parameters"):
        raise AlgorithmError(f"{name}: its constructor must call super().__init__(task, parameters, seed)")
    return algorithm


@dataclass
class Session:
    """Start, search and finish of one run.

    Attributes
    ----------
    record
        Its ``run.json``.
    problem
        Prepared.
    log
        Its evaluations so far.
    stop
        Whether the user wants it to stop.
    observer
        Whoever watches.
    """

    record: RunRecord
    problem: Problem
    log: EvaluationLog
    stop: StopRequest
    observer: Observer

    def __post_init__(self) -> None:
        self.plan = self.record.plan
        self.directory: Path = self.record.directory
        self.timings: dict[str, float] = self.record.content["timings"]
        parameters = resolve(EvaluationParameters, dict(self.plan.evaluation_settings), "evaluation")
        self.pool = WorkerPool(self.plan, self.problem.context, self.plan.eval_workers)
        self.evaluator = Evaluator(self.problem, parameters, self.observer.on_message)
        if self.plan.eval_workers > 1:
            self.evaluator = PooledEvaluator(self.problem, parameters, self.observer.on_message, self.pool)
        self.name = registry.display_name("algorithm", self.plan.algorithm)

    def run(self) -> RunResult:
        """Do what is left to do of the run."""
        self.record.save(status="running", error=None, sessions=self.record.content["sessions"] + 1)
        with contextlib.closing(self.pool):
            start = self._start()
            search = self._search(start)
            with torch.no_grad():
                ended = search.run()
            self.timings["checkpoint"] += search.checkpoint_seconds
            if self.pool.began is not None:
                self.record.content["workers"] = {
                    "count": self.pool.count,
                    "asynchronous": self.plan.asynchronous,
                    "utilisation": self.pool.utilisation,
                }
            if ended is None:
                raise Interrupted(self.directory, self.log.stored, self.stop.number)
            charged = {"charged_samples": search.charged} if search.charged else {}
            if self.problem.strategy is not None:
                self.record.content["evaluation"] = {"strategy": self.problem.strategy}
            spared = {"early_rejection": self._spared()} if self.plan.early_rejection else {}
            self.record.save(stop=ended, evaluations=search.told, **charged, **spared)
            self._recommend(search, start)
            return self._complete(search)

    def _spared(self) -> dict[str, float]:
        """How many candidates were left early, and the share of the search's samples that were run."""
        wanted = {"rejected", "cost"}
        table = read_rows(
            self.directory, columns=wanted.__contains__
        )  # of several objectives, or of another problem, none is rejected
        if table is None or set(table.column_names) != wanted:
            return {"rejected": 0, "samples": 1.0}
        rejected, cost = (table[name].to_numpy() for name in ("rejected", "cost"))
        return {"rejected": int(rejected.sum()), "samples": float(cost.mean() / cost.max())}

    def _search(self, start: list[Point]) -> Search:
        """The search, where the last session left it."""
        search: Search

        def charge(samples: int) -> None:
            search.charged += samples

        self.algorithm = build_algorithm(self.plan, self.problem, charge)
        # Again, for an algorithm may have put numbers in the place of "chosen by the algorithm".
        self.record.content["algorithm"]["parameters"] = plain(asdict(self.algorithm.parameters))
        info = StartInfo(
            self.directory, self.problem.dimension, self.plan.budget, self.log.stored, self.problem.selected, start
        )
        self.observer.on_start(info)
        parts = (
            self.plan, self.problem, self.algorithm, self.name, self.log, self.evaluator, self.stop, self.observer
        )  # fmt: skip
        search = AsynchronousSearch(*parts, pool=self.pool) if self.plan.asynchronous else Search(*parts)
        search.restore()
        return search

    def _start(self) -> list[Point]:
        """What the initial design is worth: by the rule of the recommendation, kept for later sessions."""
        path = self.directory / "start.json"
        if path.exists():
            found = read_json(path, "delete it and resume")
            if "points" not in found:
                raise RecordError(f"{path} is incomplete; delete it and resume")
            points: list[Point] = found["points"]
            return points
        began = time.monotonic()
        x = design_of(self.problem, START_POINTS).to(self.problem.context.device, torch.float32, copy=True)
        points = []
        if len(x):
            self.problem.space.clip_(x)
            names = [f"initial design {i}" for i in range(len(x))]
            _, points = self._jury("initial design").pick(Candidates(x, digests(x), names, [None] * len(x)))
        self.timings["start"] += time.monotonic() - began
        write_json(path, {"schema_version": RESULT_SCHEMA, "points": points})
        return points

    def _recommend(self, search: Search, start: list[Point]) -> None:
        began = time.monotonic()
        offered = self._offered(search)
        rows: list[int] = []
        final: list[Point] = []
        if offered is not None:
            rows, final = self._jury("recommendation", start).pick(offered)
            checkpoint.save(self.directory / "recommendation.safetensors", {"x": offered.x[rows]})
        self.timings["recommendation"] += time.monotonic() - began
        content = {"schema_version": RESULT_SCHEMA, "objectives": list(self.problem.selected), "start": start}
        if not final:
            content["reason"] = "no candidate could be evaluated"
        write_json(self.directory / "recommendation.json", content | {"final": final})

    def _offered(self, search: Search) -> Candidates | None:
        """What the algorithm recommends, then the few best seen."""
        with blame(self.name, "recommend"), torch.no_grad():
            own = self.algorithm.recommend()
        blocks, sources = [], []
        if own is not None and len(own):
            # A copy, for the algorithm may have given its population.
            blocks.append(checked(own.detach().clone(), self.problem, self.name, "recommend"))
            sources += ["recommended by the algorithm"] * len(own)
        best = search.incumbent.candidates()
        if best is not None:
            blocks.append(best)
            several = len(self.problem.selected) > 1
            others = "archive" if several else "among the best of the search"
            sources += [others if several or row else "best of the search" for row in range(len(best))]
        if not blocks:
            return None
        x = torch.cat([b.to(torch.float32) for b in blocks]) if len(blocks) > 1 else blocks[0]
        names = digests(x)
        numbers = self.log.find({int(name) for name in names})
        return Candidates(x, names, sources, [numbers.get(int(name)) for name in names])

    def _complete(self, search: Search) -> RunResult:
        self.log.finish()
        self.timings |= self.log.totals()
        self.timings["search"] = max(self.timings.get("search", 0.0), search.elapsed_at_end)
        self.record.save(status="complete", finished=utc_now(), timings=self.timings)
        return self.record.result(cached=False)

    def _jury(self, stage: str, tested: list[Point] | None = None) -> Jury:
        def between(split: str, done: int, total: int) -> None:
            if self.stop:
                raise Interrupted(self.directory, self.log.stored, self.stop.number)
            self.observer.on_prepare(f"{stage}: {split}", done, total)

        def recorded(number: int) -> Evaluations:
            return to_evaluations(self.log.read(number, number + 1))

        return Jury(self.evaluator, recorded, between, tested or ())


def continuing(record: RunRecord, plan: RunPlan, problem: Problem) -> None:
    """Refuse to continue a run with something else than it was started with.

    Raises
    ------
    UsageError
        With the first difference.
    """
    now = identity(plan, problem)
    known = record.content["problem"].get("parameters", {})
    now["parameters"] = as_known_to(known, now["parameters"], dict(plan.problem_settings))
    record.require_same("problem", now)
    before = torch.device(record.content.get("device", "cpu"))
    if before.type != problem.context.device.type:
        raise UsageError(
            f"{record.directory} was made on {before}, this is {problem.context.device}: results would differ; "
            f"give --device {before}, or --fresh or another --out"
        )
