"""Work spread over CPU threads with one core each.

The tensors of a small network are too small for several cores to share one operation well, so the cores share
candidates and chunks of samples instead. Each job then computes on one core, which also makes its result
independent of how many cores there are.
"""

import ctypes
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

R = TypeVar("R")


@cache
def pool(device_type: str) -> ThreadPoolExecutor:
    """The thread pool for a type of device: one thread per core for the CPU, one for a GPU."""
    if device_type == "cpu":
        _keep_freed_memory()
        return ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,))
    return ThreadPoolExecutor(1)


def workers(device_type: str) -> int:
    """How many jobs the pool runs at once."""
    return pool(device_type)._max_workers


class Abandoned(Exception):
    """Raised in a job whose result nobody waits for any more."""


_abandoned = threading.Event()


def run_all(device: torch.device, jobs: Iterable[Callable[[], R]]) -> list[R]:
    """Run jobs on the device's pool; their results in order.

    The first exception is raised once all have ended. Ctrl-C ends those that call `give_up_if_abandoned`.
    """
    futures = [pool(device.type).submit(job) for job in jobs]
    try:
        return [future.result() for future in futures]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            _abandoned.set()
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()
        _abandoned.clear()  # not reached by a second Ctrl-C: then the process ends, which waits for its threads
        raise


def give_up_if_abandoned() -> None:
    """To be called now and then by jobs that take long.

    Raises
    ------
    Abandoned
        If whoever waited for the job was interrupted.
    """
    if _abandoned.is_set():
        raise Abandoned


def _keep_freed_memory() -> None:
    """Tell glibc not to return freed tensors to the kernel: fetching them again page by page costs up to 40 %."""
    if sys.platform == "linux":
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except (OSError, AttributeError):  # another C library
            return
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_mmap_threshold, 1 << 25)  # the largest that glibc takes
        mallopt(m_trim_threshold, 1 << 30)
