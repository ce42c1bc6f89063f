"""Table lookup gives the bits of convolutions: statistics, weights, logits, and everything that is counted."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from snnbench.errors import UsageError
from snnbench.experiment.overrides import EvaluationParameters
from snnbench.snn import native, population
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.grid import exact_convolutions
from snnbench.snn.layers import ConvNorm, Inputs, set_mode
from snnbench.snn.native import library
from snnbench.snn.neuron import NeuronConfig
from snnbench.snn.population import PopulationEvaluator, faster
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.tally import Tally
from snnbench.snn.weights import Codec, flatten

compiled = pytest.mark.skipif(not native.available(), reason="needs a C compiler")
PIXELS, EVENTS = Inputs(4.0, 2**-8, signed=True), Inputs(9.0)
NEURONS = [
    NeuronConfig(),
    NeuronConfig(decay=1.0, reset="subtract", at_threshold=False),
    NeuronConfig(decay=0.25, reset="none", threshold=0.7),
]


def images(config, samples, side, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (samples, config.channels, side, side)
    return (torch.randint(-1024, 1025, shape, generator=generator) / 256).contiguous(memory_format=torch.channels_last)


def frames(config, samples, side):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 10, (config.steps, samples, config.channels, side, side), generator=generator).float()


@compiled
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(
    ("blocks", "width", "side", "events"),
    [
        ((1, 1, 1), 8, 8, False),
        ((2, 3), 8, 9, True),
        ((1, 1), 24, 7, False),
        ((8, 1), 16, 6, False),
        ((1, 1), 64, 4, True),
        ((1,), 56, 3, False),  # rows of weights in blocks of 8, 16, 32 and 64 outputs
        ((1,), 288, 3, False),
        ((1,), 160, 3, True),
        ((8,), 64, 3, False),  # counts of up to 9
    ],
)
def test_the_same_bits(blocks, width, side, events, neuron):
    exact_convolutions(torch.device("cpu"))
    config = SEWConfig(blocks, width, channels=2, classes=5, steps=3, neuron=neuron)
    networks = [SEWResNet(config, EVENTS if events else PIXELS) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    x = frames(config, 20, side) if events else images(config, 20, side)
    tallies = [Tally(), Tally()]
    with torch.inference_mode():
        for network in networks:
            set_mode(network, "calibrate")
        assert torch.equal(networks[0](x), native.forward(networks[1], x))
        for one, two in zip(networks[0].modules(), networks[1].modules(), strict=True):
            if isinstance(one, ConvNorm):
                assert torch.equal(one.norm.running_var, two.norm.running_var)
                assert torch.equal(one._weight, two._weight)
                assert torch.equal(one._bias, two._bias)
        for network in networks:
            set_mode(network, "folded")
        expected, found = networks[0](x, tallies[0]), native.forward(networks[1], x, tallies[1])
    assert torch.equal(expected, found)
    assert expected.std() > 0
    assert tallies[0].neurons == tallies[1].neurons
    assert tallies[0].operations() == tallies[1].operations()
    assert torch.equal(tallies[0].silent, tallies[1].silent)
    assert sum(float(spikes.sum()) for spikes in tallies[0].spikes.values()) > 100
    for name, spikes in tallies[0].spikes.items():
        assert torch.equal(spikes, tallies[1].spikes[name])


@pytest.mark.parametrize(
    ("config", "inputs", "suits"),
    [
        (SEWConfig((1, 1), 8), PIXELS, True),
        (SEWConfig((1, 1), 8), None, False),  # pixels that are on no grid
        (SEWConfig((1, 1), 6), PIXELS, False),
        (SEWConfig((15,), 8), PIXELS, False),  # counts of more than four bits
        (SEWConfig((1, 1), 8, neuron=NeuronConfig(decay=0.6)), PIXELS, False),
        (SEWConfig((1, 1), 8, neuron=NeuronConfig(input_scale=0.5)), PIXELS, False),
    ],
)
def test_what_it_is_for(config, inputs, suits):
    assert native.suits(SEWResNet(config, inputs)) is suits


def evaluator(strategy, width=8):
    config = SEWConfig((1, 1), width, channels=1, classes=4, steps=2)
    torch.manual_seed(0)
    network = SEWResNet(config)
    sizes = tuple(p.numel() for p in network.parameters())
    codec = Codec(flatten(network), sizes, (0.02,) * len(sizes))
    pixels = torch.randint(0, 17, (30, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))

    def to_input(x):
        return x.float() / 16

    made = PopulationEvaluator(
        lambda: SEWResNet(config, Inputs(1.0, 2**-4)), codec, to_input, pixels[:16], 12, 0.9, HOROWITZ_45NM, strategy
    )
    x = torch.randn(6, len(codec.centre), generator=torch.Generator().manual_seed(3))
    x[3, 5], x[4, -200], x[5, 3] = float("nan"), float("inf"), -1e38  # of a convolution; of another; of the stem
    return made, lambda: made.evaluate(x, pixels, torch.arange(30) % 4)


@compiled
def test_evaluations_are_the_same():
    expected, found = (evaluator(strategy)[1]() for strategy in ("convolution", "lookup"))
    assert set(expected) == set(found)
    for name in expected:
        assert np.array_equal(expected[name], found[name]), name
    assert [bool(failure) for failure in expected["failure"]] == [False, False, False, True, True, False]
    made, run = evaluator("auto")
    assert np.array_equal(run()["loss"], expected["loss"])
    assert made.strategy in ("convolution", "lookup")


def test_a_strategy_that_cannot_be_used_is_one_line(monkeypatch):
    for strategy in ("lookup", "events"):
        with pytest.raises(UsageError, match=f"{strategy} does not suit this network"):
            evaluator(strategy, width=6)[1]()
    monkeypatch.setattr(native, "available", lambda: False)
    with pytest.raises(UsageError, match="needs a C compiler"):
        evaluator("lookup")[1]()
    made, run = evaluator("auto")  # a missing compiler is no error
    run()
    assert made.strategy == "convolution"
    assert EvaluationParameters().strategy == "auto"


@compiled
def test_a_strategy_that_fails_is_dropped_with_one_line(monkeypatch):
    expected = evaluator("convolution")[1]()
    real, calls = native.forward, []

    def fails(network, x, tally=None):
        calls.append(1)
        logits = real(network, x, tally)  # what it counted must not be counted twice
        if len(calls) > 20:
            raise MemoryError("pretended")
        return logits

    monkeypatch.setattr(population.native, "forward", fails)
    monkeypatch.setattr(population, "faster", lambda *_: "lookup")
    made, run = evaluator("auto")
    with pytest.warns(RuntimeWarning, match=r"lookup failed \(pretended\): going on by convolution"):
        found = [run() for _ in range(2)][-1]
    assert made.strategy == "convolution"
    for name in expected:
        assert np.array_equal(expected[name], found[name]), name
    with pytest.raises(MemoryError, match="pretended"):  # what was asked for is not replaced by something else
        evaluator("lookup")[1]()


@compiled
@pytest.mark.parametrize(("convolution", "lookup", "expected"), [(1.0, 0.1, "lookup"), (0.1, 1.0, "convolution")])
def test_the_faster_one_is_used(monkeypatch, convolution, lookup, expected):
    config = SEWConfig((1, 1), 8, channels=2)
    network = SEWResNet(config, PIXELS)
    now = [0.0]

    def taking(seconds):
        def run(*_):
            now[0] += seconds

        return run

    monkeypatch.setattr(population.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(population.native, "forward", taking(lookup))
    monkeypatch.setattr(SEWResNet, "forward", taking(convolution))
    assert faster(network, images(config, 8, 8)) == expected


@compiled
def test_a_way_that_fails_when_it_is_timed_is_dropped_with_one_line(monkeypatch):
    config = SEWConfig((1, 1), 8, channels=2)

    def fails(*_):
        raise MemoryError("pretended")

    monkeypatch.setattr(population.native, "forward", fails)
    with pytest.warns(RuntimeWarning, match=r"lookup failed \(pretended\): going on by convolution"):
        assert faster(SEWResNet(config, PIXELS), images(config, 8, 8)) == "convolution"


@compiled
@pytest.mark.parametrize("damage", [b"", b"\x7fELF", None])
def test_a_damaged_library_is_made_again(monkeypatch, tmp_path, damage):
    """Loading half a file would end the process."""
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    library.library.cache_clear()
    try:
        assert native.available()
        (made,) = tmp_path.rglob("*.so")
        whole = made.read_bytes()
        made.unlink()  # not written over: it is loaded
        made.write_bytes(whole[: len(whole) // 3] if damage is None else damage)
        library.library.cache_clear()
        assert native.available()
        assert len(made.read_bytes()) == len(whole)
    finally:
        library.library.cache_clear()


@compiled
def test_a_compiler_that_fails_is_replaced_by_one_that_works(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", sys.executable)
    library.library.cache_clear()
    try:
        assert native.available()
    finally:
        library.library.cache_clear()


@pytest.mark.parametrize("reason", ["no compiler", "fails", "cache open to others"])
def test_without_a_compiler_there_is_no_library(monkeypatch, tmp_path, reason):
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    if reason == "no compiler":
        monkeypatch.setattr(library.shutil, "which", lambda name: None)
    elif reason == "fails":
        monkeypatch.setattr(library.shutil, "which", lambda name: sys.executable)
    else:
        (tmp_path / "native").mkdir()
        (tmp_path / "native").chmod(0o777)
    library.library.cache_clear()
    try:
        assert not native.available()
        assert not list(tmp_path.rglob("*.so"))
    finally:
        library.library.cache_clear()


@compiled
def test_it_is_compiled_once(monkeypatch, tmp_path):
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path))
    library.library.cache_clear()
    assert native.available()
    library.library.cache_clear()
    calls = []
    real = subprocess.run
    monkeypatch.setattr(library.subprocess, "run", lambda *a, **k: calls.append(a[0]) or real(*a, **k))
    try:
        assert native.available()
        assert [command[1:] for command in calls] == [["--version"]]
        assert len(list(tmp_path.rglob("*.so"))) == 1
    finally:
        library.library.cache_clear()
