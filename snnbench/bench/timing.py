"""Timing ways to evaluate a population, and a peer, in turns."""

import ctypes
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from snnbench.bench.cases import Case
from snnbench.bench.peers import spikingjelly
from snnbench.errors import SnnbenchError, UsageError, said
from snnbench.snn.precision import Precision
from snnbench.snn.threads import pool

PEERS = {"spikingjelly": spikingjelly}


@dataclass(frozen=True)
class Row:
    """What was measured of one way to evaluate a population.

    Attributes
    ----------
    network
        Name of the case.
    way, precision
        The strategy, or the peer, and what it computes in (`peer_precision`).
    seconds
        Per candidate, median over rounds.
    samples_per_second
        Samples of all candidates.
    dense_flops
        Per second: twice the multiply-accumulates that a network takes if every input is non-zero.
    memory
        Bytes that the process (or, on a GPU, torch) took at most while all candidates were evaluated, beyond networks
        and images, if known.
    times
        How much faster than the peer; ``None`` without one.
    different
        Predictions of the first candidate that are not those of the peer; ``None`` without one.
    """

    network: str
    way: str
    precision: Precision
    seconds: float
    samples_per_second: float
    dense_flops: float
    memory: int | None
    times: float | None = None
    different: int | None = None


def measure(
    case: Case,
    device: torch.device,
    rounds: int = 5,
    against: str | None = None,
    precisions: Sequence[Precision] = ("float32",),
) -> list[Row]:
    """Evaluate the population of a case in every way that works here.

    Parameters
    ----------
    case
        See `CASES`.
    device
        Where to run.
    rounds
        Of which the median is taken; in each one all ways take their turn, so that a busy moment hits them alike.
    against
        A peer to run too: ``spikingjelly``.
    precisions
        Of networks that can be run in several.

    Raises
    ------
    UsageError
        If the peer is unknown or not installed.
    """
    if against is not None and against not in PEERS:
        raise UsageError(f"against {against!r}: known is {', '.join(PEERS)}")
    material = case.make(device, precisions)
    jobs: dict[tuple[str, Precision], Callable[[], object]] = dict(material.ways)
    of_peer: tuple[str, Precision] = (against or "", peer_precision(device))
    different: dict[tuple[str, Precision], int] = {}
    if against is not None:
        peer = PEERS[against](material)
        jobs[of_peer] = peer.run
        theirs = peer.answers().mean(dim=0).argmax(dim=1)
    memory: dict[tuple[str, Precision], int | None] = {}
    for name, job in jobs.items():
        try:
            if against is not None and name in material.answers:
                different[name] = int((material.answers[name]().mean(dim=0).argmax(dim=1) != theirs).sum())
            memory[name] = _memory_of(job, device)
        except (UsageError, RuntimeError, MemoryError) as error:
            warnings.warn(f"{case.name}: {' '.join(name)} left out: {said(error)}", RuntimeWarning, stacklevel=2)
    if not memory:
        raise SnnbenchError(f"{case.name}: nothing could be measured")
    jobs = {name: jobs[name] for name in memory}
    times: dict[tuple[str, Precision], list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(_seconds(job, device))
    medians = {name: statistics.median(found) / case.candidates for name, found in times.items()}
    rows = []
    for name, seconds in medians.items():
        peers = of_peer in medians and name != of_peer
        compared = (medians[of_peer] / seconds, different.get(name)) if peers else (None, None)
        per_second = case.samples / seconds
        dense = 2 * case.operations * per_second
        rows.append(Row(case.name, *name, seconds, per_second, dense, memory[name], *compared))
    return rows


def peer_precision(device: torch.device) -> Precision:
    """What convolutions compute in where nobody says anything: PyTorch allows TF32 on a GPU."""
    return "tf32" if device.type == "cuda" else "float32"


def matrix_peak(
    device: torch.device, precision: Precision = "float32", size: int | None = None, rounds: int = 7
) -> float:
    """Floating-point operations per second of a product of two matrices: the best of some rounds.

    Parameters
    ----------
    device
        Where. A CPU computes in float32 whatever the precision.
    precision
        Of the matrices.
    size
        Rows and columns; by default 2048, and 8192 on a GPU.
    rounds
        Of which the fastest counts.
    """
    gpu = device.type == "cuda"
    size = size or (8192 if gpu else 2048)
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision) if gpu else None
    a, b = torch.rand(2, size, size, device=device, dtype=half)
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        return 2 * size**3 / min(_seconds(lambda: a @ b, device) for _ in range(rounds + 1))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def threads(device: torch.device) -> int:
    """How many candidates or chunks are worked on at once."""
    return pool(device.type)._max_workers


def _seconds(job: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    job()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _memory_of(job: Callable[[], object], device: torch.device) -> int | None:
    """What a job takes beyond what was there: on a CPU the second time, on a GPU the first, for graphs keep it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        job()
        return torch.cuda.max_memory_allocated(device) - held
    job()
    before = _resident("VmRSS") if _forget_peak() else None
    job()
    peak = _resident("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def _forget_peak() -> bool:
    if sys.platform != "linux":
        return False
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed is otherwise kept, and would not be counted again
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):  # another C library
        return False
    return True


def _resident(name: str) -> int | None:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    return None
