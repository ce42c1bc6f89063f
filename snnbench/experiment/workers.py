"""Worker processes that evaluate candidates of one run at once.

A worker is told which problem to make, and then candidates; data and checkpoints it loads from the cache itself. Every
worker computes on its share of the cores, or on a GPU of its own where there are several.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np
import torch

from snnbench.errors import SnnbenchError, said
from snnbench.evaluations import Evaluations
from snnbench.experiment.columns import normalise
from snnbench.experiment.environment import resolve_device
from snnbench.experiment.evaluator import Evaluator
from snnbench.experiment.overrides import EvaluationParameters
from snnbench.experiment.plan import RunPlan, build_problem
from snnbench.problem import Context, Problem, Split, silent_progress

PATIENCE = 0.1  # seconds between two looks at whether the user wants to stop


@dataclass(frozen=True)
class Completion:
    """One evaluated candidate.

    Attributes
    ----------
    job
        Its number in `WorkerPool.submit`.
    worker
        Who evaluated it.
    evaluations
        (1,) candidate.
    times
        Metrics that are times, (1,) each.
    seconds
        How long it took.
    """

    job: int
    worker: int
    evaluations: Evaluations
    times: dict[str, np.ndarray]
    seconds: float


class WorkerPool:
    """Processes that evaluate one candidate each at a time; started at the first `submit`.

    Parameters
    ----------
    plan
        Whose problem is evaluated.
    context
        Folders, as in this process.
    count
        Number of workers.
    """

    def __init__(self, plan: RunPlan, context: Context, count: int) -> None:
        self.plan, self.count = plan, count
        self.context = replace(context, progress=silent_progress)
        self.busy_seconds = 0.0
        self.began: float | None = None
        self._processes: list[Any] = []
        self._connections: list[Connection] = []
        self._idle: list[int] = []
        self._running: set[int] = set()

    @property
    def free(self) -> int:
        """How many more candidates can be submitted now."""
        return len(self._idle) if self._processes else self.count

    def submit(self, job: int, x: torch.Tensor, split: Split, bounds: np.ndarray | None = None) -> None:
        """Have candidate ``x`` (1, d) evaluated under the number `job`; a worker must be `free`."""
        if not self._processes:
            self._start()
        worker = self._idle.pop(0)
        self._running.add(worker)
        self._send(worker, (job, x.detach().to("cpu").numpy(), split, bounds))

    def collect(self) -> list[Completion]:
        """Candidates that have been evaluated, perhaps none: waits `PATIENCE` seconds at most.

        Raises
        ------
        SnnbenchError
            If a worker failed or died.
        """
        found = []
        for ready in wait([self._connections[worker] for worker in self._running], PATIENCE):
            worker = self._connections.index(ready)  # type: ignore[arg-type]
            answer = self._receive(worker)
            self._running.discard(worker)
            self._idle.append(worker)
            found.append(Completion(answer[0], worker, *answer[1:]))
            self.busy_seconds += answer[3]
        return found

    @property
    def utilisation(self) -> float | None:
        """Share of the workers' time since all were ready that went into evaluations that came back."""
        if self.began is None:
            return None
        return self.busy_seconds / (self.count * max(time.monotonic() - self.began, 1e-9))

    def close(self) -> None:
        """End all workers, whatever they do."""
        for process in self._processes:
            process.kill()
        for process, connection in zip(self._processes, self._connections, strict=True):
            process.join()
            connection.close()
        self._processes, self._connections, self._idle, self._running = [], [], [], set()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        threads = max(1, torch.get_num_threads() // self.count)
        gpus = torch.cuda.device_count()
        several = self.plan.device in ("auto", "cuda") and resolve_device(self.plan.device).type == "cuda" and gpus > 1
        for worker in range(self.count):
            plan = replace(self.plan, device=f"cuda:{worker % gpus}") if several else self.plan
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(theirs, plan, self.context, threads), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._connections.append(ours)
        for worker in range(self.count):
            self._receive(worker)  # it has prepared the problem
        self._idle = list(range(self.count))
        self.began = time.monotonic()

    def _send(self, worker: int, job: Any) -> None:
        try:
            self._connections[worker].send(job)
        except OSError:
            raise self._died(worker) from None

    def _receive(self, worker: int) -> Any:
        try:
            answer = self._connections[worker].recv()
        except (EOFError, OSError):
            raise self._died(worker) from None
        if isinstance(answer, str):
            raise SnnbenchError(answer)
        return answer

    def _died(self, worker: int) -> SnnbenchError:
        process = self._processes[worker]
        process.join(5)
        code = process.exitcode or 0
        how = f"was killed by signal {-code} (out of memory?)" if code < 0 else f"ended with exit code {code}"
        return SnnbenchError(
            f"evaluation worker {worker} {how}; everything recorded is kept: resume, with fewer --eval-workers if "
            "memory is short"
        )


def _serve(connection: Connection, plan: RunPlan, context: Context, threads: int) -> None:
    """What a worker does until the other end of its pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the process that keeps the record
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(threads)
    try:
        problem = build_problem(plan, context)
        problem.prepare()
        connection.send(None)
        while True:
            job, x, split, bounds = connection.recv()
            candidate = torch.from_numpy(x).to(problem.context.device)
            with torch.no_grad():
                connection.send((job, *_evaluate(problem, candidate, split, bounds)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody is there any more
    except SnnbenchError as error:
        connection.send(str(error))
    except (Exception, SystemExit) as error:
        connection.send(f"problem {plan.problem} failed while evaluating: {said(error)}")


def _evaluate(
    problem: Problem, x: torch.Tensor, split: Split, bounds: np.ndarray | None
) -> tuple[Evaluations, dict[str, np.ndarray], float]:
    began = time.perf_counter()
    evaluations = problem.evaluate(x, split, bounds)
    seconds = time.perf_counter() - began
    checked, times = normalise(evaluations, len(x), problem.name)
    return checked, times, seconds


class PooledEvaluator(Evaluator):
    """Evaluates several candidates at once, each in a worker; what comes out is in the order of the candidates."""

    def __init__(
        self, problem: Problem, parameters: EvaluationParameters, message: Callable[[str], None], pool: WorkerPool
    ) -> None:
        super().__init__(problem, parameters, message)
        self.pool = pool
        self._next_job = 0

    def chunks(
        self, x: torch.Tensor, split: Split = "search", bounds: np.ndarray | None = None
    ) -> Iterator[tuple[int, Evaluations, dict[str, np.ndarray], float]]:
        """As `Evaluator.chunks`, one candidate at a time; a consumer that stops early leaves the rest unfinished."""
        if len(x) == 1:
            yield from super().chunks(x, split, bounds)
            return
        first, sent, given = self._next_job, 0, 0
        self._next_job += len(x)
        finished: dict[int, Completion] = {}
        while given < len(x):
            while sent < len(x) and self.pool.free:
                row = slice(sent, sent + 1)
                self.pool.submit(first + sent, x[row], split, None if bounds is None else bounds[row])
                sent += 1
            finished.update((done.job - first, done) for done in self.pool.collect())  # of an earlier batch: < 0
            while given in finished:
                done = finished.pop(given)
                times = done.times | {"worker": np.full(1, float(done.worker))}
                yield given, done.evaluations, times, done.seconds
                given += 1
