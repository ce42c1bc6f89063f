"""A run while it runs: a live display on a terminal, plain lines everywhere else."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

from snnbench.experiment.observer import Observer, Progress, StartInfo
from snnbench.experiment.plan import RunPlan
from snnbench.experiment.record import RunResult
from snnbench.registry import display_name
from snnbench.report.text import duration, number, percent


def observer() -> "PlainDisplay | TerminalDisplay":
    """The display that suits standard output."""
    return TerminalDisplay() if sys.stdout.isatty() else PlainDisplay()


def headline(plan: RunPlan) -> str:
    """A run in one line."""
    names = display_name("problem", plan.problem), display_name("algorithm", plan.algorithm)
    return f"{names[0]} · {names[1]} · seed {plan.seed} · budget {plan.budget:,} evaluations"


def start_text(info: StartInfo) -> str:
    """What the initial design is worth, in one line."""
    if not info.start:
        return ""
    point = info.start[0]
    parts = [f"{name} {number(point['search'][name])} on search" for name in info.objectives]
    if "accuracy" in point["test"]:
        parts.append(f"test accuracy {percent(point['test']['accuracy'][-1])}")
    return "start: " + ", ".join(parts)


def progress_text(progress: Progress, objectives: tuple[str, ...]) -> str:
    """Where the search stands, in one line without a bar."""
    best = ", ".join(f"{name} {number(v)}" for name, v in zip(objectives, progress.best, strict=True))
    left = duration(progress.remaining)
    done = f"{progress.evaluations:,}/{progress.budget:,}"
    return f"{done} evaluations, best {best}, {number(progress.rate)}/s, {left} left"


class PlainDisplay:
    """Lines for logs: one per stage of preparation, and one every few seconds of search."""

    def __init__(self, interval: float = 10.0) -> None:
        self.interval = interval
        self._stage, self._last = "", 0.0
        self._objectives: tuple[str, ...] = ()

    def on_plan(self, plan: RunPlan, directory: Path) -> None:
        """Say what runs."""
        print(headline(plan), flush=True)

    def on_prepare(self, stage: str, done: int, total: int) -> None:
        """A line when a stage begins, and every interval within it."""
        now = time.monotonic()
        if stage != self._stage or now - self._last >= self.interval:
            if not (stage == self._stage and done == total):
                print(f"{stage}: {done}/{total}" if stage == self._stage else stage, flush=True)
            self._stage, self._last = stage, now

    def on_start(self, info: StartInfo) -> None:
        """Say where the search begins."""
        self._objectives, self._last = info.objectives, time.monotonic()
        if info.recorded:
            print(f"continuing after {info.recorded:,} recorded evaluations", flush=True)
        if info.start:
            print(start_text(info), flush=True)

    def on_progress(self, progress: Progress) -> None:
        """A line every interval."""
        now = time.monotonic()
        if now - self._last >= self.interval or progress.evaluations == progress.budget:
            self._last = now
            print(progress_text(progress, self._objectives), flush=True)

    def on_message(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)

    def on_finish(self, result: RunResult) -> None:
        """Nothing: the summary follows."""

    def close(self) -> None:
        """Nothing is open."""


class TerminalDisplay:
    """A progress bar that is redrawn in place, with what matters beside it."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False)
        self._lock = threading.Lock()
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""
        self._objectives: tuple[str, ...] = ()

    def on_plan(self, plan: RunPlan, directory: Path) -> None:
        """Say what runs."""
        self.close()
        self.console.print(headline(plan), style="bold", markup=False)

    def on_prepare(self, stage: str, done: int, total: int) -> None:
        """A bar per stage; called from training threads as well."""
        with self._lock:
            if stage != self._stage:
                self._open(stage, total)
            self._bar.update(self._task, completed=done, total=total)

    def on_start(self, info: StartInfo) -> None:
        """Say where the search begins."""
        self.close()
        self._objectives = info.objectives
        if info.recorded:
            self.console.print(f"continuing after {info.recorded:,} recorded evaluations")
        if info.start:
            self.console.print(start_text(info), markup=False)
        with self._lock:
            self._open("search", info.budget, searching=True)

    def on_progress(self, progress: Progress) -> None:
        """Move the bar."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(
                    self._task,
                    completed=progress.evaluations,
                    best="  ".join(f"{n} {number(v)}" for n, v in zip(self._objectives, progress.best, strict=True)),
                    rate=f"{number(progress.rate)}/s",
                    left=f"{duration(progress.remaining)} left",
                )

    def on_message(self, text: str) -> None:
        """Print it above the bar."""
        self.console.print(text, markup=False, soft_wrap=True)

    def on_finish(self, result: RunResult) -> None:
        """Remove the bar: the summary follows."""
        self.close()

    def close(self) -> None:
        """Give the terminal back."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._stage = None, ""

    def _open(self, stage: str, total: int, searching: bool = False) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._close()
        columns: list[Any] = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=None)]
        columns.append(MofNCompleteColumn())
        if searching:
            columns += [TextColumn("best {task.fields[best]}"), TextColumn("{task.fields[rate]}")]
            columns += [TextColumn("{task.fields[left]}")]
        else:
            columns.append(TimeElapsedColumn())
        self._bar = Progress(*columns, console=self.console, refresh_per_second=5, transient=True, expand=True)
        self._task = self._bar.add_task(stage, total=total, best="?", rate="?", left="?")
        self._bar.start()
        self._stage = stage


_: type[Observer] = PlainDisplay
