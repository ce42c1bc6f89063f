"""SEW-ResNet by table lookup."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from snnbench.snn.layers import ConvNorm
from snnbench.snn.native.calibration import Calibration
from snnbench.snn.native.library import Counts, Neuron, Output, Shape, library
from snnbench.snn.neuron import NeuronConfig
from snnbench.snn.sew_resnet import Block, SEWResNet
from snnbench.snn.tally import Tally

_RESETS = {"zero": 0, "subtract": 1, "none": 2}
_MOST = 15


def suits(network: SEWResNet) -> bool:
    """Whether a network can be run like this with the same bits: exact sums, and products that do not round."""
    convolutions = [m for m in network.modules() if isinstance(m, ConvNorm)]
    neuron = network.config.neuron
    full = network.precision == "float32"
    exact = full and all(m.inputs is not None and m.conv.weight.dtype == torch.float32 for m in convolutions)
    few = (network.readout.largest or math.inf) <= _MOST
    whole = network.config.width % 8 == 0
    return exact and few and whole and _power_of_two(neuron.decay) and neuron.input_scale == 1.0


def forward(network: SEWResNet, x: torch.Tensor, tally: Tally | None = None) -> torch.Tensor:
    """As ``network(x, tally)`` in mode "folded" or "calibrate", for a network that `suits`.

    Parameters
    ----------
    network
        On the CPU.
    x
        Images (N, C, H, W) or frames (T, N, C, H, W).
    tally
        Where to count.

    Returns
    -------
    torch.Tensor
        Logits (T, N, K).
    """
    return _Pass(network, tally).run(x)


@dataclass
class _Spikes:
    """Counts of spikes, for the layers that follow and for the tally.

    Attributes
    ----------
    size
        (H, W, C).
    counts
        (T, N, H, W, C) bytes, where they are needed.
    codes
        (T, N, H, W, G) the same, several channels in a byte.
    bits
        Of a count in the codes; 0 without codes.
    ones, others
        (C, H, W) how often a count was 1, and how often more.
    """

    size: tuple[int, ...]
    counts: torch.Tensor | None
    codes: torch.Tensor | None
    bits: int
    ones: torch.Tensor
    others: torch.Tensor | None = None


class _Pass:
    def __init__(self, network: SEWResNet, tally: Tally | None) -> None:
        found = library()
        assert found is not None
        self.library, self.network, self.tally = found, network, tally
        self.steps, self.neuron = network.config.steps, _constants(network.config.neuron)

    def run(self, x: torch.Tensor) -> torch.Tensor:
        stem, frames = self.network.stem, x.ndim == 5
        flat = x.flatten(0, 1) if frames else x
        if self.tally is not None:
            self.tally.connection(stem.conv, flat, analog=not frames)
        if stem.mode == "calibrate":
            calibration = Calibration(self.library, stem)
            y = calibration.finish(self._images(flat, stem, calibration.by_tap))
        else:
            weight, bias = stem.folded
            y = self._images(flat, stem, _taps(weight), bias)
        spikes = self._fire("stem", y.view(-1, x.shape[-4], *y.shape[1:]), most=1)
        most = 1
        for block in self.network.blocks:
            assert isinstance(block, Block)
            inner = self._layer(f"{block.name}.neuron1", block.conv1, spikes, most=1, counted=False)
            through = spikes
            if block.shortcut is not None:
                through = self._layer(f"{block.name}.shortcut", block.shortcut, spikes)
            most = block.most(most)
            last = block is self.network.blocks[-1]
            spikes = self._layer(f"{block.name}.neuron2", block.conv2, inner, through, 0 if last else most)
        assert spikes.counts is not None
        steps, samples, rows, columns, channels = spikes.counts.shape
        sums = torch.empty(steps, samples, channels)
        self.library.pool(spikes.counts.data_ptr(), steps * samples, rows * columns, channels, sums.data_ptr())
        return self.network.readout.answer(sums, rows * columns, self.tally)

    def _images(
        self, x: torch.Tensor, stem: ConvNorm, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Sums (N, H, W, C) of images (N, C', H', W')."""
        x, conv = x.permute(0, 2, 3, 1).contiguous(), stem.conv
        samples, height, width, channels = x.shape
        kernel, stride, padding = _geometry(conv)
        rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        size = (rows, columns, conv.out_channels)
        shape = Shape(1, samples, height, width, channels, 0, kernel, stride, padding, *size, 0)
        y = torch.empty(samples, *size)
        bias_at = None if bias is None else bias.data_ptr()
        self.library.convolve_images(shape, x.data_ptr(), weight.data_ptr(), bias_at, y.data_ptr())
        return y

    def _layer(
        self,
        name: str,
        connection: ConvNorm,
        x: _Spikes,
        add: _Spikes | None = None,
        most: int = 0,
        counted: bool = True,
    ) -> _Spikes:
        """A convolution with its neurons; `most` is the largest count that leaves it for another convolution."""
        conv = connection.conv
        if self.tally is not None:
            self.tally.arrived(conv, x.ones, x.others)
        assert x.codes is not None
        samples, (height, width, channels) = x.codes.shape[1], x.size
        kernel, stride, padding = _geometry(conv)
        rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        size = (rows, columns, conv.out_channels)
        shape = Shape(self.steps, samples, height, width, channels, x.bits, kernel, stride, padding, *size, _bits(most))
        if connection.mode == "calibrate":
            y = torch.empty(self.steps, samples, *size)
            calibration = Calibration(self.library, connection)
            self.library.convolve(shape, x.codes.data_ptr(), calibration.by_tap.data_ptr(), y.data_ptr())
            return self._fire(name, calibration.finish(y), add, most, counted)
        folded, bias = connection.folded
        weight = _taps(folded)
        found = _Room(self.steps, samples, size, add, most, counted)
        self.library.convolve_and_fire(
            shape, self.neuron, x.codes.data_ptr(), weight.data_ptr(), bias.data_ptr(), found.output, found.counters
        )
        return found.spikes(name, self.tally)

    def _fire(
        self, name: str, currents: torch.Tensor, add: _Spikes | None = None, most: int = 0, counted: bool = True
    ) -> _Spikes:
        """Neurons of currents (T, N, H, W, C), or (1, N, H, W, C) at every step."""
        samples, *size = currents.shape[1:]
        shape = Shape(self.steps, samples, 0, 0, 0, 1, 0, 0, 0, *size, _bits(most))
        found = _Room(self.steps, samples, tuple(size), add, most, counted)
        constant = int(len(currents) == 1 < self.steps)
        self.library.fire_all(shape, self.neuron, currents.data_ptr(), constant, found.output, found.counters)
        return found.spikes(name, self.tally)


