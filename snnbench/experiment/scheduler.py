"""Which run of a matrix is made next, by which worker, until none is left."""

import contextlib
import os
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

from snnbench.errors import SnnbenchError, UsageError
from snnbench.experiment.interrupt import stop_requests
from snnbench.experiment.lock import is_locked
from snnbench.experiment.matrix import Cell, look, survey
from snnbench.experiment.plan import MOST_WORKERS, RunPlan
from snnbench.experiment.pool import ENDINGS, GRACE_SECONDS, News, Worker, devices, start_worker
from snnbench.problem import Context

MOST_DEATHS = 3  # of workers on one run before it is given up
PATIENCE = 0.25  # seconds between two looks at everything
ELSEWHERE_SECONDS = 2.0  # between two looks at runs that other processes make


@dataclass
class Overview:
    """What there is to show of a matrix at any moment.

    Attributes
    ----------
    cells
        Every run, as far as this process knows.
    workers
        Processes, with the run of each.
    began
        `time.monotonic` at the start.
    """

    cells: list[Cell]
    workers: list[Worker]
    began: float


class MatrixObserver(Protocol):
    """Receives everything there is to show."""

    def on_begin(self, overview: Overview) -> None:
        """Nothing was started yet."""

    def on_news(self, worker: Worker, news: News) -> None:
        """A worker said something about its run."""

    def on_cell(self, cell: Cell) -> None:
        """A run ended, in whatever way."""

    def on_tick(self, overview: Overview) -> None:
        """Some time has passed."""

    def on_stop(self) -> None:
        """A signal asked to stop; runs under way write what they have."""

    def close(self) -> None:
        """Nothing more comes."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Scheduler:
    """Makes the missing runs of a matrix.

    A problem that has to be prepared (members trained) is prepared by one worker while others take other problems.
    A run that another process works on is left to it, and taken over if that process leaves it unfinished.

    Parameters
    ----------
    plans
        The matrix, in the order in which runs are started.
    out
        Folder of the records.
    workers
        How many runs are made at once.
    context
        Folders of data and caches.
    observer
        Is told everything.
    retry_failed
        Whether runs that failed before are tried again.

    Attributes
    ----------
    stopped
        The signal that ended `run` early; 0 if none did.

    Raises
    ------
    UsageError
        For an impossible number of workers.
    """

    def __init__(
        self,
        plans: Sequence[RunPlan],
        out: Path,
        workers: int,
        context: Context,
        observer: MatrixObserver,
        retry_failed: bool = False,
    ) -> None:
        if not 1 <= workers <= MOST_WORKERS:
            raise UsageError(f"workers must be 1 to {MOST_WORKERS}, got {workers}")
        self.out, self.context, self.observer = out, context, observer
        self._cells = dict(zip(plans, survey(plans, out), strict=True))
        todo = {"missing", "interrupted", "running"} | ({"failed"} if retry_failed else set())
        self._queue = deque(plan for plan, cell in self._cells.items() if cell.state in todo)
        self._elsewhere: dict[RunPlan, float] = {}
        self._deaths: dict[RunPlan, int] = {}
        self._count = min(workers, len(self._queue))
        self._workers: list[Worker] = []
        self._threads = max(1, available_cores() // max(1, self._count))
        self._devices = devices(plans[0].device, self._count) if self._count else []
        self._stillborn = 0
        self.stopped = 0
        self._prepared: set[str] = set()

    def run(self) -> list[Cell]:
        """Make the runs; ends early, all records kept, after SIGINT or SIGTERM.

        Returns
        -------
        list of Cell
            In the order of the plans.
        """
        overview = Overview(list(self._cells.values()), self._workers, time.monotonic())
        self.observer.on_begin(overview)
        with stop_requests() as stop, contextlib.closing(self.observer):
            try:
                while (self._queue or self._elsewhere or self._busy()) and not stop:
                    self._look_elsewhere()
                    self._fill()
                    self._listen()
                    overview.cells = self._shown()
                    self.observer.on_tick(overview)
                if stop:
                    self.observer.on_stop()
            finally:
                self.stopped = stop.number
                self._end()
        return list(self._cells.values())

    def _shown(self) -> list[Cell]:
        """Every run; those that the workers are making as running."""
        running = {worker.plan for worker in self._busy()}
        return [replace(c, state="running") if plan in running else c for plan, c in self._cells.items()]

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.plan is not None]

    def _fill(self) -> None:
        """Give every idle worker a run."""
        if self._count and not self._workers:
            self._workers += [self._start(number) for number in range(self._count)]
        for worker in self._workers:
            if worker.plan is None and (plan := self._next()) is not None:
                worker.plan, worker.began, worker.preparing = plan, time.monotonic(), True
                worker.latest = News("prepare", "starting")
                with contextlib.suppress(OSError):  # it died meanwhile: noticed when it is listened to
                    worker.connection.send(plan)

    def _start(self, number: int) -> Worker:
        return start_worker(number, self.out, self.context, self._threads, self._devices[number])

    def _next(self) -> RunPlan | None:
        """The first run whose problem no other worker is preparing right now."""
        preparing = {_problem_key(w.plan) for w in self._busy() if w.plan and w.preparing} - self._prepared
        for position, plan in enumerate(self._queue):
            if _problem_key(plan) not in preparing:
                del self._queue[position]
                return plan
        return None

    def _listen(self) -> None:
        connections = {worker.connection: worker for worker in self._workers}
        for ready in wait(list(connections), PATIENCE):
            worker = connections[ready]  # type: ignore[index]
            try:
                news = worker.connection.recv()
            except (EOFError, OSError):
                self._died(worker)
                continue
            self._hear(worker, news)

    def _hear(self, worker: Worker, news: News) -> None:
        plan = worker.plan
        if plan is None or news.kind == "ready":
            return
        if news.kind in ("prepare", "search", "progress"):
            worker.latest = news
        if news.kind in ("search", "complete"):
            self._prepared.add(_problem_key(plan))
            worker.preparing = False
        self.observer.on_news(worker, news)
        if news.kind in ENDINGS:
            worker.plan, worker.preparing = None, False
            if news.kind == "busy":
                self._elsewhere[plan] = 0.0
                self._set(replace(self._cells[plan], state="running"))
            else:
                self._set(self._ended(plan, news))
            if news.kind == "unavailable":
                self._give_up(worker, plan, news.text)

    def _give_up(self, worker: Worker, plan: RunPlan, reason: str) -> None:
        """Do not find out with every run of a problem that its data is not there."""
        others = [other for other in self._queue if _problem_key(other) == _problem_key(plan)]
        for other in others:
            self._queue.remove(other)
            self._cells[other] = replace(self._cells[other], state="failed", detail=reason)
        if others:
            worker.plan = plan  # whom the message is about
            self.observer.on_news(worker, News("message", f"{len(others):,} more runs need the same data"))
            worker.plan = None

    def _ended(self, plan: RunPlan, news: News) -> Cell:
        cell = look(plan, self.out)
        if news.kind in ("failed", "unavailable") and cell.state != "failed":  # it failed before there was a record
            return replace(cell, state="failed", detail=news.text)
        return cell

    def _died(self, worker: Worker) -> None:
        """Replace a process that is gone, and give its run to another, within reason."""
        worker.process.join(5)
        code, plan = worker.process.exitcode or 0, worker.plan
        how = f"was killed by signal {-code} (out of memory?)" if code < 0 else f"ended with exit code {code}"
        worker.connection.close()
        self.observer.on_news(worker, News("died", f"worker {worker.number} {how}"))
        if plan is None:
            self._stillborn += 1
            if self._stillborn > MOST_DEATHS * self._count:
                raise SnnbenchError(f"workers end before they begin: worker {worker.number} {how}")
        self._workers[self._workers.index(worker)] = self._start(worker.number)
        if plan is None:
            return
        self._deaths[plan] = self._deaths.get(plan, 0) + 1
        if self._deaths[plan] < MOST_DEATHS:
            self._queue.append(plan)
        else:
            self._set(replace(look(plan, self.out), detail=f"its worker {how}, {MOST_DEATHS} times"))

    def _look_elsewhere(self) -> None:
        """Whether runs that other processes work on are complete, or were left."""
        now = time.monotonic()
        for plan, seen in list(self._elsewhere.items()):
            if now - seen < ELSEWHERE_SECONDS:
                continue
            self._elsewhere[plan] = now
            if is_locked(plan.directory(self.out)):
                continue
            del self._elsewhere[plan]
            cell = look(plan, self.out)
            if cell.state in ("complete", "failed"):
                self._set(cell)
            else:
                self._queue.append(plan)

    def _set(self, cell: Cell) -> None:
        self._cells[cell.plan] = cell
        self.observer.on_cell(cell)

    def _end(self) -> None:
        """End all workers; runs that are under way first bring what they have to disk."""
        for worker in self._workers:
            worker.process.terminate() if worker.plan is not None else worker.process.kill()
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in self._workers:
            worker.connection.close()
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.process.kill()
            worker.process.join()
            if worker.plan is not None:
                self._set(look(worker.plan, self.out))


def _problem_key(plan: RunPlan) -> str:
    return f"{plan.problem} {plan.problem_settings}"
