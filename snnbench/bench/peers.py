"""The loop that a user of SpikingJelly would write: load a candidate, run it, count what is right."""

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from snnbench.bench.cases import Material
from snnbench.errors import UsageError
from snnbench.snn.conversion import Converted
from snnbench.snn.layers import ConvNorm
from snnbench.snn.sew_resnet import Block, SEWResNet

_MODULES = ("functional", "layer", "neuron")


@dataclass(frozen=True)
class Peer:
    """A loop over the same candidates.

    Attributes
    ----------
    run
        The whole population; the accuracy of every candidate.
    answers
        Logits (T, N, K) of the first candidate.
    """

    run: Callable[[], list[float]]
    answers: Callable[[], torch.Tensor]


def spikingjelly(material: Material) -> Peer:
    """The loop with SpikingJelly's layers and neurons, in its multi-step mode, with PyTorch's own threads.

    Raises
    ------
    UsageError
        If SpikingJelly cannot be imported.
    """
    logging.getLogger("torch._library").setLevel(logging.ERROR)  # tells that there is no Triton on a CPU
    try:
        modules = {n: importlib.import_module(f"spikingjelly.activation_based.{n}") for n in _MODULES}
    except ImportError as error:
        raise UsageError(f"SpikingJelly cannot be imported ({error}); pip install spikingjelly") from None
    library = SimpleNamespace(**modules)
    if isinstance(material.networks, tuple):
        return _thresholds(library, material, *material.networks)
    return _weights(library, material, material.networks)


def _weights(library: SimpleNamespace, material: Material, candidates: Sequence[SEWResNet]) -> Peer:
    device = material.images.device
    side = material.images.shape[-1]
    for _ in candidates[0].config.blocks[1:]:
        side = (side + 1) // 2
    network = _SEWResNet(library, candidates[0], side**2).to(device).eval()
    library.functional.set_step_mode(network, "m")
    states = [_SEWResNet(library, candidate, side**2).to(device).state_dict() for candidate in candidates]
    frames = material.images.expand(material.steps, -1, -1, -1, -1).contiguous()

    @torch.no_grad()
    def answer(state: dict[str, torch.Tensor]) -> torch.Tensor:
        network.load_state_dict(state)
        library.functional.reset_net(network)
        found: torch.Tensor = network(frames)
        return found

    return Peer(lambda: [_accuracy(answer(state), material.labels) for state in states], lambda: answer(states[0]))


def _thresholds(library: SimpleNamespace, material: Material, converted: Converted, thresholds: torch.Tensor) -> Peer:
    device = material.images.device
    layers: list[nn.Module] = []
    neurons: list[Any] = []
    for plan, weight in zip(converted.config.layers(), converted.weights, strict=False):
        if plan.kind == "conv":
            connection = library.layer.Conv2d(plan.source[0], plan.shape[0], 3, padding=1, bias=False)
        else:
            if len(plan.source) == 3 and not any(isinstance(found, library.layer.Flatten) for found in layers):
                layers.append(library.layer.Flatten())
            connection = library.layer.Linear(plan.inputs, plan.neurons, bias=False)
        connection.weight.data = weight
        neurons.append(library.neuron.IFNode(v_reset=None))
        layers += [connection, *([library.layer.AvgPool2d(2)] if plan.pooled else []), neurons[-1]]
    readout = library.layer.Linear(converted.weights[-1].shape[1], len(converted.weights[-1]), bias=False)
    readout.weight.data = converted.weights[-1]
    if not any(isinstance(found, library.layer.Flatten) for found in layers):
        layers.append(library.layer.Flatten())
    network = nn.Sequential(*layers, readout).to(device).eval()
    library.functional.set_step_mode(network, "m")
    frames = material.images.expand(material.steps, -1, -1, -1, -1).contiguous()

    @torch.no_grad()
    def answer(row: list[float]) -> torch.Tensor:
        for found, threshold in zip(neurons, row, strict=True):
            found.v_threshold = threshold
        library.functional.reset_net(network)
        answers: torch.Tensor = network(frames)
        return answers

    rows = thresholds.tolist()
    return Peer(lambda: [_accuracy(answer(row), material.labels) for row in rows], lambda: answer(rows[0]))


def _accuracy(answers: torch.Tensor, labels: torch.Tensor) -> float:
    return float((answers.mean(dim=0).argmax(dim=1) == labels).float().mean())


class _SEWResNet(nn.Module):
    """A SEW-ResNet of SpikingJelly's layers, with the weights of one of ours."""

    def __init__(self, library: SimpleNamespace, ours: SEWResNet, area: int) -> None:
        super().__init__()
        config = ours.config.neuron
        if (config.decay, config.reset, config.threshold) != (0.5, "zero", 1.0):
            raise ValueError("only the neuron of the cases is known here")

        def fire() -> nn.Module:
            made: nn.Module = library.neuron.LIFNode(tau=2.0, decay_input=False)
            return made

        self.stem, self.neuron = _normalised(library, ours.stem), fire()
        self.blocks = nn.Sequential(*(_Block(library, block, fire) for block in ours.blocks))
        self.pool, self.fc = (
            library.layer.AdaptiveAvgPool2d(1),
            library.layer.Linear(*reversed(ours.readout.fc.weight.shape)),
        )
        weight, bias = ours.readout.folded(area)
        with torch.no_grad():
            self.fc.weight.copy_(weight * area)  # behind a mean over the same positions
            self.fc.bias.copy_(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.neuron(self.stem(x))
        answers: torch.Tensor = self.fc(self.pool(self.blocks(x)).flatten(2))
        return answers


class _Block(nn.Module):
    def __init__(self, library: SimpleNamespace, ours: Any, fire: Callable[[], nn.Module]) -> None:
        super().__init__()
        assert isinstance(ours, Block)
        self.first = nn.Sequential(_normalised(library, ours.conv1), fire())
        self.second = nn.Sequential(_normalised(library, ours.conv2), fire())
        self.shortcut: nn.Module = nn.Identity()
        if ours.shortcut is not None:
            self.shortcut = nn.Sequential(_normalised(library, ours.shortcut), fire())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(self.first(x)) + self.shortcut(x)
        return out


def _normalised(library: SimpleNamespace, ours: ConvNorm) -> nn.Module:
    """Convolution and batch normalisation. Ours is folded: its weights, a variance of 1, and its bias."""
    weight, bias = ours.folded
    channels, inputs, kernel, _ = weight.shape
    conv = library.layer.Conv2d(inputs, channels, kernel, ours.conv.stride, kernel // 2, bias=False)
    norm = library.layer.BatchNorm2d(channels, eps=0.0)
    with torch.no_grad():
        conv.weight.copy_(weight)
        norm.bias.copy_(bias)
    made: nn.Module = nn.Sequential(conv, norm)
    return made
