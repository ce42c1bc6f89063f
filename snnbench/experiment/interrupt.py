"""Ctrl-C and termination requests, answered at the next moment at which nothing is lost."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from snnbench.errors import SnnbenchError


class Interrupted(SnnbenchError):
    """The user (or the cluster) stopped a run; everything measured is kept and it can be resumed."""

    exit_code = 130

    def __init__(self, directory: Path, evaluations: int, number: int = signal.SIGINT) -> None:
        super().__init__(f"interrupted after {evaluations} evaluations; continue with `snnbench resume {directory}`")
        self.directory = directory
        self.exit_code = 128 + number


class StopRequest:
    """Which signal asked the run to stop; 0 while none did."""

    def __init__(self) -> None:
        self.number = 0

    def __bool__(self) -> bool:
        return bool(self.number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.number:  # asked twice: now
            raise KeyboardInterrupt
        self.number = number


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn the first SIGINT or SIGTERM into a flag; a second one raises KeyboardInterrupt on the spot.

    Signals can only be caught in the main thread; elsewhere the flag is never set.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request._receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
