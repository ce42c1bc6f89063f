"""A candidate's evaluation as one CUDA graph.

A small spiking network is hundreds of kernels, each of which takes less time than starting it does. All candidates run
the same kernels on the same memory, but for their coordinates, so these kernels are recorded once and then started by
one call.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace

import torch

from snnbench.errors import UsageError
from snnbench.snn.metrics import Measured

Launch = Callable[[torch.Tensor], Measured]
"""From coordinates (d,) to what was measured; waits for nothing on the device and copies nothing to it."""

_WARM_UP = 2
"""Runs before recording, in which libraries choose algorithms and fetch what memory they need."""
_ENOUGH = 16
"""Candidates on the same samples that are started kernel by kernel; for fewer, recording takes longer than it saves."""
_ROUNDS = 3


class Graph:
    """What `launch` does with coordinates (d,), recorded for others of their shape, type and device.

    Raises
    ------
    RuntimeError
        If it cannot be recorded, or (`torch.cuda.OutOfMemoryError`) not held.
    """

    def __init__(self, launch: Launch, x: torch.Tensor) -> None:
        self._x = torch.zeros_like(x)  # not x: what is recorded must not depend on it
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(x.device):
            stream, before = torch.cuda.Stream(x.device), torch.cuda.current_stream(x.device)
            stream.wait_stream(before)
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    launch(self._x)
            before.wait_stream(stream)
            try:
                self._measured = self._recorded(launch, stream)
            finally:  # torch leaves the stream as it is where recording fails
                torch.cuda.set_stream(before)

    def _recorded(self, launch: Launch, stream: torch.cuda.Stream) -> Measured:
        cause: RuntimeError | None = None
        try:
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                try:
                    return launch(self._x)
                except RuntimeError as error:
                    cause = error
                    raise
        except RuntimeError as error:  # of what was recorded, or of the recording that it broke
            raise cause or error from None

    def __call__(self, x: torch.Tensor) -> Measured:
        """The same of other coordinates."""
        self._x.copy_(x)
        self._graph.replay()
        # The next candidate's are written to the same place.
        return replace(self._measured, values=self._measured.values.clone())


class Recorder:
    """Measures candidates on a GPU, by a graph of the samples at hand once there are enough of them and it is faster.

    Parameters
    ----------
    forced
        Whether to use a graph from the first candidate on, whatever it takes.

    Attributes
    ----------
    in_use : bool
        Whether a graph is used.
    """

    def __init__(self, forced: bool) -> None:
        self.forced, self.in_use = forced, False
        self._graph: Graph | None = None
        self._given_up = False
        self._samples: tuple[tuple[torch.Tensor, ...], int] | None = None
        self._seen = 0

    def measure(self, launch: Launch, x: torch.Tensor, samples: tuple[torch.Tensor, ...], chunk: int) -> Measured:
        """What `launch` measures for coordinates (d,) on these samples, so many per pass.

        Raises
        ------
        UsageError
            If a graph must be used and cannot be.
        """
        if not self._known(samples, chunk):
            self._samples, self._seen, self._graph, self.in_use = (samples, chunk), 0, None, False
        if self._graph is None and not self._given_up and (self.forced or self._seen >= _ENOUGH):
            self._record(launch, x)
        self._seen += 1
        return launch(x) if self._graph is None else self._graph(x)

    def _known(self, samples: tuple[torch.Tensor, ...], chunk: int) -> bool:
        if self._samples is None or self._samples[1] != chunk:
            return False
        return all(a is b for a, b in zip(self._samples[0], samples, strict=True))

    def _record(self, launch: Launch, x: torch.Tensor) -> None:
        try:
            graph = Graph(launch, x)
            one, other = graph(x).values, launch(x).values
            if not torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True):
                raise RuntimeError("other results than without it")
        except RuntimeError as error:
            if self.forced and isinstance(error, torch.cuda.OutOfMemoryError):
                raise  # fewer samples per pass may do
            reason = str(error).strip().partition("\n")[0]
            if self.forced:
                raise UsageError(f"the strategy graph does not work here ({reason}); use auto") from None
            self._give_up(f"CUDA graph failed ({reason}): going on by convolution")
            return
        if self.forced or _seconds(graph, x) < _seconds(launch, x):
            self._graph, self.in_use = graph, True
        else:
            self._give_up()

    def _give_up(self, message: str = "") -> None:
        self._given_up, self.in_use = True, False
        if message:
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _seconds(run: Launch, x: torch.Tensor) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        run(x).values.cpu()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
