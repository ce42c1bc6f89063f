"""Networks to measure with, as problems use them, with random weights and images: nothing to download or train."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from snnbench.snn import native
from snnbench.snn.conversion import Converted, convert, round_image, round_weights
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.folded import FoldedNetwork
from snnbench.snn.grid import exact_convolutions
from snnbench.snn.layers import Inputs, set_mode
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.precision import Precision
from snnbench.snn.sew_resnet import LAYOUTS, SEWConfig, SEWResNet
from snnbench.snn.tally import dense_operations
from snnbench.snn.vgg import VGG, VGGConfig
from snnbench.snn.weights import Codec, flatten

CONFIDENCE = 0.9
SPREAD = 0.02
"""Of the weights of a population around a random network."""

Way = Callable[[], object]


@dataclass(frozen=True)
class Material:
    """What one case is measured with.

    Attributes
    ----------
    images
        (N, C, H, W), as the network takes them, on the device.
    labels
        (N,).
    ways
        Jobs that evaluate the whole population with all metrics, by strategy and precision.
    answers
        Logits (T, N, K) of the first candidate, by the same keys.
    networks
        What a peer needs to run the same candidates: folded networks, or a conversion with thresholds (n, L).
    steps
        T.
    """

    images: torch.Tensor
    labels: torch.Tensor
    ways: dict[tuple[str, Precision], Way]
    answers: Mapping[tuple[str, Precision], Callable[[], torch.Tensor]]
    networks: "Sequence[SEWResNet] | tuple[Converted, torch.Tensor]"
    steps: int


@dataclass(frozen=True)
class Case(ABC):
    """One network and population.

    Attributes
    ----------
    name, doc
        What it is called, and what it is.
    samples, candidates, steps
        Samples, size of the population and T.
    """

    name: str
    doc: str
    samples: int
    candidates: int
    steps: int = 4

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of weights."""

    @property
    @abstractmethod
    def operations(self) -> float:
        """Multiply-accumulates of a sample if every input were non-zero."""

    @abstractmethod
    def make(self, device: torch.device, precisions: Sequence[Precision] = ("float32",)) -> Material:
        """Draw weights and images; networks are those of float32."""


