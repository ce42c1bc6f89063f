"""One process per run directory."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from snnbench.errors import UsageError

if os.name == "nt":
    import msvcrt

    def _acquire(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

else:
    import fcntl

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Busy(UsageError):
    """Another process works on the run."""


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory's lock. The system releases it when the process ends, however it ends.

    Raises
    ------
    Busy
        If another process holds it.
    UsageError
        If the directory cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}") from None
    try:
        try:
            _acquire(descriptor)
        except OSError:
            raise Busy(f"another process is working on {directory}") from None
        yield
    finally:
        os.close(descriptor)


def is_locked(directory: Path) -> bool:
    """Whether a process is working on the run right now (on this machine, or any that shares its locks)."""
    if not (directory / "lock").exists():
        return False
    try:
        descriptor = os.open(directory / "lock", os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    except OSError:  # somebody else's run, which cannot be told from here
        return False
    try:
        _acquire(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
