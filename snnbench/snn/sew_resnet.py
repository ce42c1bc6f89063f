"""SEW-ResNet: residual learning in deep spiking networks (Fang et al., NeurIPS 2021, arXiv 2102.04159).

A block is ``LIF(BN(conv(LIF(BN(conv(x)))))) + shortcut(x)`` with element-wise ADD; a shortcut that changes the
shape is a 1x1 convolution, BN and LIF. The stem is a 3x3 convolution of stride 1 without pooling, as in the
released code of CADE (arXiv 2406.02349) for 32x32 images. The logits of all steps are averaged.
"""

from dataclasses import dataclass, field

import torch
from torch import nn

from snnbench.snn.layers import ConvNorm, Inputs, Readout
from snnbench.snn.neuron import LIF, NeuronConfig
from snnbench.snn.precision import Precision
from snnbench.snn.tally import Tally

LAYOUTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


@dataclass(frozen=True)
class SEWConfig:
    """Shape of a SEW-ResNet.

    Attributes
    ----------
    blocks
        Residual blocks per stage; every stage but the first halves the image. ``LAYOUTS[18]``, ``LAYOUTS[34]``.
    width
        Channels of the stem and the first stage; every stage doubles them.
    channels, classes
        Input channels and output classes.
    steps
        T, time steps.
    neuron
        The neuron of all layers.
    """

    blocks: tuple[int, ...] = LAYOUTS[18]
    width: int = 64
    channels: int = 3
    classes: int = 10
    steps: int = 4
    neuron: NeuronConfig = field(default_factory=NeuronConfig)


class Block(nn.Module):
    """Two convolutions with neurons, and an ADD shortcut."""

    def __init__(
        self,
        name: str,
        in_channels: int,
        channels: int,
        stride: int,
        neuron: NeuronConfig,
        most: int,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.name = name
        inputs, one = Inputs(most), Inputs(1.0)
        self.conv1, self.neuron1 = ConvNorm(in_channels, channels, 3, stride, inputs, precision), LIF(neuron)
        self.conv2, self.neuron2 = ConvNorm(channels, channels, 3, 1, one, precision), LIF(neuron)
        self.shortcut: ConvNorm | None = None
        if stride != 1 or in_channels != channels:
            self.shortcut = ConvNorm(in_channels, channels, 1, stride, inputs, precision)
            self.shortcut_neuron = LIF(neuron)

    def most(self, arriving: int) -> int:
        """The largest count of spikes that leaves, where at most `arriving` arrive."""
        return 1 + (1 if self.shortcut is not None else arriving)

    def forward(self, x: torch.Tensor, tally: Tally | None = None, source: str = "") -> torch.Tensor:
        """Spike counts (T, N, C, H, W) to spike counts; `source` is what the tally knows x as."""
        first = f"{self.name}.neuron1"
        s = self.neuron1(self.conv1(x, tally, source))
        if tally is not None:
            tally.layer(first, s)
        s = self.neuron2(self.conv2(s, tally, first if tally else ""))
        if tally is not None:
            tally.layer(f"{self.name}.neuron2", s)
        if self.shortcut is not None:
            x = self.shortcut_neuron(self.shortcut(x, tally, source))
            if tally is not None:
                tally.layer(f"{self.name}.shortcut", x)
        return s + x if self.training else s.add_(x)


class SEWResNet(nn.Module):
    """A SEW-ResNet with ADD connections.

    Parameters
    ----------
    config
        Its shape.
    images
        What images are made of, if they are on a grid; counts of spikes are in any case.
    precision
        Of all convolutions but the stem's, whose inputs are images (`snnbench.snn.precision`).

    Examples
    --------
    >>> network = SEWResNet(SEWConfig(blocks=(1, 1), width=4, channels=1, classes=10, steps=4))
    >>> network(torch.rand(5, 1, 8, 8)).shape
    torch.Size([4, 5, 10])
    """

    def __init__(self, config: SEWConfig, images: Inputs | None = None, precision: Precision = "float32") -> None:
        super().__init__()
        self.config, self.precision = config, precision
        self.stem, self.stem_neuron = ConvNorm(config.channels, config.width, 3, inputs=images), LIF(config.neuron)
        blocks, channels, most = [], config.width, 1
        for stage, count in enumerate(config.blocks):
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                target = config.width * 2**stage
                name = f"stage{stage + 1}.{i}"
                blocks.append(Block(name, channels, target, stride, config.neuron, most, precision))
                channels, most = target, blocks[-1].most(most)
        self.blocks = nn.ModuleList(blocks)
        self.readout = Readout(channels, config.classes, most)
        for module in self.modules():
            # On the device "meta", which has no values, this would import torch's compiler: two seconds.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor, tally: Tally | None = None) -> torch.Tensor:
        """Run the network.

        Parameters
        ----------
        x
            Images (N, C, H, W), shown at every step (direct coding: the stem's convolution runs once), or a
            sequence of frames (T, N, C, H, W).
        tally
            Where to count spikes and operations; nowhere if ``None``.

        Returns
        -------
        torch.Tensor
            Logits of every step, (T, N, K). The network's answer after t steps is their mean over the first t.
        """
        x = self.stem_neuron(self._currents(x, tally))
        source = ""
        if tally is not None:
            source = "stem"
            tally.layer(source, x)
        for i, block in enumerate(self.blocks):
            if tally is not None and i > 0:
                source = f"{block.name}.input"
                tally.counts(source, x)
            x = block(x, tally, source)
        logits: torch.Tensor = self.readout(x, tally)
        return logits

    def _currents(self, x: torch.Tensor, tally: Tally | None) -> torch.Tensor:
        """Input currents (T, N, C', H, W) of the first neurons; an expanded view under direct coding."""
        if x.ndim == 5:
            currents: torch.Tensor = self.stem(x, tally)
            return currents
        if tally is not None:
            tally.connection(self.stem.conv, x, analog=True)
        currents = self.stem(x[None])
        if not self.training:
            # With one input channel the layout is ambiguous and would come out as channels first, to be copied later.
            currents = currents[0].contiguous(memory_format=torch.channels_last)[None]
        return currents.expand(self.config.steps, *[-1] * 4)


def layer_names(config: SEWConfig) -> list[str]:
    """The neuron layers in the order in which evaluations record their spikes."""
    with torch.device("meta"):
        network = SEWResNet(config)
    names = ["stem"]
    for block in network.blocks:
        names += [f"{block.name}.neuron1", f"{block.name}.neuron2"]
        names += [f"{block.name}.shortcut"] if block.shortcut is not None else []
    return sorted(names)
