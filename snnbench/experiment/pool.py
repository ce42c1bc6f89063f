"""A matrix of runs in worker processes: each makes one run at a time and keeps that run's record itself.

Processes share no file but the caches, so whatever dies, one run at most has to be continued. A worker ends when the
process that started it is gone.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from snnbench.errors import DataError, SnnbenchError
from snnbench.experiment.interrupt import Interrupted
from snnbench.experiment.lock import Busy
from snnbench.experiment.observer import Progress, StartInfo
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.record import RunResult
from snnbench.problem import Context, silent_progress

NEWS_SECONDS = 0.25  # between two messages on one run's progress
GRACE_SECONDS = 60.0  # for a run to reach a moment at which nothing is lost
NewsKind = Literal[
    "ready", "prepare", "search", "progress", "message", "complete", "failed",
    "unavailable", "interrupted", "busy", "died",
]  # fmt: skip
ENDINGS = ("complete", "failed", "unavailable", "interrupted", "busy", "died")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class News:
    """What a worker tells.

    Attributes
    ----------
    kind
        One of `ENDINGS` is the last on a run; ``unavailable``: the problem's data is missing or damaged.
    text
        Stage of preparation, message, or reason.
    done, total
        Of the stage, or evaluations and budget.
    best
        Smallest value of each objective so far.
    remaining
        Seconds left of the search; NaN while unknown.
    """

    kind: NewsKind
    text: str = ""
    done: int = 0
    total: int = 0
    best: tuple[float, ...] = ()
    remaining: float = float("nan")


@dataclass
class Worker:
    """One process, and the run it works on."""

    number: int
    process: Any
    connection: Connection
    plan: RunPlan | None = None
    began: float = 0.0
    preparing: bool = False
    latest: News = field(default_factory=lambda: News("ready"))


def start_worker(number: int, out: Path, context: Context, threads: int, device: str | None) -> Worker:
    """Start the process number `number`; it says "ready" when it has imported what it needs.

    Parameters
    ----------
    number
        From 0.
    out
        Folder of the records.
    context
        Folders of data and caches.
    threads
        That it computes with.
    device
        In the place of the plans' device; ``None`` leaves it.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    quiet = replace(context, progress=silent_progress)
    process = spawn.Process(target=_serve, args=(theirs, out, quiet, threads, device), daemon=True)
    with _threads_in_environment(threads):
        process.start()
    theirs.close()
    return Worker(number, process, ours)


def devices(device: str, workers: int) -> list[str | None]:
    """The device of each worker: one GPU each in turn where there are several, else what the plans say."""
    import torch

    several = device in ("auto", "cuda") and torch.cuda.is_available()
    return [f"cuda:{i % torch.cuda.device_count()}" if several else None for i in range(workers)]


@contextlib.contextmanager
def _threads_in_environment(threads: int) -> Iterator[None]:
    """Numerical libraries read these when they are loaded, before a worker could say anything."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection, out: Path, context: Context, threads: int, device: str | None) -> None:
    """What a worker does until its pipe is closed."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C is for the parent, which passes it on once
    _end_with_parent()
    import torch

    torch.set_num_threads(threads)
    from snnbench.experiment.loop import run

    tell = _teller(connection)
    tell(News("ready"))
    while True:
        try:
            plan = connection.recv()
        except (EOFError, OSError):
            return
        if device is not None:
            plan = replace(plan, device=device)
        try:
            result = run(plan, out, _Reporter(tell), context)
            tell(News("complete", done=result.evaluations, total=plan.budget))
        except Busy as error:
            tell(News("busy", str(error)))
        except (Interrupted, KeyboardInterrupt) as error:
            tell(News("interrupted", str(error)))
        except DataError as error:
            tell(News("unavailable", str(error)))
        except SnnbenchError as error:
            tell(News("failed", str(error)))
        except Exception as error:  # a fault of a problem or of snnbench itself: recorded, and the matrix goes on
            tell(News("failed", f"{type(error).__name__}: {error}"))


def _teller(connection: Connection) -> Callable[[News], None]:
    lock = threading.Lock()  # problems report their preparation from threads

    def tell(news: News) -> None:
        # If nobody listens any more, the thread that watches the parent ends this process.
        with lock, contextlib.suppress(OSError):
            connection.send(news)

    return tell


def _end_with_parent() -> None:
    """Interrupt the run as a termination request would when the parent is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch the parent").start()


class _Reporter:
    """An observer that passes on what it sees, not too often."""

    def __init__(self, tell: Callable[[News], None]) -> None:
        self.tell = tell
        self._last = 0.0

    def on_plan(self, plan: RunPlan, directory: Path) -> None:
        """Nothing new: it came from there."""

    def on_prepare(self, stage: str, done: int, total: int) -> None:
        """Pass it on, at intervals."""
        if self._due():
            self.tell(News("prepare", stage, done, total))

    def on_start(self, info: StartInfo) -> None:
        """The problem is prepared."""
        self.tell(News("search", done=info.recorded, total=info.budget))

    def on_progress(self, progress: Progress) -> None:
        """Pass it on, at intervals."""
        if self._due():
            self.tell(News("progress", "", progress.evaluations, progress.budget, progress.best, progress.remaining))

    def on_message(self, text: str) -> None:
        """Pass it on."""
        self.tell(News("message", text))

    def on_finish(self, result: RunResult) -> None:
        """Nothing: the ending says it."""

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self._last >= NEWS_SECONDS
        if due:
            self._last = now
        return due
