"""The loop of a run: ask, check, evaluate or replay, record, tell.

Resuming is replaying. An algorithm restored from a checkpoint asks for the same candidates again; those that are on
record beyond it are compared by digest and taken from there, so nothing is evaluated twice and nothing is lost.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snnbench.algorithm import Algorithm
from snnbench.errors import AlgorithmError, RecordError, SnnbenchError, said
from snnbench.evaluations import Evaluations
from snnbench.experiment import checkpoint
from snnbench.experiment.columns import block, decoded, join, to_evaluations
from snnbench.experiment.digest import digests, finite
from snnbench.experiment.evaluator import Evaluator
from snnbench.experiment.incumbent import Incumbent
from snnbench.experiment.log import EvaluationLog
from snnbench.experiment.observer import Observer, Progress
from snnbench.experiment.penalty import penalised, worst_values
from snnbench.experiment.plan import RunPlan
from snnbench.problem import Problem

PENDING_ROWS = 1 << 16
LONGEST_FLUSH = 300.0


@contextlib.contextmanager
def blame(name: str, doing: str) -> Iterator[None]:
    """Turn an exception of an algorithm's own into an `AlgorithmError` that names it."""
    try:
        yield
    except SnnbenchError:
        raise
    except (Exception, SystemExit) as error:
        raise AlgorithmError(f"{name} failed in {doing}: {said(error)}") from error


def checked(x: Any, problem: Problem, name: str, doing: str = "ask") -> torch.Tensor:
    """Candidates moved into the box, in place, or `AlgorithmError` if they are none."""
    d, device = problem.dimension, problem.context.device
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        raise AlgorithmError(f"{name}: {doing} must return a tensor of floating numbers, got {type(x).__name__}")
    if x.ndim != 2 or x.shape[1] != d or len(x) == 0:
        raise AlgorithmError(f"{name}: {doing} must return candidates of shape (n, {d}), n >= 1, got {tuple(x.shape)}")
    if x.device.type != device.type:
        raise AlgorithmError(f"{name}: {doing} returned candidates on {x.device}, the problem is on {device}")
    if not finite(x):
        raise AlgorithmError(f"{name}: {doing} returned NaN or infinite coordinates")
    with blame(name, "letting its candidates be moved into the box"), torch.no_grad():
        return problem.space.clip_(x)


