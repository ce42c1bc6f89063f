"""Converted networks run event by event give the bits of matrix products: readouts, and everything that is counted."""

import pytest
import torch

from snnbench.errors import UsageError
from snnbench.snn import folded as folding
from snnbench.snn import native
from snnbench.snn.conversion import Converted, convert, round_image, round_weights
from snnbench.snn.folded import FoldedNetwork
from snnbench.snn.vgg import VGG, VGGConfig

compiled = pytest.mark.skipif(not native.available(), reason="needs a C compiler")
SAMPLES = 70


def converted(layout: str, channels: int = 2) -> tuple[Converted, torch.Tensor]:
    config = VGGConfig(layout, (channels, 8, 8), 5)
    generator = torch.Generator().manual_seed(1)
    images = round_image(torch.randn(SAMPLES, *config.shape, generator=generator).clamp_(-3, 3))
    source = VGG(config, seed=3).eval()
    with torch.no_grad():
        for parameter, rounded in zip(source.weights, round_weights(list(source.weights), config, 3.0), strict=True):
            parameter.copy_(rounded)
    return convert(source, images, 99.0), images


def population(network: Converted, n: int, leaky: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    shape = (n, len(network.thresholds))
    scales = 0.2 + 0.8 * torch.rand(shape, generator=generator)
    decays = 1.0 - 0.5 * torch.rand(shape, generator=generator) if leaky else torch.ones(shape)
    return scales * torch.tensor(network.thresholds), decays


@compiled
@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("layout", ["4p-6p-5p|7-6", "4p-6p-5-6p|33-130", "16p-24p-24-24-24p|48-48-48"])
@pytest.mark.parametrize("steps", [1, 6])
def test_the_same_bits(layout, leaky, steps):
    network, images = converted(layout)
    thresholds, decays = population(network, 11, leaky)
    labels = torch.arange(SAMPLES) % 5
    runs = {}
    for strategy in ("convolution", "events"):
        folded = FoldedNetwork(network, steps, 0.6, span=50, strategy=strategy)
        runs[strategy] = folded.evaluate(thresholds, decays, images, labels)
        assert folded.strategy == strategy
    for a, b in zip(*runs.values(), strict=True):
        assert torch.equal(a.spikes, b.spikes)
        assert torch.equal(a.readings.sums, b.readings.sums)
        assert (a.acs, a.macs) == (b.acs, b.macs)
    found = runs["events"]
    assert len({c.readings.loss for c in found}) > 1
    assert all(float(c.spikes[0].sum()) > 0 for c in found)
    assert any(c.readings.silent < SAMPLES for c in found)


@compiled
def test_samples_without_a_spike_are_silent_in_both():
    network, images = converted("4p-6p-5p|7-6")
    thresholds, decays = population(network, 9, leaky=False)
    thresholds[:5] *= torch.tensor([8.0, 4.0, 3.0, 2.0, 1.5])[:, None]
    counts = {}
    for strategy in ("convolution", "events"):
        folded = FoldedNetwork(network, 4, 0.6, strategy=strategy)
        found = folded.evaluate(thresholds, decays, images, torch.arange(SAMPLES) % 5)
        counts[strategy] = [c.readings.silent for c in found]
    assert counts["convolution"] == counts["events"]
    assert len(set(counts["events"])) > 2


def test_convolutions_that_are_no_matrices_are_run_as_such():
    # 8 x 8 positions of 12 channels behind a layer without pooling: too large a matrix for what it saves
    network, images = converted("12-12-6p|7")
    folded = FoldedNetwork(network, 2, 0.6)
    assert folded.strategy == "convolution"
    assert len(folded.evaluate(*population(network, 2, leaky=False), images, torch.arange(SAMPLES) % 5)) == 2
    for strategy in ("events", "lookup"):
        with pytest.raises(UsageError, match=f"the strategy {strategy} does not suit"):
            FoldedNetwork(network, 2, 0.6, strategy=strategy)


def test_a_missing_compiler_is_no_error(monkeypatch):
    monkeypatch.setattr(native, "available", lambda: False)
    network, _ = converted("4p-6p-5p|7-6")
    assert FoldedNetwork(network, 2, 0.6).strategy == "convolution"
    with pytest.raises(UsageError, match="C compiler"):
        FoldedNetwork(network, 2, 0.6, strategy="events")


@compiled
def test_a_strategy_that_fails_is_dropped_with_one_line(monkeypatch):
    network, images = converted("4p-6p-5p|7-6")
    labels = torch.arange(SAMPLES) % 5
    everyone = population(network, 3, leaky=False)
    expected = FoldedNetwork(network, 2, 0.6, strategy="convolution").evaluate(*everyone, images, labels)

    def fails(*_):
        raise MemoryError("pretended")

    monkeypatch.setattr(native.EventDriven, "run", fails)
    monkeypatch.setattr(FoldedNetwork, "_faster", lambda *_: "events")
    folded = FoldedNetwork(network, 2, 0.6)
    with pytest.warns(RuntimeWarning, match=r"events failed \(pretended\): going on by convolution"):
        found = folded.evaluate(*everyone, images, labels)
    assert folded.strategy == "convolution"
    assert [c.readings.loss for c in found] == [c.readings.loss for c in expected]
    with pytest.raises(MemoryError, match="pretended"):
        FoldedNetwork(network, 2, 0.6, strategy="events").evaluate(*everyone, images, labels)


@compiled
def test_a_strategy_that_fails_when_it_is_timed_is_dropped_with_one_line(monkeypatch):
    network, images = converted("4p-6p-5p|7-6")
    labels = torch.arange(SAMPLES) % 5
    everyone = population(network, 3, leaky=False)

    def fails(*_):
        raise MemoryError("pretended")

    monkeypatch.setattr(native.EventDriven, "run", fails)
    folded = FoldedNetwork(network, 2, 0.6)
    with pytest.warns(RuntimeWarning, match=r"events failed \(pretended\): going on by convolution") as told:
        folded.evaluate(*everyone, images, labels)
    assert len(told) == 1
    assert folded.strategy == "convolution"


def test_out_of_memory_means_smaller_spans(monkeypatch):
    network, images = converted("4p-6p-5p|7-6")
    labels = torch.arange(SAMPLES) % 5
    everyone = population(network, 3, leaky=False)
    expected = FoldedNetwork(network, 2, 0.6, span=13, strategy="convolution").evaluate(*everyone, images, labels)
    real = FoldedNetwork._in_batches

    def small(self, thresholds, decays, currents):
        if len(currents) > 20:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")
        return real(self, thresholds, decays, currents)

    monkeypatch.setattr(FoldedNetwork, "_in_batches", small)
    folded = FoldedNetwork(network, 2, 0.6, span=50, strategy="convolution")
    with pytest.warns(RuntimeWarning, match="out of memory: going on with fewer samples per pass"):
        found = folded.evaluate(*everyone, images, labels)
    assert folded.span == 13
    assert [c.readings.loss for c in found] == [c.readings.loss for c in expected]


@compiled
@pytest.mark.parametrize(("convolution", "events", "expected"), [(1.0, 0.1, "events"), (0.1, 1.0, "convolution")])
def test_the_faster_one_is_used(monkeypatch, convolution, events, expected):
    network, images = converted("4p-6p-5p|7-6")
    folded = FoldedNetwork(network, 2, 0.6)
    now = [0.0]

    def taking(seconds, run):
        def timed(*args):
            now[0] += seconds
            return run(*args)

        return timed

    monkeypatch.setattr(folding.time, "perf_counter", lambda: now[0])
    for name, seconds in (("_in_batches", convolution), ("_by_events", events)):
        monkeypatch.setattr(folded, name, taking(seconds, getattr(folded, name)))
    assert folded.strategy == "auto"
    folded.evaluate(*population(network, 2, leaky=False), images, torch.arange(SAMPLES) % 5)
    assert folded.strategy == expected
