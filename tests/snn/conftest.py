"""A small network, images for it, and an evaluator."""

from collections.abc import Callable, Iterator

import pytest
import torch

from snnbench.snn import threads
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.layers import set_mode
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.weights import Codec, flatten


def to_input(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() / 16 - 0.3) / 0.38


@pytest.fixture
def config() -> SEWConfig:
    """Two stages, so that there is a strided block with a shortcut of its own."""
    return SEWConfig(blocks=(1, 1), width=4, channels=1, classes=10, steps=4)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 17, (40, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(0, 10, (40,), generator=torch.Generator().manual_seed(6))


@pytest.fixture
def make_network() -> Callable[..., SEWResNet]:
    """A network with random weights whose normalisation was calibrated on x, ready to evaluate."""

    def make(config: SEWConfig, x: torch.Tensor, seed: int = 0) -> SEWResNet:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = SEWResNet(config).to(x.dtype)
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    torch.nn.init.uniform_(module.weight, 0.8, 1.6)
                    torch.nn.init.uniform_(module.bias, -0.2, 0.4)
        set_mode(network, "calibrate")
        with torch.no_grad():
            network(x)
        set_mode(network, "folded")
        return network

    return make


@pytest.fixture
def make_evaluator(config: SEWConfig, images: torch.Tensor) -> Callable[..., PopulationEvaluator]:
    def make(chunk: int = 16, confidence: float = 0.3, strategy: str = "auto") -> PopulationEvaluator:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = SEWResNet(config)
        sizes = tuple(p.numel() for p in network.parameters())
        codec = Codec(flatten(network), sizes, (0.05,) * len(sizes))
        return PopulationEvaluator(
            lambda: SEWResNet(config), codec, to_input, images[:24], chunk, confidence, HOROWITZ_45NM, strategy
        )

    return make


@pytest.fixture
def population(config: SEWConfig) -> torch.Tensor:
    """Six candidates in coordinates."""
    d = sum(p.numel() for p in SEWResNet(config).parameters())
    return torch.randn(6, d, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def cores() -> Iterator[Callable[[int], None]]:
    """Make the pool of threads anew with so many threads."""
    before = torch.get_num_threads()

    def use(n: int) -> None:
        torch.set_num_threads(n)
        threads.pool.cache_clear()
        assert threads.workers("cpu") == n

    yield use
    torch.set_num_threads(before)
    threads.pool.cache_clear()