class Search:
    """One run's search, from wherever it stands to its end or to a stop request.

    Parameters
    ----------
    plan, problem, algorithm, name
        What is run; the problem prepared, the algorithm new; the name it goes by.
    log
        Record of the evaluations so far.
    evaluator
        Of the problem.
    stop
        True as soon as the user wants the run to stop.
    observer
        Receives progress.
    """

    def __init__(
        self,
        plan: RunPlan,
        problem: Problem,
        algorithm: Algorithm,
        name: str,
        log: EvaluationLog,
        evaluator: Evaluator,
        stop: Any,
        observer: Observer,
    ) -> None:
        self.plan, self.problem, self.algorithm, self.name = plan, problem, algorithm, name
        self.log, self.evaluator, self.stop, self.observer = log, evaluator, stop, observer
        self.incumbent = Incumbent(len(problem.selected), problem.dimension, plan.budget)
        self.told = self.generation = 0
        self.charged = 0  # samples that gradients took, beside those of evaluations
        self.ended: str | None = None
        self.path: Path = log.directory / "checkpoint.safetensors"
        self._on_record = log.stored  # to be replayed, whatever the clock says
        self.elapsed_before = log.last_seconds()
        self._clock = checkpoint.CheckpointClock(evaluator.parameters.flush_seconds)
        self._began = self._flushed = time.monotonic()
        self._evaluated = 0
        self._known = False  # whether the state can be saved, and how large it is
        self._ask_seconds = self._tell_seconds = 0.0
        self._worst = worst_values(problem) if plan.penalty else []

    @property
    def elapsed(self) -> float:
        """Seconds of search, those before an interruption included."""
        return self.elapsed_before + time.monotonic() - self._began

    @property
    def elapsed_at_end(self) -> float:
        """Seconds of search up to the last checkpoint, those before an interruption included."""
        return self.elapsed_before + self._flushed - self._began

    @property
    def checkpoint_seconds(self) -> float:
        """Seconds that writing checkpoints took in this process."""
        return self._clock.spent

    @property
    def left(self) -> int:
        """Evaluations that the budget still allows."""
        return self.plan.budget - self.told - self._charged_evaluations()

    def restore(self) -> None:
        """Load the checkpoint, if there is one."""
        if not self.path.exists():
            return
        state = checkpoint.load(self.path)
        try:
            told, generation, ended = state["told"], state["generation"], state["ended"]
            charged = state["charged"]
            if told > self.log.stored:
                raise RecordError(
                    f"{self.log.directory}: the checkpoint knows {told} evaluations, the record holds only "
                    f"{self.log.stored}; delete {self.path.name} to go on from the record"
                )
            self.incumbent.load_state_dict(state["incumbent"], self.problem.context.device)
            self._load(state)
            with blame(self.name, "load_state_dict"):
                self.algorithm.load_state_dict(state["algorithm"])
        except KeyError as error:
            raise RecordError(f"{self.path} lacks {error}; delete it and resume") from None
        self.told, self.generation, self.ended, self.charged = told, generation, ended, charged

    def run(self) -> str | None:
        """Search. Returns why it ended, ``budget`` or ``time limit``; ``None`` when asked to stop."""
        self._began = self._flushed = time.monotonic()
        while self.ended is None and not self.stop:
            if self.told >= self._on_record and self._late():
                self.ended = "time limit"
            elif not self._advance():
                self.log.flush()
                return None
            elif self.left <= 0:
                self.ended = "budget"
            elif self.ended is None:
                self._save_if_due()
        self.save()
        return self.ended

    def save(self) -> None:
        """Write a checkpoint of the state after the last `tell`, and the rows it relies on before it."""
        self.log.flush()
        began = time.monotonic()
        with self._unfit():
            checkpoint.save(self.path, self._state())
        self._clock.written(time.monotonic() - began)
        self._flushed = time.monotonic()

    def _save_if_due(self) -> None:
        if not self._known:
            # A state that cannot be saved should not be found out hours later.
            with self._unfit():
                self._clock.expect(checkpoint.size(self._state()))
            self._known = True
        if self._clock.due():
            self.save()

    def _state(self) -> dict[str, Any]:
        with blame(self.name, "state_dict"):
            state = self.algorithm.state_dict()
        return {
            "told": self.told,
            "generation": self.generation,
            "ended": self.ended,
            "charged": self.charged,
            "incumbent": self.incumbent.state_dict(),
            "algorithm": state,
        }

    @contextlib.contextmanager
    def _unfit(self) -> Iterator[None]:
        try:
            yield
        except TypeError as error:
            text = f"{self.name}: of its state, {error}; use tensors, numbers, text, lists and dicts"
            raise AlgorithmError(text) from None

    def _load(self, state: dict[str, Any]) -> None:
        """Take from a checkpoint what a subclass added in `_state`."""

    def _advance(self) -> bool:
        """One ask, evaluate, tell. False if the user stopped it in between: then nothing is told.

        Out of time, the algorithm is told the part that was evaluated, and the search has ended.
        """
        x, annotations = self._ask()
        n = min(len(x), self.left)
        if n <= 0:  # gradients took what was left
            return True
        x = x if n == len(x) else x[:n]
        bounds = self._bounds(n) if self.plan.early_rejection else None
        names = digests(x)
        parts = self._replay(x, names)
        done = sum(len(part) for part in parts)
        whole = True
        limits = None if bounds is None else bounds[done:n]
        for start, part, times, seconds in self.evaluator.chunks(x[done:], bounds=limits) if done < n else ():
            rows = slice(done + start, done + start + len(part))
            mine = {k: v[rows] for k, v in annotations.items()}
            first = self.told + rows.start
            index = self._index(first, names[rows], np.arange(first, first + len(part)), self.generation)
            self._record(x[rows], index, part, mine, times, seconds)
            parts.append(part)
            whole = rows.stop == n
            if not whole and (self.stop or self._late()):
                break
        if not whole and self.stop:
            return False
        told = join(parts)
        self._tell(x if whole else x[: len(told)], told, np.arange(self.told, self.told + len(told)))
        self.generation += 1
        self.ended = None if whole else "time limit"
        return True

    def _ask(self) -> tuple[torch.Tensor, dict[str, np.ndarray]]:
        """New candidates, moved into the box, and what the algorithm wants recorded with them."""
        began = time.perf_counter()
        with blame(self.name, "ask"):
            x = self.algorithm.ask()
        checked(x, self.problem, self.name)
        with blame(self.name, "annotations"):
            annotations = {k: np.array(v, np.float64).reshape(len(x)) for k, v in self.algorithm.annotations().items()}
        self._ask_seconds += time.perf_counter() - began
        return x, annotations

    def _bounds(self, n: int) -> np.ndarray | None:
        """What the first n candidates of the last `ask` will be compared with, +inf where the value is needed.

        ``None`` where there is no one value to compare with, in the whole run.
        """
        if len(self.problem.selected) > 1 or self.problem.constraints:
            return None
        with blame(self.name, "bounds"):
            found = self.algorithm.bounds()
            bounds = np.full(n, np.inf) if found is None else np.array(found, np.float64)
        if bounds.ndim != 1 or len(bounds) < n or np.isnan(bounds).any():
            raise AlgorithmError(f"{self.name}: bounds must return one number per candidate, without NaN")
        return bounds[:n]

    def _tell(self, x: torch.Tensor, evaluations: Evaluations, candidates: np.ndarray) -> None:
        began = time.perf_counter()
        told = penalised(evaluations, self._worst) if self.plan.penalty else evaluations
        with blame(self.name, "tell"):
            self.algorithm.tell(x, replace(told, candidates=candidates))
        self._tell_seconds += time.perf_counter() - began
        self.told += len(evaluations)

    def _replay(self, x: torch.Tensor, names: np.ndarray) -> list[Evaluations]:
        """What is on record of these candidates, the first of which has number `told`."""
        count = min(len(x), self.log.stored - self.told)
        if count <= 0:
            return []
        table = self.log.read(self.told, self.told + count)
        recorded = table.column("digest").to_numpy()
        if not np.array_equal(recorded, names[:count]):
            raise self._mismatch(self.told + int(np.flatnonzero(recorded != names[:count])[0]))
        evaluations = to_evaluations(table)
        self.incumbent.update(x[:count], _measured(evaluations), self.told)
        return [evaluations]

    def _mismatch(self, row: int) -> RecordError:
        return RecordError(
            f"{self.log.directory}: the record does not match what {self.name} asks for at evaluation {row} "
            "(another version of it, of torch, or another device?); start again with --fresh or in another --out"
        )

    @staticmethod
    def _index(first: int, names: np.ndarray, candidates: np.ndarray, generation: int) -> dict[str, np.ndarray]:
        n = len(names)
        return {
            "evaluation": np.arange(first, first + n),
            "candidate": candidates,
            "generation": np.full(n, generation),
            "digest": names,
        }

    def _record(
        self,
        x: torch.Tensor,
        index: dict[str, np.ndarray],
        part: Evaluations,
        annotations: dict[str, np.ndarray],
        times: dict[str, np.ndarray],
        seconds: float,
    ) -> None:
        n, first = len(part), int(index["evaluation"][0])
        once = np.zeros((2, n))
        once[:, 0] = self._ask_seconds, self._tell_seconds
        self._ask_seconds = self._tell_seconds = 0.0
        clock = {
            "seconds": np.full(n, self.elapsed),
            "evaluate": np.full(n, seconds / n),
            "ask": once[0],
            "tell": once[1],
        }
        if "worker" in times:
            clock["worker"] = times["worker"]
        own = {f"problem.{name}": values for name, values in times.items() if name != "worker"}
        variables = decoded(self.problem.space, x)
        self.log.append(block(part, self.problem.selected, index, annotations, variables, clock | own))
        self.incumbent.update(x, _measured(part), first)
        self._evaluated += n
        self._report(first + n)
        pending = self.log.rows - self.log.stored
        if pending >= PENDING_ROWS or time.monotonic() - self._flushed >= self._interval():
            self.log.flush()
            self._flushed = time.monotonic()

    def _charged_evaluations(self) -> int:
        gradient = self.algorithm.task.gradient
        return -(-self.charged // gradient.samples) if self.charged and gradient else 0

    def _report(self, done: int) -> None:
        done += self._charged_evaluations()
        spent = max(time.monotonic() - self._began, 1e-9)
        rate = (self._evaluated + self._charged_evaluations()) / spent
        remaining = (self.plan.budget - done) / rate if rate else math.nan
        if self.plan.time_limit is not None:
            remaining = min(remaining, max(0.0, self.plan.time_limit - self.elapsed))
        best = tuple(float(v) for v in self.incumbent.lowest)
        self.observer.on_progress(Progress(done, self.plan.budget, best, rate, remaining, self.generation))

    def _late(self) -> bool:
        return self.plan.time_limit is not None and self.elapsed >= self.plan.time_limit

    def _interval(self) -> float:
        return max(self.evaluator.parameters.flush_seconds, min(LONGEST_FLUSH, 0.01 * self.elapsed))


def _measured(evaluations: Evaluations) -> Evaluations:
    """Without the values of candidates that were left early: only that they lost is known of these."""
    rejected = evaluations.metrics.get("rejected")
    if rejected is None or not rejected.any():
        return evaluations
    objectives = evaluations.objectives.clone()
    objectives[torch.from_numpy(rejected > 0)] = math.inf
    return replace(evaluations, objectives=objectives)
