"""Evaluation as a CUDA graph: what may be recorded, checked on a CPU, and, where there is a GPU, the graph itself.

On a CPU a stand-in takes the place of what only a GPU has: a "graph" whose replay runs the recorded operations again.
"""

import contextlib
import types
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from snnbench.data.loading import load
from snnbench.errors import UsageError
from snnbench.snn import graph
from snnbench.snn.arrivals import arriving, network_input
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.graph import Recorder
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.precision import PRECISIONS
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.soup import SoupCodec, layers_of
from snnbench.snn.weights import Codec, flatten

WAITS = {"_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "unique", "item"}
COPIES = {"lift_fresh", "lift_fresh_copy", "_to_copy", "pin_memory"}


class Operations(TorchDispatchMode):
    """Keeps what was computed, so that it can be computed again into the same memory, as a CUDA graph does."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple] = []

    def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, result))
        return result

    @torch.inference_mode()
    def replay(self) -> None:
        for function, args, kwargs, result in self.done:
            again = function(*args, **kwargs)
            several = isinstance(again, tuple | list)
            for new, old in zip(again, result, strict=True) if several else [(again, result)]:
                if new.data_ptr() != old.data_ptr():  # neither a view nor in place
                    old.copy_(new)


@pytest.fixture
def on_cpu(monkeypatch):
    """PyTorch's CUDA graphs, pretended on the CPU; every test sees how many were recorded and replayed."""
    seen = types.SimpleNamespace(recorded=0, replayed=0, failure=None, breaks=None, stream="its own")

    class Pretended:
        def replay(self) -> None:
            seen.replayed += 1
            self.operations.replay()

    @contextlib.contextmanager
    def record(target, stream, capture_error_mode):
        seen.recorded += 1
        seen.stream = stream
        if seen.failure is not None:
            raise seen.failure
        target.operations = Operations()
        try:
            with target.operations:
                yield
        except RuntimeError:
            raise RuntimeError("capture was invalidated") from None  # and the stream stays, as with torch
        seen.stream = "its own"

    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Pretended)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    before = types.SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: before)
    monkeypatch.setattr(
        torch.cuda, "set_stream", lambda given: setattr(seen, "stream", "its own" if given is before else given)
    )
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    return seen


@pytest.fixture
def launcher(make_evaluator, images, labels):
    """An evaluator, and a function that measures one candidate with it."""
    evaluator = make_evaluator()
    evaluator.strategy = "convolution"
    replica = evaluator._replica(0)
    return evaluator, lambda x: evaluator._launch(replica, x, images, labels, 16)


def launchers(data, precision, device):
    """What measures a candidate of `sew-*` and one of `soup-*` with their own input, on a device, and a candidate."""
    c, side, _ = data.shape
    config = SEWConfig(blocks=(1, 1), width=4, channels=c, classes=10, steps=data.steps or 4)

    def build():
        return SEWResNet(config, arriving(data), precision)

    centre, sizes = flatten(build()).to(device), [p.numel() for p in build().parameters()]
    layers = layers_of(build())
    shape = (40, data.steps, c, side, side) if data.steps else (40, c, side, side)
    pixels = torch.randint(0, 3, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1)).to(device)
    labels = (torch.arange(40) % 10).to(device)
    for codec, d in (
        (Codec(centre, tuple(sizes), (0.05,) * len(sizes)), len(centre)),
        (SoupCodec(centre.expand(3, -1).contiguous(), tuple(layers.values())), 3 * len(layers)),
    ):
        evaluator = PopulationEvaluator(
            build, codec, network_input(data), pixels[:24], 16, 0.3, HOROWITZ_45NM, "convolution"
        )
        yield (
            partial(evaluator._launch, evaluator._replica(0), images=pixels, labels=labels, chunk=16),
            torch.zeros(d).to(device),
        )


