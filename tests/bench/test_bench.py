"""What `snnbench bench` measures: every way gives the peer's predictions, and figures are those of what was run."""

import json
import sys

import pytest
import torch

from snnbench.bench import CASES, matrix_peak, measure, timing
from snnbench.bench.cases import SEWCase, ThresholdCase
from snnbench.errors import UsageError
from snnbench.snn import native

CPU = torch.device("cpu")
SEW = SEWCase("sew", "a small one", 24, 3, steps=3, blocks=(1, 1), width=8, channels=2, side=8)
THRESHOLD = ThresholdCase("threshold", "a small one", 20, 5, steps=3, layout="4p-6p|7")


def test_the_networks_are_those_that_problems_use():
    assert {name: case.parameters for name, case in CASES.items()} == {
        "sew-8x8": 19_810,
        "sew-32x32": 78_042,
        "sew-resnet18": 11_173_962,
        "threshold-8x8": 25_392,
    }
    # A convolution of 72 inputs at 64 places, ...: by hand
    block = 64 * 72 * 8 * 2 + 16 * (72 * 16 + 144 * 16 + 8 * 16) + 4 * (144 * 32 + 288 * 32 + 16 * 32) + 320
    padded = CASES["sew-8x8"].operations / 4
    assert 0.6 * (64 * 9 * 8 + block) < padded < 64 * 9 * 8 + block  # without taps outside of the image


@pytest.mark.parametrize("case", [SEW, THRESHOLD])
def test_ways_and_peer_predict_the_same(case, spikingjelly):
    rows = measure(case, CPU, rounds=1, against="spikingjelly")
    ways = [row.way for row in rows]
    other = "lookup" if case is SEW else "events"
    assert ways == ["convolution", *([other] if native.available() else []), "spikingjelly"]
    for row in rows[:-1]:
        assert row.different == 0
        assert row.times == pytest.approx(rows[-1].seconds / row.seconds)
    for row in rows:
        assert row.samples_per_second == pytest.approx(case.samples / row.seconds)
        assert row.dense_flops == pytest.approx(2 * case.operations * row.samples_per_second)
    assert (rows[-1].times, rows[-1].different) == (None, None)


@pytest.mark.parametrize("case", [SEW, THRESHOLD])
def test_the_peer_tells_candidates_apart(case, spikingjelly):
    material = case.make(CPU)
    peer = timing.PEERS["spikingjelly"](material)
    accuracies = peer.run()
    assert len(accuracies) == case.candidates
    assert len(set(accuracies)) > 1
    assert torch.equal(peer.answers(), peer.answers())


def test_medians_are_per_candidate(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    took = iter([9.0, 9.0, 3.0, 1.0, 2.0])  # two to measure memory, then three rounds

    def slow():
        clock[0] += next(took)

    class Slow(SEWCase):
        def make(self, device, precisions=("float32",)):
            made = super().make(device, precisions)
            made.ways.clear()
            made.ways["slow", "float32"] = slow
            return made

    (row,) = measure(Slow(**vars(SEW)), CPU, rounds=3)
    assert row.seconds == 2.0 / SEW.candidates


def test_a_way_that_fails_is_left_out_with_one_line():
    def fails():
        raise UsageError("the strategy graph does not work here (not permitted); use auto")

    class Failing(SEWCase):
        def make(self, device, precisions=("float32",)):
            made = super().make(device, precisions)
            made.ways["graph", "float32"] = fails
            return made

    with pytest.warns(RuntimeWarning, match=r"graph float32 left out: UsageError: the strategy graph does not work"):
        rows = measure(Failing(**vars(SEW)), CPU, rounds=1)
    assert [row.way for row in rows] == ["convolution", *(["lookup"] if native.available() else [])]


def test_matrix_peak_is_positive():
    assert matrix_peak(CPU, size=64, rounds=1) > 0
    assert matrix_peak(CPU, "tf32", size=64, rounds=1) > 0
    assert not torch.backends.cuda.matmul.allow_tf32


def test_command(in_process, monkeypatch):
    monkeypatch.setitem(CASES, "sew-8x8", SEW)
    done = in_process("bench", "--network", "sew-8x8", "--rounds", "1", "--device", "cpu")
    assert done.returncode == 0
    assert "candidates/s" in done.stdout
    assert max(map(len, done.stdout.splitlines()[2:])) <= 80
    found = json.loads(in_process("bench", "--network", "sew-8x8", "--rounds", "1", "--json").stdout)
    assert {"hardware", "versions", "matrix_peak", "rows"} <= set(found)
    for row in found["rows"]:
        assert row["share_of_peak"] == pytest.approx(row["dense_flops"] / found["matrix_peak"]["float32"])


def test_precisions_are_ways_of_their_own(spikingjelly):
    rows = measure(SEW, CPU, rounds=1, against="spikingjelly", precisions=("tf32", "float16"))
    assert [(row.way, row.precision) for row in rows] == [
        ("convolution", "tf32"),
        ("convolution", "float16"),
        ("spikingjelly", "float32"),
    ]
    ours = SEW.make(CPU, ("float32", "tf32", "float16")).answers
    predicted = {name: answers().mean(dim=0).argmax(dim=1) for name, answers in ours.items()}
    exact = predicted["convolution", "float32"]  # which are the peer's
    expected = [int((predicted["convolution", name] != exact).sum()) for name in ("tf32", "float16")]
    assert [row.different for row in rows] == [*expected, None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--network", "sew-8x9"], "sew-8x8"),
        (["--against", "norse"], "spikingjelly"),
        (["--rounds", "0"], "at least 1"),
        (["--precision", "float33"], "float32"),
        (["--device", "cuda:77"], "cuda:77"),
    ],
)
def test_bad_usage_is_one_line(in_process, monkeypatch, arguments, message):
    for name in CASES:
        monkeypatch.setitem(CASES, name, SEW)
    done = in_process("bench", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_peer_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "spikingjelly.activation_based", None)
    monkeypatch.setattr(timing, "PEERS", dict(timing.PEERS))
    for name in ("functional", "layer", "neuron"):
        monkeypatch.delitem(sys.modules, f"spikingjelly.activation_based.{name}", raising=False)
    with pytest.raises(UsageError, match="pip install spikingjelly"):
        measure(SEW, CPU, rounds=1, against="spikingjelly")
