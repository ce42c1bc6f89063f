"""A matrix of runs while it is made: a live table on a terminal, a line per run everywhere else."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from snnbench.experiment.matrix import BAD, STATES, Cell, seconds_left
from snnbench.experiment.pool import News, Worker
from snnbench.experiment.scheduler import MatrixObserver, Overview
from snnbench.registry import display_name
from snnbench.report.text import duration, number, percent, table

SHOWN_FAILURES = 10
STOPPING = "stopping: runs under way write what they have"


def observer() -> "PlainMatrix | LiveMatrix":
    """The display that suits standard output."""
    return LiveMatrix() if sys.stdout.isatty() else PlainMatrix()


def label(cell: Cell) -> str:
    """A run in a few words."""
    plan = cell.plan
    names = display_name("problem", plan.problem), display_name("algorithm", plan.algorithm)
    return f"{names[0]} · {names[1]} · seed {plan.seed}"


def counts_text(cells: Sequence[Cell]) -> str:
    """How many runs are in which state."""
    counts = {state: sum(cell.state == state for cell in cells) for state in STATES}
    return ", ".join(f"{n:,} {state}" for state, n in counts.items() if n) or "no runs"


def grid(cells: Sequence[Cell]) -> str:
    """Problems by rows and algorithms by columns: complete runs of all, failed ones marked."""
    problems = list(dict.fromkeys(display_name("problem", c.plan.problem) for c in cells))
    algorithms = list(dict.fromkeys(display_name("algorithm", c.plan.algorithm) for c in cells))
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        key = display_name("problem", cell.plan.problem), display_name("algorithm", cell.plan.algorithm)
        groups.setdefault(key, []).append(cell)
    rows = []
    for algorithm in algorithms:
        rows.append([algorithm, *(_cell_text(groups.get((problem, algorithm), [])) for problem in problems)])
    short = [f"({i + 1})" for i in range(len(problems))]
    legend = "\n".join(f"{mark} {name}" for mark, name in zip(short, problems, strict=True))
    return table(["complete/runs", *short], rows) + "\n" + legend


def _cell_text(cells: Sequence[Cell]) -> str:
    if not cells:
        return "-"
    complete = sum(cell.state == "complete" for cell in cells)
    bad = sum(cell.state in BAD for cell in cells)
    return f"{complete}/{len(cells)}" + (f" {bad}!" if bad else "")


def closing(cells: Sequence[Cell], out: str) -> str:
    """What became of a matrix, and what to do next."""
    lines = [counts_text(cells)]
    bad = [cell for cell in cells if cell.state in BAD or (cell.detail and cell.state != "complete")]
    lines += [f"{cell.directory}: {cell.state}: {cell.detail}" for cell in bad[:SHOWN_FAILURES]]
    if len(bad) > SHOWN_FAILURES:
        lines.append(f"... and {len(bad) - SHOWN_FAILURES} more: `snnbench status {out}`")
    if any(cell.state == "failed" for cell in cells):
        lines.append("failed runs are tried again with --retry-failed")
    if any(cell.state in ("missing", "interrupted") for cell in cells):
        lines.append("the same command continues where it stopped")
    elif any(cell.state == "complete" for cell in cells):
        lines.append(f"next: snnbench rank {out}")
    return "\n".join(lines)


class _Clock:
    """Time left, from what an overview shows."""

    def left(self, overview: Overview) -> float:
        """Seconds."""
        now = time.monotonic()
        elapsed = {w.plan: now - w.began for w in overview.workers if w.plan is not None}
        return seconds_left(overview.cells, elapsed, len(overview.workers))


class PlainMatrix:
    """Lines for logs: one per run that ended, one on the whole every half minute."""

    def __init__(self, interval: float = 30.0) -> None:
        self.interval = interval
        self._total = self._done = 0
        self._last = time.monotonic()

    def on_begin(self, overview: Overview) -> None:
        """What there is to do."""
        self._total = len(overview.cells)
        self._done = sum(cell.state in ("complete", *BAD) for cell in overview.cells)
        print(f"{self._total:,} runs: {counts_text(overview.cells)}", flush=True)

    def on_news(self, worker: Worker, news: News) -> None:
        """Messages and deaths."""
        if news.kind == "message" and worker.plan is not None:
            print(f"{display_name('problem', worker.plan.problem)}: {news.text}", flush=True)
        elif news.kind == "died":
            print(f"{news.text}; its run is continued", flush=True)

    def on_cell(self, cell: Cell) -> None:
        """A line per ending."""
        if cell.state in ("complete", *BAD):
            self._done += 1
            took = f" in {duration(cell.seconds)}" if cell.seconds is not None else ""
            detail = f": {cell.detail}" if cell.detail else ""
            print(f"[{self._done}/{self._total}] {label(cell)}: {cell.state}{took}{detail}", flush=True)
        elif cell.state == "running":
            print(f"{label(cell)}: another process works on it", flush=True)

    def on_tick(self, overview: Overview) -> None:
        """Now and then, the whole."""
        now = time.monotonic()
        if now - self._last >= self.interval:
            self._last = now
            print(f"{counts_text(overview.cells)}; {duration(_Clock().left(overview))} left", flush=True)

    def on_stop(self) -> None:
        """Say that it was heard."""
        print(STOPPING, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class LiveMatrix:
    """Two tables that are redrawn in place: problems with their progress, and what every worker does."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False)
        self._live: Any = None
        self._left = float("nan")
        self._asked = 0.0

    def on_begin(self, overview: Overview) -> None:
        """Open the display."""
        from rich.live import Live

        self._live = Live(self._draw(overview), console=self.console, refresh_per_second=4, transient=True)
        self._live.start()

    def on_news(self, worker: Worker, news: News) -> None:
        """Messages go above the tables."""
        if news.kind == "died":
            self.console.print(f"{news.text}; its run is continued", markup=False)

    def on_cell(self, cell: Cell) -> None:
        """Failures go above the tables."""
        if cell.state in BAD:
            self.console.print(f"{label(cell)}: {cell.state}: {cell.detail}", markup=False, soft_wrap=True)

    def on_tick(self, overview: Overview) -> None:
        """Redraw."""
        if self._live is not None:
            self._live.update(self._draw(overview))

    def on_stop(self) -> None:
        """Say that it was heard."""
        self.console.print(STOPPING)

    def close(self) -> None:
        """Remove the tables: the closing lines follow."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self, overview: Overview) -> Any:
        from rich.console import Group
        from rich.text import Text

        now = time.monotonic()
        if now - self._asked > 1.0:
            self._asked, self._left = now, _Clock().left(overview)
        head = f"{counts_text(overview.cells)}; {duration(now - overview.began)} so far, {duration(self._left)} left"
        return Group(Text(head, style="bold"), self._problems(overview), self._running(overview))

    def _problems(self, overview: Overview) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        drawn = Table(box=None, padding=(0, 2, 0, 0), expand=True)
        for title, kind in (("problem", "left"), ("runs", "right"), ("", "left"), ("failed", "right")):
            drawn.add_column(title, justify=kind, ratio=1 if not title else None, no_wrap=True)  # type: ignore[arg-type]
        groups: dict[str, list[Cell]] = {}
        for cell in overview.cells:
            groups.setdefault(display_name("problem", cell.plan.problem), []).append(cell)
        for name, cells in groups.items():
            done = sum(cell.state == "complete" for cell in cells)
            failed = sum(cell.state in BAD for cell in cells)
            bar = ProgressBar(total=len(cells), completed=done)
            drawn.add_row(name, f"{done}/{len(cells)}", bar, str(failed or ""))
        return drawn

    def _running(self, overview: Overview) -> Any:
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("now", "", "best", "left"):
            drawn.add_column(title, no_wrap=True)
        for worker in overview.workers:
            if worker.plan is None:
                continue
            news, plan = worker.latest, worker.plan
            names = display_name("problem", plan.problem), display_name("algorithm", plan.algorithm)
            share = percent(news.done / news.total) if news.total else ""
            stage = news.text if news.kind == "prepare" else "search"
            best = " ".join(number(value) for value in news.best)
            left = duration(news.remaining) if news.kind == "progress" else ""
            drawn.add_row(Text(f"{names[0]} · {names[1]} · seed {plan.seed}"), Text(f"{stage} {share}"), best, left)
        return drawn


_: type[MatrixObserver] = PlainMatrix
