"""SEW-ResNet by table lookup."""

import ctypes
import math
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F

from snnbench.snn.layers import SPARE, ConvNorm, Readout
from snnbench.snn.native.library import Found, Inputs, Layer, Network, Neuron, Norm, Shape, library
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
    found, frames, steps = library(), x.ndim == 5, network.config.steps
    assert found is not None
    if network not in _KNOWN:
        _KNOWN[network] = _Plan(network)
    plan, calibrate = _KNOWN[network], network.stem.mode == "calibrate"
    if not calibrate:
        plan.take()
    x = x.movedim(-3, -1).contiguous()
    samples, (height, width, _) = x.shape[-4], x.shape[-3:]
    layers, fc = plan.layers(height, width, calibrate), network.readout.fc
    spikes = torch.zeros(len(layers), steps, dtype=torch.int64)
    operations = torch.zeros(2, dtype=torch.float64)
    sums, silent = torch.empty(steps, samples, fc.in_features), torch.empty(samples, dtype=torch.bool)
    found.run_network(
        Network(layers, len(layers), samples, frames, calibrate, fc.out_features, fc.weight.data_ptr()),
        _constants(network.config.neuron),
        x.data_ptr(),
        Found(*_pointers(spikes, operations, sums, silent)),
    )
    if calibrate:
        plan.give()
    if tally is not None:
        tally.silent = silent
        tally.operated(*operations.tolist())
        for part, layer, counted in zip(plan.parts, layers, spikes.double(), strict=True):
            tally.fired(part.name, counted, layer.shape.rows * layer.shape.columns * layer.shape.outputs)
    area = layers[-1].shape.rows * layers[-1].shape.columns
    return network.readout.answer(sums, area) if calibrate else _answer(found, network.readout, sums, area)


def _answer(found: ctypes.CDLL, readout: Readout, sums: torch.Tensor, area: int) -> torch.Tensor:
    """As ``readout.answer`` in mode "folded", without 20 operations on tiny tensors."""
    fc, largest = readout.fc, readout.largest
    assert largest is not None
    weight, bias = torch.empty(fc.in_features, fc.out_features), torch.empty(fc.out_features)
    arriving = Inputs(fc.out_features, fc.in_features, 1, 0, SPARE, largest * area, 1.0)
    scaled = fc.weight / area
    found.on_grid(arriving, scaled.data_ptr(), None, *_pointers(fc.bias, weight), None, bias.data_ptr(), None)
    return F.linear(sums, weight.t(), bias)


@dataclass(frozen=True)
class _Part:
    """A connection with its neurons.

    Attributes
    ----------
    name
        Of the neurons.
    connection
        Before them.
    source, add
        Numbers of the parts whose spikes arrive, and are added to its own; -1 for images, and for none.
    most
        The largest count that leaves it for another connection; 0 if none does.
    counted
        Whether counts are needed for something else.
    """

    name: str
    connection: ConvNorm
    source: int
    add: int = -1
    most: int = 0
    counted: bool = True


def _parts(network: SEWResNet) -> list[_Part]:
    parts, most = [_Part("stem", network.stem, -1, most=1)], 1
    for block in network.blocks:
        assert isinstance(block, Block)
        source = through = len(parts) - 1
        inner = len(parts)
        parts.append(_Part(f"{block.name}.neuron1", block.conv1, source, most=1, counted=False))
        if block.shortcut is not None:
            through = len(parts)
            parts.append(_Part(f"{block.name}.shortcut", block.shortcut, source))
        most = block.most(most)
        leaves = 0 if block is network.blocks[-1] else most
        parts.append(_Part(f"{block.name}.neuron2", block.conv2, inner, through, leaves))
    return parts


class _Plan:
    """How one network is run: its parts, and weights with normalisation folded in, in the two layouts that are needed.

    The functions in C write these weights when normalisation is calibrated, and read them from then on.
    """

    def __init__(self, network: SEWResNet) -> None:
        self.parts, self._steps = _parts(network), network.config.steps
        self._by_tap, self._channels_last, self._biases, self._norms = [], [], [], []
        self._layers: dict[tuple[int, int], ctypes.Array[Layer]] = {}
        for part in self.parts:
            outputs, channels, kernel, _ = part.connection.conv.weight.shape
            self._by_tap.append(torch.empty(kernel, kernel, channels, outputs))
            last = torch.empty(outputs, channels, kernel, kernel, memory_format=torch.channels_last)
            self._channels_last.append(last)
            self._biases.append(torch.empty(outputs))
            self._norms.append(torch.empty(3, outputs))  # units, scale, shift

    def take(self) -> None:
        """Weights and biases of the network, if they are others."""
        for part, by_tap, last, own in zip(self.parts, self._by_tap, self._channels_last, self._biases, strict=True):
            weight, bias = part.connection.folded
            if weight is not last:
                by_tap.copy_(weight.permute(2, 3, 1, 0))
                own.copy_(bias)

    def give(self) -> None:
        """Weights and biases to the network."""
        for part, weight, bias in zip(self.parts, self._channels_last, self._biases, strict=True):
            part.connection.take(weight, bias)

    def layers(self, height: int, width: int, calibrate: bool) -> "ctypes.Array[Layer]":
        """For inputs of this size; their tensors may be others than the last time."""
        known = self._layers.get((height, width))
        if known is None:
            known = self._layers[height, width] = self._made(height, width)
        for layer, part in zip(known, self.parts, strict=True):
            layer.raw = part.connection.conv.weight.data_ptr()
            if calibrate:
                norm, to = part.connection.norm, layer.norm
                to.gain, to.offset = _pointers(norm.weight, norm.bias)
                to.mean, to.variance = _pointers(norm.running_mean, norm.running_var)
        return known

    def _made(self, height: int, width: int) -> "ctypes.Array[Layer]":
        layers = (Layer * len(self.parts))()
        for k, part in enumerate(self.parts):
            conv, inputs = part.connection.conv, part.connection.inputs
            assert inputs is not None
            before = None if part.source < 0 else layers[part.source].shape
            rows, columns = (height, width) if before is None else (before.rows, before.columns)
            kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
            after = ((side + 2 * padding - kernel) // stride + 1 for side in (rows, columns))
            bits = 0 if before is None else before.bits_out
            outputs, channels = conv.out_channels, conv.in_channels
            geometry = (rows, columns, channels, bits, kernel, stride, padding, *after, outputs, _bits(part.most))
            units, scale, shift = self._norms[k]
            norm = Norm(None, None, units.data_ptr(), part.connection.norm.eps, None, None, *_pointers(scale, shift))
            layers[k] = Layer(
                Shape(self._steps, 0, *geometry),
                part.source,
                part.add,
                part.counted,
                Inputs(outputs, channels, kernel**2, inputs.signed, 0, inputs.largest, inputs.step),
                None,
                *_pointers(self._by_tap[k], self._biases[k], self._channels_last[k]),
                norm,
            )
        return layers


_KNOWN: "WeakKeyDictionary[SEWResNet, _Plan]" = WeakKeyDictionary()


def _pointers(*tensors: Any) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _constants(config: NeuronConfig) -> Neuron:
    return Neuron(config.decay, config.threshold, _RESETS[config.reset], int(config.at_threshold))


def _bits(most: int) -> int:
    """1, 2 or 4, enough for a count; 0 for none."""
    return next(bits for bits in (0, 1, 2, 4) if most < 2**bits)


def _power_of_two(value: float) -> bool:
    return value > 0.0 and math.frexp(value)[0] == 0.5