class _Room:
    """Where a layer writes; it keeps what the pointers point to."""

    def __init__(
        self, steps: int, samples: int, size: tuple[int, ...], add: _Spikes | None, most: int, counted: bool
    ) -> None:
        self.bits, self.size = _bits(most), size
        self.counts = torch.empty(steps, samples, *size, dtype=torch.uint8) if counted else None
        groups = -(-size[-1] * self.bits // 8)
        self.codes = torch.empty(steps, samples, *size[:-1], groups, dtype=torch.uint8) if self.bits else None
        self.steps = torch.zeros(steps, dtype=torch.int64)
        self.maps = torch.zeros(3 if add is not None and most else 1, *size, dtype=torch.int32)
        self.add = add
        written = (None if add is None else add.counts, self.counts, self.codes)
        self.output = Output(*(None if t is None else t.data_ptr() for t in written))
        self.counters = Counts(self.steps.data_ptr(), *(m.data_ptr() for m in self.maps))

    def spikes(self, name: str, tally: Tally | None) -> _Spikes:
        """What was written there, told to the tally."""
        if tally is not None:
            tally.fired(name, self.steps.double(), self.maps[0].numel())
        maps = self.maps.permute(0, 3, 1, 2).double()
        ones, others = (maps[0], None) if len(maps) == 1 else (maps[1], maps[2])
        return _Spikes(self.size, self.counts, self.codes, self.bits, ones, others)


def _geometry(conv: nn.Conv2d) -> tuple[int, int, int]:
    """Kernel, stride and padding, of a square."""
    return conv.kernel_size[0], conv.stride[0], int(conv.padding[0])


def _constants(config: NeuronConfig) -> Neuron:
    return Neuron(config.decay, config.threshold, _RESETS[config.reset], int(config.at_threshold))


def _bits(most: int) -> int:
    """1, 2 or 4, enough for a count; 0 for none."""
    return next(bits for bits in (0, 1, 2, 4) if most < 2**bits)


def _taps(weight: torch.Tensor) -> torch.Tensor:
    """(O, C, K, K) to (K, K, C, O)."""
    return weight.permute(2, 3, 1, 0).contiguous()


def _power_of_two(value: float) -> bool:
    return value > 0.0 and math.frexp(value)[0] == 0.5
