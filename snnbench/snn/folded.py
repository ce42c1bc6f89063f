"""Many candidates that share the weights of one converted network and differ in thresholds and leaks.

What a straightforward loop computes for every candidate and step is shared here as far as it can be: the first
convolution, whose input is the same image at every step, runs once per batch for all candidates; behind it candidates,
samples and steps are one batch of every layer; pooling is part of the convolution before it (a 4x4 kernel of stride 2);
layers on tiny images are one matrix product. A batch is cut so that it stays in the processor's cache. Where all layers
behind the first are matrices, a CPU with a compiler adds rows of them spike by spike instead (`snnbench.snn.native`).
All sums are exact (`snnbench.snn.conversion`), so none of this changes a bit of a result.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F

from snnbench.errors import UsageError
from snnbench.snn import native
from snnbench.snn.conversion import Converted
from snnbench.snn.grid import exact_convolutions
from snnbench.snn.integrate_and_fire import fire
from snnbench.snn.memory import fewer, out_of_memory
from snnbench.snn.readings import Readings, read
from snnbench.snn.threads import run_all
from snnbench.snn.vgg import Layer, connect

BATCH = 1 << 20
"""Elements of the largest layer that are worked on at once, 4 MiB. Smaller batches were slower (measured)."""

GROUP = 8
"""Candidates in one job."""

GPU_BATCH, GPU_GROUP = 1 << 26, 64
"""The same on a GPU, which needs many neurons to be busy: 256 MiB for each of a few tensors. Not measured yet."""

DENSE = 2.0
"""A convolution becomes a matrix product if that takes at most so many times its multiplications ..."""

LARGEST = 1 << 18
"""... and the matrix has at most so many elements, 1 MiB."""

TIMED = 64
"""Samples that ways to run are timed with."""

Ran = tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor]


@dataclass
class Counts:
    """What one candidate's network did; `add` accumulates spans of samples.

    Attributes
    ----------
    readings
        Accuracy, loss and exits.
    spikes : torch.Tensor
        (L, T) float64, summed over samples and neurons.
    acs, macs : float
        Synaptic operations, summed over samples and steps; the MACs are those of the first convolution, run once.
    """

    readings: Readings
    spikes: torch.Tensor
    acs: float
    macs: float

    def add(self, other: "Counts") -> "Counts":
        """The sum of two disjoint sets of samples."""
        return Counts(
            self.readings.add(other.readings), self.spikes + other.spikes, self.acs + other.acs, self.macs + other.macs
        )


class FoldedNetwork:
    """A converted network, arranged to run many candidates at once.

    Parameters
    ----------
    network
        Weights and layout.
    steps
        T.
    confidence
        Softmax probability for the early exit.
    span
        Samples per job.
    strategy
        How layers are run: ``convolution`` (and products of matrices), ``events`` (`snnbench.snn.native.events`), or
        ``auto`` for what is faster here.

    Attributes
    ----------
    strategy : str
        The one in use; ``auto`` until candidates were evaluated. All give the same bits.

    Raises
    ------
    UsageError
        If the network or this machine does not allow the strategy.
    """

    def __init__(
        self, network: Converted, steps: int, confidence: float, span: int = 500, strategy: str = "auto"
    ) -> None:
        self.network, self.steps, self.confidence, self.span = network, steps, confidence, span
        self.layers = network.config.layers()
        self.neurons = sum(layer.neurons for layer in self.layers)
        with exact_convolutions(network.weights[0].device):
            self._maps = [_arrange(layer, w) for layer, w in zip(self.layers[1:], network.weights[1:], strict=False)]
        readout = _in_rows(network.weights[-1].t().contiguous(), self.layers[-1].shape)
        self._maps.append(_Matrix(readout))
        # Operations behind a spike of every neuron, and behind a pixel.
        targets = [*self.layers[1:], None]
        self._fan_out = [
            fan_out(w, layer.shape, target)
            for layer, target, w in zip(self.layers, targets, network.weights[1:], strict=True)
        ]
        self._image_fan_out = fan_out(network.weights[0], self.layers[0].source, self.layers[0])
        self._widest = max(layer.neurons for layer in self.layers)
        on_gpu = network.weights[0].device.type == "cuda"
        self._batch_size, self._group = (GPU_BATCH, GPU_GROUP) if on_gpu else (BATCH, GROUP)
        self._events, self._chosen = self._event_driven(), strategy == "auto"
        self.strategy = strategy if self._events is not None or strategy != "auto" else "convolution"
        if self.strategy == "lookup" or (self.strategy == "events" and self._events is None):
            raise UsageError(
                f"the strategy {strategy} does not suit this network or machine (events: small layers, a C compiler "
                "and a CPU); use auto"
            )

    def _event_driven(self) -> native.EventDriven | None:
        matrices = [found.matrix for found in self._maps if isinstance(found, _Matrix)]
        if len(matrices) < len(self._maps) or matrices[0].device.type != "cpu" or not native.available():
            return None
        return native.EventDriven(matrices, self.steps)

    def evaluate(
        self,
        thresholds: torch.Tensor,
        decays: torch.Tensor,
        images: torch.Tensor,
        labels: torch.Tensor,
        network_input: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
    ) -> list[Counts]:
        """Run candidates over samples.

        Parameters
        ----------
        thresholds, decays
            (n, L) each, float32: > 0, and the share of the potential kept per step in [0, 1].
        images
            (N, C, H, W).
        labels
            (N,), on the network's device.
        network_input
            From a span of the images to what the network takes: on its device, on the grid of `conversion.round_image`.

        Returns
        -------
        list of Counts
            One per candidate; each depends on that candidate, the samples and `span` only.
        """
        while True:
            try:
                return self._evaluate(thresholds, decays, images, labels, network_input)
            except RuntimeError as error:
                if not out_of_memory(error) or self.span == 1:
                    raise
            self._batch_size, self._group = min(self._batch_size, BATCH), min(self._group, GROUP)
            self.span = fewer(self.span)

    def _evaluate(
        self,
        thresholds: torch.Tensor,
        decays: torch.Tensor,
        images: torch.Tensor,
        labels: torch.Tensor,
        network_input: Callable[[torch.Tensor], torch.Tensor],
    ) -> list[Counts]:
        device = labels.device
        groups = [slice(a, a + self._group) for a in range(0, len(thresholds), self._group)]
        totals: list[Counts] = []
        for start in range(0, len(images), self.span):
            part, truth = network_input(images[start : start + self.span]), labels[start : start + self.span]
            ((currents, macs),) = run_all(device, [partial(self._first, part)])
            if self.strategy == "auto":
                few = (thresholds[:GROUP], decays[:GROUP], currents[:TIMED])
                (self.strategy,) = run_all(device, [partial(self._faster, *few)])
            jobs = [partial(self._run, thresholds[g], decays[g], currents, macs, truth) for g in groups]
            found = [counts for group in run_all(device, jobs) for counts in group]
            totals = found if not totals else [a.add(b) for a, b in zip(totals, found, strict=True)]
        return totals

    @torch.inference_mode()
    def answers(self, thresholds: torch.Tensor, decays: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Readout of every step (T, n, N, K); arguments as in `evaluate`, images as the network takes them."""
        return self._ran(thresholds, decays, self._first(images)[0])[0]

    @torch.inference_mode()
    def _first(self, images: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Currents (N, F) of the first neurons, positions before channels, and their MACs."""
        first = self.layers[0]
        with exact_convolutions(images.device):
            currents = connect(images, self.network.weights[0], first).permute(0, 2, 3, 1).flatten(1).contiguous()
        pixels = images.ne(0.0).sum(dim=0, dtype=torch.float64).permute(1, 2, 0).flatten()
        return currents, float(pixels @ self._image_fan_out)

    @torch.inference_mode()
    def _run(
        self, thresholds: torch.Tensor, decays: torch.Tensor, currents: torch.Tensor, macs: float, labels: torch.Tensor
    ) -> list[Counts]:
        """A group of candidates on one span of samples."""
        answers, quiet, maps, spikes = self._ran(thresholds, decays, currents)
        answers = answers.mul_(self.network.output_scale)
        spikes = spikes.cpu()
        behind = zip(maps, self._fan_out, strict=True)
        acs = torch.stack([counted @ fan for counted, fan in behind]).sum(dim=0).tolist()
        readings = [read(answers[:, i], labels, quiet[i], self.confidence) for i in range(len(thresholds))]
        sums = torch.stack([r.sums for r in readings]).cpu()  # one copy for all candidates
        return [
            Counts(replace(r, sums=row), spikes[:, :, i], acs[i], macs)
            for i, (r, row) in enumerate(zip(readings, sums, strict=True))
        ]

    def _ran(self, thresholds: torch.Tensor, decays: torch.Tensor, currents: torch.Tensor) -> Ran:
        if self.strategy == "events":
            try:
                return self._by_events(thresholds, decays, currents)
            except (MemoryError, OSError) as error:
                if not self._chosen:
                    raise
                self.strategy = "convolution"
                warnings.warn(f"events failed ({error}): going on by convolution", RuntimeWarning, stacklevel=2)
        return self._in_batches(thresholds, decays, currents)

    @torch.inference_mode()
    def _faster(self, thresholds: torch.Tensor, decays: torch.Tensor, currents: torch.Tensor) -> str:
        """Which way takes less time for some candidates and samples."""
        seconds = {}
        for name, run in (("convolution", self._in_batches), ("events", self._by_events)):
            times = []
            try:
                for _ in range(3):
                    began = time.perf_counter()
                    run(thresholds, decays, currents)
                    times.append(time.perf_counter() - began)
            except (MemoryError, OSError) as error:
                if name == "convolution":
                    raise
                warnings.warn(f"{name} failed ({error}): going on by convolution", RuntimeWarning, stacklevel=2)
                continue
            seconds[name] = min(times)
        return min(seconds, key=seconds.__getitem__)

    def _by_events(self, thresholds: torch.Tensor, decays: torch.Tensor, currents: torch.Tensor) -> Ran:
        assert self._events is not None
        return self._events.run(thresholds, decays, currents)

    def _in_batches(self, thresholds: torch.Tensor, decays: torch.Tensor, currents: torch.Tensor) -> Ran:
        """Readout of every step (T, n, N, K), silent samples (n, N), maps of spikes, and spikes (L, T, n)."""
        n, samples = len(thresholds), len(currents)
        zeros = partial(torch.zeros, dtype=torch.float64, device=currents.device)
        maps, spikes = [zeros(n, layer.neurons) for layer in self.layers], zeros(len(self.layers), self.steps, n)
        logits, silent = [], []
        rows = max(1, self._batch_size // (self._widest * n))
        leaky = decays.ne(1.0).any(dim=0).tolist()
        for start in range(0, samples, rows):
            with exact_convolutions(currents.device):
                answer, quiet = self._batch(thresholds, decays, leaky, currents[start : start + rows], maps, spikes)
            logits.append(answer)
            silent.append(quiet)
        return torch.cat(logits, dim=2), torch.cat(silent, dim=1), maps, spikes

    def _batch(
        self,
        thresholds: torch.Tensor,
        decays: torch.Tensor,
        leaky: list[bool],
        currents: torch.Tensor,
        maps: list[torch.Tensor],
        counts: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Readout of every step (T, n, N, K) and silent samples (n, N).

        Adds spikes to `maps`, (n, F) per layer, over samples and steps; and to `counts`, (L, T, n), over samples and
        neurons.
        """
        n, samples = len(thresholds), len(currents)
        tile = max(1, min(self.steps, self._batch_size // (self._widest * n * samples)))
        states = [currents.new_empty(n, samples * layer.neurons) for layer in self.layers]
        fired = currents.new_zeros(n, samples)
        answers = []
        for begin in range(0, self.steps, tile):
            steps = min(tile, self.steps - begin)
            x = currents.flatten().expand(steps, n, -1)
            for i, layer in enumerate(self.layers):
                # The currents of the first layer serve every step and candidate: they are not written over.
                out = torch.empty(x.shape, device=x.device) if i == 0 else x
                spikes = fire(
                    x, states[i], thresholds[:, i, None], decays[:, i, None], out, fresh=begin == 0, leaky=leaky[i]
                )
                spikes = spikes.view(steps, n, samples, layer.neurons)
                fired_by = spikes.sum(dim=2)  # whole numbers below 2^24: exact
                maps[i] += fired_by.sum(dim=0)
                counts[i, begin : begin + steps] += fired_by.sum(dim=2, dtype=torch.float64)
                x = self._maps[i](spikes.view(-1, layer.neurons)).view(steps, n, -1)
            fired += spikes.sum(dim=(0, 3))
            answers.append(x.view(steps, n, samples, -1))
        return torch.cat(answers), fired.eq(0.0)


def fan_out(weight: torch.Tensor, shape: tuple[int, int, int], target: Layer | None) -> torch.Tensor:
    """Non-zero weights behind every element of (C, H, W): (H * W * C,) float64, positions before channels."""
    present = weight.ne(0.0).double()
    if target is None or target.kind == "linear":
        return present.sum(dim=0).view(shape).permute(1, 2, 0).flatten()
    outputs = present.new_ones(1, weight.shape[0], *shape[1:])
    return F.conv_transpose2d(outputs, present, padding=1)[0].permute(1, 2, 0).flatten()


class _Matrix:
    """Rows (R, F) to (R, F') by a matrix (F, F')."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.matrix


class _Convolution:
    """Rows (R, H * W * C) to (R, H' * W' * C') by a convolution, without a copy on either side."""

    def __init__(self, weight: torch.Tensor, shape: tuple[int, int, int], stride: int) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.shape, self.stride = shape, stride

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        c, h, w = self.shape
        image = x.view(-1, h, w, c).permute(0, 3, 1, 2)
        return F.conv2d(image, self.weight, stride=self.stride, padding=1).permute(0, 2, 3, 1).flatten(1)


def _arrange(layer: Layer, weight: torch.Tensor) -> _Matrix | _Convolution:
    """The fastest exact way to compute one layer's input."""
    if layer.kind == "linear":
        return _Matrix(_in_rows(weight.t().contiguous(), layer.source))
    taps = (16 if layer.pooled else 9) * layer.source[0]
    if layer.inputs <= DENSE * taps and layer.inputs * layer.neurons <= LARGEST:
        basis = torch.eye(layer.inputs, device=weight.device).view(-1, *layer.source)
        matrix = connect(basis, weight, layer).permute(0, 2, 3, 1).flatten(1)
        return _Matrix(_in_rows(matrix, layer.source))
    if not layer.pooled:
        return _Convolution(weight, layer.source, 1)
    # The mean over a 2x2 window of a 3x3 convolution is a 4x4 convolution of stride 2 with the same padding.
    shifted = [F.pad(weight, (a, 1 - a, b, 1 - b)) for a in (0, 1) for b in (0, 1)]
    return _Convolution(torch.stack(shifted).sum(dim=0) / 4, layer.source, 2)


def _in_rows(matrix: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
    """Reorder the rows of a matrix (C * H * W, F') to positions before channels."""
    return matrix.view(*shape, -1).permute(1, 2, 0, 3).reshape(matrix.shape).contiguous()
