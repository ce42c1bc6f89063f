"""Evaluating a population: many weight vectors, one network definition, one data set."""

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from snnbench.errors import UsageError
from snnbench.snn import native
from snnbench.snn.energy import EnergyModel
from snnbench.snn.graph import Recorder
from snnbench.snn.grid import exact_convolutions
from snnbench.snn.layers import folded_finite, set_mode
from snnbench.snn.memory import fewer, out_of_memory
from snnbench.snn.metrics import Measured, fetch
from snnbench.snn.readings import Readings, read
from snnbench.snn.sew_resnet import SEWResNet
from snnbench.snn.tally import Tally
from snnbench.snn.threads import run_all, workers
from snnbench.snn.weights import attach

T = TypeVar("T")
Replica = tuple[nn.Module, torch.Tensor]
"""A network and the vector that its weights are views of."""


class Decoder(Protocol):
    """Makes weights of coordinates: `snnbench.snn.weights.Codec`, `snnbench.snn.soup.SoupCodec`."""

    @property
    def centre(self) -> torch.Tensor:
        """(D,) Weights with the shape, type and device of all that are decoded."""
        ...

    def decode(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Coordinates (d,) to weights, written into `out` (D,)."""
        ...


class PopulationEvaluator:
    """Runs candidates through a network: load, calibrate batch normalisation, fold it, run every chunk of samples.

    The normalisation statistics of a candidate are re-estimated on the calibration images (a mixture of networks
    has none of its own, and those of either parent are wrong for it), folded into the convolutions, and then used
    on whatever split is evaluated.

    A candidate's result depends on that candidate and the images only: not on other candidates or the number of cores,
    and where the network sums exactly (`snnbench.snn.grid`) neither on the chunk size.

    Parameters
    ----------
    build
        Makes the network (its weights are overwritten). Called once per concurrent candidate.
    codec
        Coordinates to weights.
    prepare_images
        Maps uint8 images (N, C, H, W) to the network's input.
    calibration
        Images (N, C, H, W) uint8 for the normalisation statistics.
    chunk
        Samples per pass.
    confidence
        Softmax probability for the early exit.
    energy
        The energy model.
    strategy
        How networks are run: ``convolution``, ``lookup`` (`snnbench.snn.native`), ``graph`` (convolutions as a CUDA
        graph), or ``auto`` for what is fastest here.

    Attributes
    ----------
    strategy : str
        The one in use; ``auto`` until a candidate was evaluated. All give the same bits.

    Raises
    ------
    UsageError
        In an evaluation, if the network or this machine does not allow the strategy.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        codec: Decoder,
        prepare_images: Callable[[torch.Tensor], torch.Tensor],
        calibration: torch.Tensor,
        chunk: int,
        confidence: float,
        energy: EnergyModel,
        strategy: str = "auto",
    ) -> None:
        self.strategy, self._choosing, self._chosen = strategy, threading.Lock(), strategy == "auto"
        self._suits = False
        self.codec, self.prepare_images, self.calibration = codec, prepare_images, calibration
        self.chunk, self.confidence, self.energy = chunk, confidence, energy
        self.device = calibration.device
        self._replicas: list[Replica] = []
        self._build = build
        self._recorder = Recorder(forced=strategy == "graph") if strategy in ("auto", "graph") else None

    def evaluate(self, x: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> dict[str, np.ndarray]:
        """Measure candidates.

        Parameters
        ----------
        x
            (n, d) coordinates on the evaluator's device.
        images, labels
            (N, C, H, W) uint8 and (N,), on the device.

        Returns
        -------
        dict of str to numpy.ndarray
            See `summarise`; one row per candidate.
        """
        whole = len(x) - len(x) % workers(self.device.type)
        found = self.spread([partial(self._measure, x=row, images=images, labels=labels) for row in x[:whole]])
        rest = x[whole:]
        if len(rest):  # too few for all cores, which share chunks of samples instead
            replicas = [self._replica(k) for k in range(len(rest))]
            usable = run_all(self.device, [partial(self._load, r, row) for r, row in zip(replicas, rest, strict=True)])
            results = self._passes([network for network, _ in replicas], images, labels)
            found += [Measured.of(chunks, good) for chunks, good in zip(results, usable, strict=True)]
        rows = [measured.metrics(self.energy) for measured in fetch(found)]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def spread(self, jobs: Sequence[Callable[[Replica], T]]) -> list[T]:
        """Run jobs on all cores, each with a network of its own to load candidates into; their results in order."""
        free: SimpleQueue[Replica] = SimpleQueue()
        for k in range(min(len(jobs), workers(self.device.type))):
            free.put(self._replica(k))

        def run(job: Callable[[Replica], T]) -> T:
            replica = free.get()
            try:
                return job(replica)
            finally:
                free.put(replica)

        return run_all(self.device, [partial(run, job) for job in jobs])

    def _measure(self, replica: Replica, x: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> Measured:
        recorder = self._recorder if self.device.type == "cuda" else None

        def attempt(chunk: int) -> Measured:
            launch = partial(self._launch, replica, images=images, labels=labels, chunk=chunk)
            return launch(x) if recorder is None else recorder.measure(launch, x, (images, labels), chunk)

        measured = self.with_memory(attempt)
        if recorder is not None:
            self.strategy = "graph" if recorder.in_use else "convolution"
        return measured

    def require_single_kernels(self, what: str) -> None:
        """Fail if a CUDA graph was asked for: `UsageError`; else say that none is used for what follows."""
        if self.strategy == "graph":
            if self._recorder is not None and self._recorder.forced:
                raise UsageError(f"the strategy graph does not go with {what}; use auto")
            self.strategy = "convolution"

    def _launch(
        self, replica: Replica, x: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, chunk: int
    ) -> Measured:
        """Everything about one candidate. On a GPU nothing here may wait for it: see `snnbench.snn.graph`."""
        usable = self._load(replica, x)
        spans = [slice(a, a + chunk) for a in range(0, len(images), chunk)]
        return Measured.of([self._run(replica[0], images[s], labels[s]) for s in spans], usable)

    def answers(
        self, x: torch.Tensor, images: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor, Tally, torch.Tensor]]:
        """Logits (T, N, K), silent samples (N,), tally and whether the layers are finite, of every candidate of x."""
        replicas = [self._replica(k) for k in range(len(x))]
        pairs = list(zip(replicas, x, strict=True))
        return self.with_memory(
            lambda chunk: run_all(self.device, [partial(self._answer, r, row, images, chunk) for r, row in pairs])
        )

    @torch.inference_mode()
    def _answer(
        self, replica: Replica, x: torch.Tensor, images: torch.Tensor, chunk: int
    ) -> tuple[torch.Tensor, torch.Tensor, Tally, torch.Tensor]:
        usable = self._load(replica, x)
        logits, silent, total = [], [], Tally()
        for part in images.split(chunk):
            tally = Tally()
            logits.append(self.forward(replica[0], self._input(part), tally))
            assert tally.silent is not None
            silent.append(tally.silent)
            total.add(tally)
        return torch.cat(logits, dim=1), torch.cat(silent), total, usable

    def _passes(
        self, networks: Sequence[nn.Module], images: torch.Tensor, labels: torch.Tensor
    ) -> list[list[tuple[Readings, Tally]]]:
        """Every network over all samples: per network, one reading and tally per chunk."""

        def attempt(chunk: int) -> list[list[tuple[Readings, Tally]]]:
            spans = [slice(a, a + chunk) for a in range(0, len(images), chunk)]
            done = run_all(
                self.device, [partial(self._run, network, images[s], labels[s]) for network in networks for s in spans]
            )
            return [done[k * len(spans) : (k + 1) * len(spans)] for k in range(len(networks))]

        return self.with_memory(attempt)

    def with_memory(self, attempt: Callable[[int], T]) -> T:
        """What is attempted with so many samples per pass: half as many as often as memory is too small."""
        while True:
            tried = self.chunk  # which other threads may make smaller meanwhile
            try:
                return attempt(tried)
            except RuntimeError as error:
                if not out_of_memory(error) or tried == 1:
                    raise
            with self._choosing:
                if self.chunk >= tried:
                    self.chunk = fewer(tried)

    def _replica(self, k: int) -> Replica:
        if k == len(self._replicas):
            with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and overwritten at once
                network = self._build().to(self.device)
            vector = torch.empty_like(self.codec.centre)
            attach(network, vector)
            self._replicas.append((network, vector))
        return self._replicas[k]

    @torch.inference_mode()
    def _load(self, replica: Replica, x: torch.Tensor) -> torch.Tensor:
        """() Whether every normalised layer is finite: NaN never fires, so it would pass for silence further on."""
        network, vector = replica
        self.codec.decode(x, out=vector)
        set_mode(network, "calibrate")
        self.forward(network, self._input(self.calibration))
        set_mode(network, "folded")
        return folded_finite(network)

    @torch.inference_mode()
    def _run(self, network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[Readings, Tally]:
        tally = Tally()
        logits = self.forward(network, self._input(images), tally)
        assert tally.silent is not None
        return read(logits, labels, tally.silent, self.confidence), tally

    @torch.inference_mode()
    def forward(self, network: nn.Module, x: torch.Tensor, tally: Tally | None = None) -> torch.Tensor:
        """Logits (T, N, K) of a network for its input, by the strategy in use; the first time, the choice of one."""
        if self.strategy == "auto":
            with self._choosing:
                if self.strategy == "auto":
                    self.strategy = faster(network, x) if self.device.type == "cpu" else "convolution"
        if self.strategy == "lookup":
            self._require_lookup(network)
            found = self._lookup(network, x, tally)
            if found is not None:
                return found
        if self.strategy == "events" or (self.strategy == "graph" and self.device.type != "cuda"):
            reason = "does not suit this network" if self.strategy == "events" else "needs a GPU"
            raise UsageError(f"the strategy {self.strategy} {reason}; use auto")
        with exact_convolutions(self.device):
            logits: torch.Tensor = network(x, tally)
        return logits

    def _require_lookup(self, network: nn.Module) -> None:
        if self._suits:  # all replicas are alike
            return
        if self.device.type != "cpu" or not (isinstance(network, SEWResNet) and native.suits(network)):
            raise UsageError("the strategy lookup does not suit this network or device; use auto")
        if not native.available():
            raise UsageError("the strategy lookup needs a C compiler (cc, gcc or clang); use auto")
        self._suits = True

    def _lookup(self, network: nn.Module, x: torch.Tensor, tally: Tally | None) -> torch.Tensor | None:
        """Logits, or ``None`` if that failed here and convolutions are used from now on."""
        assert isinstance(network, SEWResNet)
        counted = None if tally is None else Tally()
        try:
            logits = native.forward(network, x, counted)
        except (MemoryError, OSError, RuntimeError) as error:
            if not self._chosen:
                raise
            self.strategy = "convolution"
            warnings.warn(f"lookup failed ({error}): going on by convolution", RuntimeWarning, stacklevel=2)
            return None
        if tally is not None and counted is not None:
            tally.add(counted)
            tally.silent = counted.silent
        return logits

    def _input(self, images: torch.Tensor) -> torch.Tensor:
        x = self.prepare_images(images)
        if x.ndim == 5:  # frames: the layout holds for the steps one after the other
            return x.movedim(-3, -1).contiguous().movedim(-1, -3)
        return x.contiguous(memory_format=torch.channels_last)


def faster(network: nn.Module, x: torch.Tensor, samples: int = 32) -> str:
    """``lookup`` or ``convolution``, whichever takes less time for some samples of an input.

    The mode of the network is left as it is, but in mode "calibrate" its statistics become those of these samples.
    """
    if not (isinstance(network, SEWResNet) and native.suits(network) and native.available()):
        return "convolution"
    few = x[:, :samples] if x.ndim == 5 else x[:samples]
    seconds = {}
    for name, run in (("convolution", network), ("lookup", partial(native.forward, network))):
        times = []
        try:
            for _ in range(3):
                began = time.perf_counter()
                run(few)
                times.append(time.perf_counter() - began)
        except (MemoryError, OSError, RuntimeError) as error:  # of tables; convolutions need less
            if name == "convolution":
                raise
            warnings.warn(f"{name} failed ({error}): going on by convolution", RuntimeWarning, stacklevel=2)
            continue
        seconds[name] = min(times)
    return min(seconds, key=seconds.__getitem__)
