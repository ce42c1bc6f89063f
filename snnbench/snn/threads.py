"""Work spread over CPU threads with one core each.

The tensors of a small network are too small for several cores to share one operation well, so the cores share
candidates and chunks of samples instead. Each job then computes on one core, which also makes its result
independent of how many cores there are.
"""

import ctypes
import sys
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


def run_all(device: torch.device, jobs: Iterable[Callable[[], R]]) -> list[R]:
    """Run jobs on the device's pool; their results in order. The first exception is raised once all have ended."""
    futures = [pool(device.type).submit(job) for job in jobs]
    try:
        return [future.result() for future in futures]
    except BaseException:
        for future in futures:
            future.cancel()
        for future in futures:
            if not future.cancelled():
                future.exception()
        raise


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
