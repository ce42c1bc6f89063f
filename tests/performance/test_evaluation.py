"""How long an evaluation takes; prints ratios and asserts no time.

``pytest -m performance -s tests/performance``
"""

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from snnbench import registry
from snnbench.algorithm import Task
from snnbench.parameters import resolve
from snnbench.problem import Context
from snnbench.problems.sew import SEWDigits
from snnbench.snn.conversion import round_image
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.layers import Inputs
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.weights import Codec, flatten

pytestmark = pytest.mark.performance

CONFIG = SEWConfig(blocks=(1, 1, 1), width=8, channels=1, classes=10, steps=4)
SAMPLES, MEMBERS, ROUNDS = 1000, 8, 7


def seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def interleaved(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each job; the jobs take turns, so that a busy moment hits them alike."""
    for job in jobs.values():
        job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            times[name].append(seconds(job))
    return {name: statistics.median(values) for name, values in times.items()}


def to_input(pixels: torch.Tensor) -> torch.Tensor:
    return round_image((pixels.float() / 16 - 0.3056) / 0.3765)


class Reference(nn.Module):
    """The network of `CONFIG`, made of SpikingJelly's layers and SEW blocks."""

    def __init__(self, spikingjelly) -> None:
        super().__init__()
        layer, neuron, block = spikingjelly.layer, spikingjelly.neuron.LIFNode, spikingjelly.sew_resnet.BasicBlock
        options = {"tau": 2.0, "decay_input": False}
        self.conv, self.norm = layer.Conv2d(1, 8, 3, padding=1, bias=False), layer.BatchNorm2d(8)
        self.neuron = neuron(**options)
        blocks, channels = [], 8
        for stage in range(3):
            target, stride = 8 * 2**stage, 1 + (stage > 0)
            shortcut = None
            if stride > 1:
                shortcut = nn.Sequential(
                    layer.Conv2d(channels, target, 1, stride, bias=False), layer.BatchNorm2d(target)
                )
            blocks.append(block(channels, target, stride, shortcut, cnf="ADD", spiking_neuron=neuron, **options))
            channels = target
        self.blocks = nn.Sequential(*blocks)
        self.pool, self.fc = layer.AdaptiveAvgPool2d(1), layer.Linear(channels, 10)
        spikingjelly.functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.neuron(self.norm(self.conv(x)))
        return self.fc(self.pool(self.blocks(x)).flatten(2))


def test_population_against_a_plain_spikingjelly_loop(spikingjelly):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 17, (SAMPLES, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (SAMPLES,), generator=generator)
    torch.manual_seed(0)
    network = SEWResNet(CONFIG)
    sizes = tuple(p.numel() for p in network.parameters())
    codec = Codec(flatten(network), sizes, (0.02,) * len(sizes))
    population = torch.randn(MEMBERS, len(codec.centre), generator=generator)
    inputs = Inputs(2.0, 2.0**-8, signed=True)
    ours, plain = (
        PopulationEvaluator(
            lambda: SEWResNet(CONFIG, inputs), codec, to_input, images[:128], 500, 0.9, HOROWITZ_45NM, strategy
        )
        for strategy in ("auto", "convolution")
    )

    reference = Reference(spikingjelly)
    assert sum(p.numel() for p in reference.parameters()) == len(codec.centre)
    frames = to_input(images).expand(4, -1, -1, -1, -1).contiguous()
    with torch.no_grad():  # statistics under which its neurons fire about as often as ours
        for module in reference.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        reference.train()(frames)
    reference.eval()
    state = reference.state_dict()
    members = [
        {k: v + 0.02 * torch.randn_like(v) if k.endswith("weight") else v.clone() for k, v in state.items()}
        for _ in range(MEMBERS)
    ]

    def loop() -> list[float]:
        accuracies = []
        with torch.no_grad():
            for member in members:
                reference.load_state_dict(member)
                spikingjelly.functional.reset_net(reference)
                answers = reference(frames).mean(dim=0)
                accuracies.append(float((answers.argmax(dim=1) == labels).float().mean()))
        return accuracies

    medians = interleaved(
        {
            "ours": lambda: ours.evaluate(population, images, labels),
            "convolution": lambda: plain.evaluate(population, images, labels),
            "loop": loop,
        }
    )
    each = {name: 1e3 * value / MEMBERS for name, value in medians.items()}
    print(
        f"\npopulation of {MEMBERS}, {SAMPLES} samples, {torch.get_num_threads()} threads: "
        f"{each['ours']:.1f} ms per candidate with calibration and all metrics ({ours.strategy}; by convolution "
        f"{each['convolution']:.1f} ms), "
        f"SpikingJelly loop {each['loop']:.1f} ms with accuracy only; {each['loop'] / each['ours']:.2f} times as fast"
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> SEWDigits:
    settings = resolve(SEWDigits.Parameters, {"source_epochs": 1, "epochs": 1}, "sew-digits")
    problem = SEWDigits(settings, context=Context(cache_dir=tmp_path_factory.mktemp("cache")))
    problem.prepare()
    return problem


@pytest.mark.parametrize("name", ["de", "cade"])
def test_share_of_ask_and_tell(digits, name):
    cls = registry.load("algorithm", name)
    task = Task(digits.space, ("error",), 1000, digits.initial)
    algorithm = cls(task, resolve(cls.Parameters, {}, name), 0)
    spent: dict[str, list[float]] = {"ask": [], "evaluate": [], "tell": []}
    for generation in range(ROUNDS + 1):
        clock = [time.perf_counter()]
        x = algorithm.ask()
        clock.append(time.perf_counter())
        digits.space.clip_(x)
        evaluations = digits.evaluate(x)
        clock.append(time.perf_counter())
        algorithm.tell(x, evaluations)
        clock.append(time.perf_counter())
        if generation:  # the first one is the initial design
            for stage, start, end in zip(spent, clock, clock[1:], strict=False):
                spent[stage].append((end - start) / len(x))
    ask, evaluate, tell = (1e3 * statistics.median(values) for values in spent.values())
    print(
        f"\n{name} on sew-digits, per candidate: ask {ask:.3f} ms, evaluation {evaluate:.1f} ms, tell {tell:.3f} ms; "
        f"ask + tell take {100 * (ask + tell) / evaluate:.2f} % of the evaluation"
    )