@dataclass(frozen=True)
class SEWCase(Case):
    """Weights of a SEW-ResNet, as in `sew-*`; every candidate is loaded and calibrated.

    Attributes
    ----------
    blocks, width, channels, side
        Of the network and its images.
    """

    blocks: tuple[int, ...] = ()
    width: int = 8
    channels: int = 3
    side: int = 32

    @property
    def config(self) -> SEWConfig:
        """Shape of the network."""
        return SEWConfig(self.blocks, self.width, self.channels, 10, self.steps)

    @property
    def parameters(self) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in SEWResNet(self.config).parameters())

    @property
    def operations(self) -> float:
        image = torch.zeros(1, self.channels, self.side, self.side)
        with torch.random.fork_rng(devices=[]):
            return dense_operations(SEWResNet(self.config), image, self.steps)

    def make(self, device: torch.device, precisions: Sequence[Precision] = ("float32",)) -> Material:
        generator = torch.Generator().manual_seed(0)
        shape = (self.samples, self.channels, self.side, self.side)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator).to(device)
        labels = torch.randint(0, 10, (self.samples,), generator=generator).to(device)
        inputs = Inputs(2.0, 2.0**-8, signed=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = SEWResNet(self.config, inputs)
        sizes = tuple(p.numel() for p in network.parameters())
        codec = Codec(flatten(network).to(device), sizes, (SPREAD,) * len(sizes))
        population = torch.randn(self.candidates, len(codec.centre), generator=generator).to(device)
        calibration = pixels[: self.samples // 8]
        build = partial(SEWResNet, self.config, inputs)

        def evaluator(strategy: str, precision: Precision) -> PopulationEvaluator:
            common = (calibration, min(self.samples, 500), CONFIDENCE, HOROWITZ_45NM)
            return PopulationEvaluator(partial(build, precision=precision), codec, _standardised, *common, strategy)

        lookup = device.type == "cpu" and native.available() and native.suits(network)
        made = {("convolution", precision): evaluator("convolution", precision) for precision in precisions}
        if lookup and "float32" in precisions:
            made["lookup", "float32"] = evaluator("lookup", "float32")
        if device.type == "cuda":
            made |= {("graph", precision): evaluator("graph", precision) for precision in precisions}

        def answers(by: PopulationEvaluator) -> torch.Tensor:
            return by.answers(population[:1], pixels)[0][0]

        networks = [self._folded(build, codec, row, calibration) for row in population]
        ways: dict[tuple[str, Precision], Way] = {
            key: partial(e.evaluate, population, pixels, labels) for key, e in made.items()
        }
        found = {key: partial(answers, e) for key, e in made.items()}
        return Material(_standardised(pixels), labels, ways, found, networks, self.steps)

    @torch.inference_mode()
    def _folded(
        self, build: Callable[[], SEWResNet], codec: Codec, x: torch.Tensor, calibration: torch.Tensor
    ) -> SEWResNet:
        network = build().to(codec.centre.device)
        weights = codec.decode(x, torch.empty_like(codec.centre))
        torch.nn.utils.vector_to_parameters(weights, network.parameters())
        for mode in ("calibrate", "folded"):
            set_mode(network, mode)
            if mode == "calibrate":
                with exact_convolutions(weights.device):
                    network(_standardised(calibration))
        return network


@dataclass(frozen=True)
class ThresholdCase(Case):
    """Thresholds of a converted network, as in `threshold-*`; the population shares the weights.

    Attributes
    ----------
    layout, channels, side
        Of the network and its images.
    """

    layout: str = ""
    channels: int = 1
    side: int = 8

    @property
    def config(self) -> VGGConfig:
        """Shape of the network."""
        return VGGConfig(self.layout, (self.channels, self.side, self.side), 10)

    @property
    def parameters(self) -> int:
        return sum(w.numel() for w in VGG(self.config).weights)

    @property
    def operations(self) -> float:
        network = VGG(self.config)
        total = float(network.weights[-1].numel())
        for layer, weight in zip(network.plan, network.weights, strict=False):
            places = layer.source[1] * layer.source[2] if layer.kind == "conv" else 1
            total += weight.numel() * places
        return total * self.steps

    def make(self, device: torch.device, precisions: Sequence[Precision] = ("float32",)) -> Material:
        generator = torch.Generator().manual_seed(0)
        shape = (self.samples, self.channels, self.side, self.side)
        images = round_image(torch.randn(shape, generator=generator).clamp_(-2, 2)).to(device)
        labels = torch.randint(0, 10, (self.samples,), generator=generator).to(device)
        source = VGG(self.config).to(device).eval()
        with torch.no_grad():
            rounded = round_weights(list(source.weights), self.config, 2.0)
            for parameter, weight in zip(source.weights, rounded, strict=True):
                parameter.copy_(weight)
        converted = convert(source, images[:128], 99.7)
        scales = 0.3 + 0.5 * torch.rand(self.candidates, len(converted.thresholds), generator=generator)
        thresholds = (scales * torch.tensor(converted.thresholds)).to(device)
        decays = torch.ones_like(thresholds)
        made = {"convolution": FoldedNetwork(converted, self.steps, CONFIDENCE, strategy="convolution")}
        if FoldedNetwork(converted, self.steps, CONFIDENCE).strategy == "auto":
            made["events"] = FoldedNetwork(converted, self.steps, CONFIDENCE, strategy="events")
        # Thresholds are searched in float32 only.

        def answers(by: FoldedNetwork) -> torch.Tensor:
            return by.answers(thresholds[:1], decays[:1], images)[:, 0]

        ways: dict[tuple[str, Precision], Way] = {
            (name, "float32"): partial(f.evaluate, thresholds, decays, images, labels) for name, f in made.items()
        }
        found: dict[tuple[str, Precision], Callable[[], torch.Tensor]] = {
            (name, "float32"): partial(answers, f) for name, f in made.items()
        }
        return Material(images, labels, ways, found, (converted, thresholds), self.steps)


def _standardised(pixels: torch.Tensor) -> torch.Tensor:
    return round_image((pixels.float() / 255 - 0.5) / 0.25)


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        SEWCase("sew-8x8", "the network of sew-digits", 1000, 8, blocks=(1, 1, 1), width=8, channels=1, side=8),
        SEWCase("sew-32x32", "SEW-ResNet of width 16", 256, 4, blocks=(1, 1, 1), width=16),
        SEWCase("sew-resnet18", "SEW-ResNet-18", 64, 2, blocks=LAYOUTS[18], width=64),
        ThresholdCase("threshold-8x8", "the network of threshold-digits", 400, 64, layout="16p-24p-24-24-24p|48-48-48"),
    )
}
