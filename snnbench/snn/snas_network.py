"""SNASNet: the network around a searched cell (Kim et al., ECCV 2022, arXiv 2201.10355, and its released code).

Stem convolution and normalisation, once per image - cell with C channels - norm, LIF, 3x3 convolution to 2C, norm -
average pooling - the same cell with 2C channels - norm, LIF - average pooling - dropout - fully connected, LIF - fully
connected, every `votes` outputs averaged into one logit.

Every convolution and fully connected layer except two is behind neurons of its own, whatever analog values skip and
pool edges carry into these neurons. The exceptions are the stem (pixels) and the first fully connected layer
(averages of spikes): their operations are MACs.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from snnbench.snn.candidate import layer_generator
from snnbench.snn.layers import ConvNorm
from snnbench.snn.neuron import LIF, NeuronConfig
from snnbench.snn.snas_cell import NODES, OPERATIONS
from snnbench.snn.surrogate import surrogate
from snnbench.snn.tally import Tally

SNAS_NEURON = NeuronConfig(decay=0.25, input_scale=0.75, threshold=1.0, surrogate="atan", steepness=2.0)
"""u <- (1 - 1/tau) u + x / tau with tau = 4/3, threshold 1, hard reset, ATan surrogate (released code)."""

Record = dict[str, list[torch.Tensor]]
"""Neuron layer to its spikes (T', N, ...), T' = T in one piece or T pieces of one step."""


@dataclass(frozen=True)
class SNASConfig:
    """Shape of a SNASNet.

    Attributes
    ----------
    width
        C, channels of the first cell; the second has 2C.
    channels, size, classes
        Input channels, side of the image, output classes.
    stem_stride
        Of the first convolution: 2 halves the image before the first cell.
    steps
        T, time steps; the image is shown at each (direct coding).
    hidden, votes
        Neurons of the fully connected layer, and outputs per class that are averaged.
    pooling
        Side of the second average pooling.
    dropout
        Share of pooled values dropped in training, the same ones at every step.
    gains
        Initial weights of the two fully connected layers have the standard deviation gain / sqrt(fan-in). The default
        is 0.01 at the published size for CIFAR-10, as in the released code; with 0.01 a small network starts silent.
    stepwise
        Run step by step, as backward edges need it. Statistics of normalisation are then those of one step.
    neuron
        The neuron of all layers.
    """

    width: int
    channels: int
    size: int
    classes: int
    steps: int = 5
    hidden: int = 1024
    votes: int = 10
    pooling: int = 2
    dropout: float = 0.5
    gains: tuple[float, float] = (0.01 * 32768**0.5, 0.01 * 1024**0.5)
    stepwise: bool = False
    neuron: NeuronConfig = field(default_factory=lambda: SNAS_NEURON)
    stem_stride: int = 1

    @property
    def side(self) -> int:
        """Side of the image in the first cell."""
        return self.size // self.stem_stride

    @property
    def neurons(self) -> int:
        """Neurons of the largest network: six edges with a convolution in both cells, and the layers behind them."""
        first = self.width * self.side**2
        second = 2 * self.width * (self.side // 2) ** 2
        return 7 * (first + second) + self.hidden

    def describe(self) -> dict[str, Any]:
        """Plain data for the record, in the words of earlier records: no stride where there is none."""
        found = {**asdict(self), "gains": list(self.gains)}
        if self.stem_stride == 1:
            del found["stem_stride"]
        return found


class SteppedLIF(nn.Module):
    """The neuron of `snnbench.snn.neuron.LIF`, one step at a time; it keeps its membrane until `restart`."""

    def __init__(self, config: NeuronConfig) -> None:
        super().__init__()
        self.config = config
        self._fire = surrogate(config.surrogate, config.steepness, config.at_threshold)
        self._v: torch.Tensor | None = None

    def restart(self) -> None:
        """Membrane back to 0."""
        self._v = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Input (1, N, ...) of one step to spikes (1, N, ...)."""
        c = self.config
        h = x * c.input_scale
        if self._v is not None:
            h = h + c.decay * self._v
        s = self._fire(h - c.threshold)
        fired = s.detach()
        self._v = h * (1.0 - fired) if c.reset == "zero" else h - c.threshold * fired * (c.reset == "subtract")
        return s


class Norm(nn.Module):
    """Batch normalisation of (T', N, C, H, W) over all but channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class Pool(nn.Module):
    """Average pooling of (T', N, C, H, W)."""

    def __init__(self, kernel: int, stride: int, padding: int = 0) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(kernel, stride, padding)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class SpikingConv(nn.Module):
    """LIF, convolution, normalisation: an edge of a cell, or the layer between the two cells."""

    def __init__(self, name: str, in_channels: int, channels: int, kernel: int, config: SNASConfig) -> None:
        super().__init__()
        self.name = name
        self.neuron = _neuron(config)
        self.conv = ConvNorm(in_channels, channels, kernel)

    def forward(self, x: torch.Tensor, record: Record | None) -> torch.Tensor:
        s = self.neuron(x)
        if record is not None:
            record.setdefault(self.name, []).append(s)
        y: torch.Tensor = self.conv(s)
        return y


class Cell(nn.Module):
    """Four nodes; a node's value is the sum over its incoming edges, plus what backward edges brought a step before."""

    def __init__(self, name: str, matrix: np.ndarray, channels: int, config: SNASConfig) -> None:
        super().__init__()
        self.edges = nn.ModuleDict()
        self.forward_edges: list[tuple[int, int]] = []
        self.backward_edges: list[tuple[int, int]] = []
        for j in range(NODES):  # by target, so that a node is complete before it is read
            for i in range(NODES):
                operation = OPERATIONS[int(matrix[i, j])]
                if operation == "zero":
                    continue
                (self.forward_edges if i < j else self.backward_edges).append((i, j))
                edge: nn.Module = nn.Identity()
                if operation == "avgpool3x3":
                    edge = Pool(3, 1, 1)
                elif operation != "skip":
                    edge = SpikingConv(
                        f"{name}.{i}-{j}", channels, channels, 3 if operation == "conv3x3" else 1, config
                    )
                self.edges[f"{i}-{j}"] = edge
        self._fed_back: list[torch.Tensor | None] = [None] * NODES

    def restart(self) -> None:
        """Nothing is fed back into the first step."""
        self._fed_back = [None] * NODES

    def forward(self, x: torch.Tensor, record: Record | None) -> torch.Tensor:
        """(T', N, C, H, W) to the same shape; T' = 1 where there are backward edges."""
        values: list[torch.Tensor | None] = [_sum(x, self._fed_back[0]), *self._fed_back[1:-1], None]

        def along(edges: list[tuple[int, int]], into: list[torch.Tensor | None]) -> None:
            for i, j in edges:
                value = values[i]
                if value is None:  # only backward edges lead to this node, and it is the first step
                    value = torch.zeros_like(x)
                edge = self.edges[f"{i}-{j}"]
                into[j] = _sum(into[j], edge(value, record) if isinstance(edge, SpikingConv) else edge(value))

        along(self.forward_edges, values)
        if self.backward_edges:
            self._fed_back = [None] * NODES
            along(self.backward_edges, self._fed_back)
        output = values[-1]
        assert output is not None  # accepted cells have an edge from the input to the output
        return output


class SNASNet(nn.Module):
    """The network of one cell.

    Parameters
    ----------
    config
        Its shape.
    matrix
        (4, 4) operations of the repaired cell (`snnbench.snn.snas_cell`).
    seed
        Of the initial weights. Every layer draws its own from the seed and its name, so an edge starts from the
        same weights whatever the other edges are. Distributions are the released code's.

    Examples
    --------
    >>> from snnbench.snn.snas_cell import parse
    >>> network = SNASNet(SNASConfig(width=4, channels=1, size=8, classes=10, hidden=16), parse("0303 0030 0002 0000"))
    >>> network(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 5, 10])
    """

    def __init__(self, config: SNASConfig, matrix: np.ndarray, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        c, side = config.width, config.side // 2 // config.pooling
        with torch.device("meta"):
            self.stem = ConvNorm(config.channels, c, 3, config.stem_stride)
            self.cell1 = Cell("cell1", matrix, c, config)
            self.norm1, self.down = Norm(c), SpikingConv("down", c, 2 * c, 3, config)
            self.pool1 = Pool(2, 2)
            self.cell2 = Cell("cell2", matrix, 2 * c, config)
            self.norm2, self.neuron2 = Norm(2 * c), _neuron(config)
            self.pool2 = Pool(config.pooling, config.pooling)
            self.fc1 = nn.Linear(2 * c * side**2, config.hidden, bias=False)
            self.neuron3 = _neuron(config)
            self.fc2 = nn.Linear(config.hidden, config.votes * config.classes)
        if self.cell1.backward_edges and not config.stepwise:
            raise ValueError("a cell with backward edges runs step by step")
        self.to_empty(device="cpu")
        _initialise(self, config.gains, seed)
        self._dropout: torch.Generator | None = None

    def seed_dropout(self, seed: int, device: torch.device) -> None:
        """Switch on dropout in training, with random numbers of its own."""
        self._dropout = torch.Generator(device).manual_seed(seed)

    def forward(self, x: torch.Tensor, tally: Tally | None = None, record: Record | None = None) -> torch.Tensor:
        """Run the network.

        Parameters
        ----------
        x
            Images (N, C, H, W).
        tally
            Where to count spikes and operations; nowhere if ``None``.
        record
            Receives the spikes of every neuron layer, and under ``"pooled"`` the input of the first fully connected
            layer unless a tally is given.

        Returns
        -------
        torch.Tensor
            Logits of every step, (T, N, K).
        """
        if tally is not None:
            record = {} if record is None else record
            tally.connection(self.stem.conv, x, analog=True)
        for module in self.modules():
            if isinstance(module, Cell | SteppedLIF):
                module.restart()
        currents = self.stem(x[None])
        kept = self._kept(x)
        if self.config.stepwise:
            logits = torch.cat([self._body(currents, kept, record) for _ in range(self.config.steps)])
        else:
            logits = self._body(currents.expand(self.config.steps, *currents.shape[1:]), kept, record)
        if tally is not None and record is not None:
            self._count(tally, record)
        return logits

    def _body(self, x: torch.Tensor, kept: torch.Tensor | None, record: Record | None) -> torch.Tensor:
        x = self.down(self.norm1(self.cell1(x, record)), record)
        x = self.cell2(self.pool1(x), record)
        s = self.neuron2(self.norm2(x))
        pooled = self.pool2(s).flatten(2)
        if kept is not None:
            pooled = pooled * kept
        hidden = self.neuron3(self.fc1(pooled))
        if record is not None:
            record.setdefault("last", []).append(s)
            record.setdefault("hidden", []).append(hidden)
            record.setdefault("pooled", []).append(pooled)
        return self.fc2(hidden).unflatten(2, (self.config.classes, self.config.votes)).mean(dim=3)

    def _kept(self, x: torch.Tensor) -> torch.Tensor | None:
        rate = self.config.dropout
        if not self.training or not rate or self._dropout is None:
            return None
        kept = torch.rand(len(x), self.fc1.in_features, generator=self._dropout, device=x.device) >= rate
        return kept.to(x.dtype) / (1.0 - rate)

    def _count(self, tally: Tally, record: Record) -> None:
        consumers = {m.name: m.conv.conv for m in self.modules() if isinstance(m, SpikingConv)}
        tally.connection(self.fc1, torch.cat(record.pop("pooled")).flatten(0, 1), analog=True)
        for name, pieces in record.items():
            spikes = torch.cat(pieces)
            tally.layer(name, spikes)
            if name == "hidden":
                tally.silent = spikes.sum(dim=(0, 2)).eq(0.0)
            consumer = self.fc2 if name == "hidden" else consumers.get(name)
            if consumer is not None:
                tally.connection(consumer, spikes.flatten(0, 1), name)


def _neuron(config: SNASConfig) -> nn.Module:
    return SteppedLIF(config.neuron) if config.stepwise else LIF(config.neuron)


def _sum(a: torch.Tensor | None, b: torch.Tensor | None) -> torch.Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


@torch.no_grad()
def _initialise(network: SNASNet, gains: tuple[float, float], seed: int) -> None:
    gain = dict(zip((network.fc1, network.fc2), gains, strict=True))
    for name, module in network.named_modules():
        generator = layer_generator(seed, name)
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            bound = math.sqrt(6.0 / ((1.0 + 2.0**2) * fan_in))  # kaiming_uniform_(a=2)
            module.weight.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.Linear):
            module.weight.normal_(0.0, gain[module] / math.sqrt(module.in_features), generator=generator)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.weight.fill_(1.0)
            module.bias.zero_()
            module.reset_running_stats()