@pytest.mark.parametrize("name", ["digits", "events"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_is_waited_for_and_nothing_copied_from_the_host(precision, name):
    """Between a candidate's coordinates and its metrics; all of which a graph could not hold."""
    for launch, x in launchers(load(name), precision, torch.device("cpu")):
        launch(x)  # what is made once
        with Operations() as operations:
            launch(x)
        found = [function.overloadpacket.__name__ for function, *_ in operations.done]
        assert len(found) > 300
        assert not WAITS & set(found)
        assert not {"lift_fresh", "lift_fresh_copy"} & set(found)
        moved = [kwargs for done, (_, _, kwargs, _) in zip(found, operations.done, strict=True) if done in COPIES]
        assert not any(kwargs.get("device") is not None for kwargs in moved), moved


@pytest.mark.parametrize("name", ["digits", "events"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_everything_is_where_the_candidate_is(precision, name):
    """On a device without values: asking for one, or mixing in a tensor of the CPU, is an error there."""
    meta = torch.device("meta")
    for launch, x in launchers(load(name), precision, meta):
        assert launch(x).values.device == meta


def test_a_graph_measures_what_launching_does(on_cpu, launcher, population, images, labels):
    _, launch = launcher
    recorder = Recorder(forced=True)
    for x in population:
        assert torch.equal(recorder.measure(launch, x, (images, labels), 16).values, launch(x).values)
    assert recorder.in_use
    assert on_cpu.recorded == 1
    assert on_cpu.replayed == len(population) + 1  # and once to compare


def test_results_are_kept_when_the_next_candidate_is_measured(on_cpu, launcher, population, images, labels):
    _, launch = launcher
    recorder = Recorder(forced=True)
    found = [recorder.measure(launch, x, (images, labels), 16) for x in population]
    assert len({tuple(one.values.tolist()) for one in found}) == len(population)


def test_a_graph_is_recorded_once_there_are_enough_candidates_on_the_same_samples(
    on_cpu, launcher, population, images, labels, monkeypatch
):
    _, launch = launcher
    monkeypatch.setattr(graph, "_ENOUGH", 3)
    monkeypatch.setattr(graph, "_seconds", lambda run, x: 1.0 if isinstance(run, graph.Graph) else 2.0)
    recorder = Recorder(forced=False)
    used = []
    for x in population:
        recorder.measure(launch, x, (images, labels), 16)
        used.append(recorder.in_use)
    assert used == [False] * 3 + [True] * 3
    recorder.measure(launch, population[0], (images.clone(), labels), 16)
    assert on_cpu.recorded == 1
    for _ in range(3):
        recorder.measure(launch, population[0], (images, labels), 8)
    assert on_cpu.recorded == 1
    recorder.measure(launch, population[0], (images, labels), 8)
    assert on_cpu.recorded == 2


@pytest.mark.filterwarnings("error")
def test_a_slower_graph_is_not_used(on_cpu, launcher, population, images, labels, monkeypatch):
    _, launch = launcher
    monkeypatch.setattr(graph, "_ENOUGH", 0)
    monkeypatch.setattr(graph, "_seconds", lambda run, x: 2.0 if isinstance(run, graph.Graph) else 1.0)
    recorder = Recorder(forced=False)
    for x in population:
        recorder.measure(launch, x, (images, labels), 16)
    assert (on_cpu.recorded, recorder.in_use) == (1, False)


@pytest.mark.parametrize("failure", [RuntimeError("not permitted\nmore"), torch.cuda.OutOfMemoryError("no memory")])
def test_a_graph_that_fails_is_dropped_with_one_line(
    on_cpu, launcher, population, images, labels, monkeypatch, failure
):
    _, launch = launcher
    monkeypatch.setattr(graph, "_ENOUGH", 0)
    on_cpu.failure = failure
    recorder = Recorder(forced=False)
    reason = str(failure).partition("\n")[0]
    with pytest.warns(RuntimeWarning, match=rf"CUDA graph failed \({reason}\): going on by convolution") as told:
        found = [recorder.measure(launch, x, (images, labels), 16).values for x in population]
    assert len(told) == 1
    assert on_cpu.stream == "its own"
    assert all(torch.equal(values, launch(x).values) for values, x in zip(found, population, strict=True))
    assert not recorder.in_use


def test_what_broke_a_recording_is_told_and_not_that_it_broke(on_cpu, launcher, population, images, labels):
    """Out of memory must be known as such: fewer samples per pass may do."""
    _, launch = launcher
    calls = []

    def small(x):
        calls.append(x)
        if len(calls) == 3:  # after two runs to warm up
            raise torch.cuda.OutOfMemoryError("no memory")
        return launch(x)

    with pytest.raises(torch.cuda.OutOfMemoryError):
        Recorder(forced=True).measure(small, population[0], (images, labels), 16)
    assert on_cpu.stream == "its own"


def test_a_graph_with_other_results_is_dropped(on_cpu, launcher, population, images, labels, monkeypatch):
    """As if a number of the candidate that was recorded had become a constant."""
    _, launch = launcher
    monkeypatch.setattr(graph, "_ENOUGH", 0)
    constant = launch(population[0])
    calls = []

    def baked(x):
        calls.append(x)
        return constant if len(calls) <= 3 else launch(x)  # two runs to warm up, and the one that is recorded

    recorder = Recorder(forced=False)
    with pytest.warns(RuntimeWarning, match="other results than without it"):
        measured = recorder.measure(baked, population[1], (images, labels), 16)
    assert torch.equal(measured.values, launch(population[1]).values)


def test_a_forced_graph_that_fails_is_the_users_to_know(on_cpu, launcher, population, images, labels):
    _, launch = launcher
    on_cpu.failure = RuntimeError("operation not permitted")
    with pytest.raises(
        UsageError, match=r"the strategy graph does not work here \(operation not permitted\); use auto"
    ):
        Recorder(forced=True).measure(launch, population[0], (images, labels), 16)
    on_cpu.failure = torch.cuda.OutOfMemoryError("no memory")
    with pytest.raises(torch.cuda.OutOfMemoryError):  # fewer samples per pass may do
        Recorder(forced=True).measure(launch, population[0], (images, labels), 16)


def test_a_graph_needs_a_gpu(make_evaluator, population, images, labels):
    evaluator = make_evaluator(strategy="graph")
    with pytest.raises(UsageError, match="the strategy graph needs a GPU; use auto"):
        evaluator.evaluate(population, images, labels)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_on_a_gpu_a_graph_has_the_same_bits(precision, images, labels, population):
    cuda = torch.device("cuda")
    config = SEWConfig(blocks=(1, 1), width=4, channels=1, classes=10, steps=4)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = SEWResNet(config)
    sizes = tuple(p.numel() for p in network.parameters())
    codec = Codec(flatten(network).to(cuda), sizes, (0.05,) * len(sizes))
    samples = (images.to(cuda), labels.to(cuda))
    found = {}
    for strategy in ("convolution", "graph"):
        evaluator = PopulationEvaluator(
            lambda: SEWResNet(config, precision=precision), codec, _input, samples[0][:24], 16, 0.3, HOROWITZ_45NM,
            strategy,
        )  # fmt: skip
        found[strategy] = evaluator.evaluate(population.to(cuda), *samples)
        assert evaluator.strategy == strategy
    one, other = found.values()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def _input(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() / 16 - 0.3) / 0.38
