import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from snnbench.snn.energy import HOROWITZ_45NM, EnergyModel
from snnbench.snn.layers import set_mode
from snnbench.snn.neuron import LIF
from snnbench.snn.sew_resnet import SEWResNet


def same(a: dict, b: dict) -> bool:
    """Bitwise, but for the width of the array of reasons."""
    words = a["failure"].tolist() == b["failure"].tolist()
    return words and a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a if k != "failure")


def rows(metrics: dict, index) -> dict:
    return {name: values[index] for name, values in metrics.items()}


def test_the_same_bytes_again(make_evaluator, population, images, labels):
    evaluator = make_evaluator()
    first = evaluator.evaluate(population, images, labels)
    assert same(first, evaluator.evaluate(population, images, labels))
    assert same(first, make_evaluator().evaluate(population, images, labels))
    assert len({values.tobytes() for values in first["loss"]}) == len(population)


def test_a_row_depends_on_no_other_row(make_evaluator, population, images, labels):
    evaluator = make_evaluator()
    whole = evaluator.evaluate(population, images, labels)
    for i in range(len(population)):
        assert same(rows(whole, slice(i, i + 1)), evaluator.evaluate(population[i : i + 1], images, labels))
    turned = evaluator.evaluate(population.flip(0), images, labels)
    assert same(rows(whole, slice(None)), rows(turned, slice(None, None, -1)))
    ill = population.clone()
    ill[2] = float("nan")
    mixed = evaluator.evaluate(ill, images, labels)
    keep = [0, 1, 3, 4, 5]
    assert same(rows(mixed, keep), rows(whole, keep))


def test_a_row_does_not_depend_on_the_number_of_cores(make_evaluator, population, images, labels, cores):
    results = []
    for n in (1, 2, 3):
        cores(n)
        results.append(make_evaluator().evaluate(population, images, labels))
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_chunks_add_up(make_evaluator, population, images, labels):
    whole = make_evaluator(chunk=1000).evaluate(population, images, labels)
    parts = make_evaluator(chunk=7).evaluate(population, images, labels)
    counts = ("accuracy", "spikes", "layer_spikes", "acs", "macs", "energy", "silent", "cost", "latency")
    for name in counts:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12, atol=0, err_msg=name)
    np.testing.assert_allclose(parts["loss"], whole["loss"], rtol=1e-5)


def test_metrics_follow_from_the_network(make_evaluator, population, images, labels, config):
    evaluator = make_evaluator()
    x = population[0]
    network = SEWResNet(config)
    weights = evaluator.codec.centre + 0.05 * x
    torch.nn.utils.vector_to_parameters(weights, network.parameters())
    spikes: list[torch.Tensor] = []
    with torch.no_grad():
        set_mode(network, "calibrate")
        network(evaluator.prepare_images(images[:24]))
        set_mode(network, "folded")
        for module in network.modules():
            if isinstance(module, LIF):
                module.register_forward_hook(lambda _, __, out: spikes.append(out.flatten(1).sum(dim=1).double()))
        logits = network(evaluator.prepare_images(images))
    answers = logits.cumsum(0) / torch.arange(1, 5)[:, None, None]
    # A confidence that some samples reach before the end.
    confidence = float(answers.softmax(dim=2).amax(dim=2)[:-1].median())
    metrics = rows(make_evaluator(confidence=confidence).evaluate(x[None], images, labels), 0)
    accuracy = (answers.argmax(dim=2) == labels).double().mean(dim=1)
    np.testing.assert_allclose(metrics["accuracy"], accuracy)
    assert metrics["error"] == pytest.approx(1 - float(accuracy[-1]))
    assert metrics["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(answers[-1], labels)), rel=1e-5)
    total = torch.stack(spikes).sum() / 40
    assert metrics["spikes"] == pytest.approx(float(total))
    np.testing.assert_allclose(metrics["layer_spikes"].sum(axis=0), torch.stack(spikes).sum(dim=0) / 40)
    assert metrics["layer_spikes"].shape == (6, 4)
    assert metrics["synops"] == metrics["acs"] + metrics["macs"]
    assert metrics["energy"] == pytest.approx((0.9 * metrics["acs"] + 4.6 * metrics["macs"]) / 1000)
    assert metrics["cost"] == 160
    confident = answers.softmax(dim=2).amax(dim=2) >= confidence
    confident[-1] = True
    assert metrics["latency"] == pytest.approx(float((confident.int().argmax(dim=0) + 1).double().mean()))
    assert 1 < metrics["latency"] < 4
    assert metrics["failure"] == ""
    neurons = 3 * 4 * 64 + 3 * 8 * 16
    assert metrics["rate"] == pytest.approx(float(total) / (4 * neurons))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", [0, 100, -1])
def test_weights_that_are_not_finite_fail_with_a_reason(make_evaluator, population, images, labels, bad, where):
    """Also in a convolution, where NaN currents never fire and the rest of the network would look alive."""
    x = population[:3].clone()
    x[1, where] = bad
    metrics = make_evaluator().evaluate(x, images, labels)
    assert "not finite" in metrics["failure"][1]
    assert metrics["failure"][0] == metrics["failure"][2] == ""
    for name, values in metrics.items():
        if values.dtype.kind == "f":
            assert not np.isnan(values).any(), name
    assert metrics["loss"][1] == np.inf


def test_one_extreme_weight_is_no_failure(make_evaluator, population, images, labels):
    """Normalisation takes any finite size."""
    x = population[:1].clone()
    x[0, 0] = 1e8
    metrics = make_evaluator().evaluate(x, images, labels)
    assert metrics["failure"][0] == ""
    assert np.isfinite(metrics["loss"]).all()


@pytest.mark.filterwarnings("error")
def test_out_of_memory_means_smaller_passes(make_evaluator, population, images, labels, monkeypatch):
    evaluator = make_evaluator(chunk=40)
    run, sizes = evaluator._run, []

    def small(network, pixels, classes):
        sizes.append(len(pixels))
        if len(pixels) > 12:
            raise torch.cuda.OutOfMemoryError("pretended")
        return run(network, pixels, classes)

    monkeypatch.setattr(evaluator, "_run", small)
    with pytest.warns(RuntimeWarning, match="out of memory: going on with fewer samples per pass"):
        metrics = evaluator.evaluate(population, images, labels)
    assert evaluator.chunk == 10
    assert same(metrics, make_evaluator(chunk=10).evaluate(population, images, labels))
    sizes.clear()
    evaluator.evaluate(population[:1], images, labels)
    assert sizes == [10] * 4


@pytest.mark.filterwarnings("ignore:out of memory")
def test_threads_that_are_out_of_memory_together_halve_once(make_evaluator):
    evaluator = make_evaluator(chunk=512)
    together, tried = threading.Barrier(8), []

    def attempt(chunk):
        tried.append(chunk)
        if chunk == 512:
            together.wait(10)
            raise torch.cuda.OutOfMemoryError("pretended")
        return chunk

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: evaluator.with_memory(attempt), range(8)))
    assert found == [256] * 8
    assert evaluator.chunk == 256


def test_out_of_memory_means_smaller_passes_of_answers_too(make_evaluator, population, images, monkeypatch):
    evaluator = make_evaluator(chunk=40)
    forward = evaluator.forward

    def small(network, x, tally=None):
        if tally is not None and len(x) > 12:
            raise torch.cuda.OutOfMemoryError("pretended")
        return forward(network, x, tally)

    monkeypatch.setattr(evaluator, "forward", small)
    with pytest.warns(RuntimeWarning, match="out of memory"):
        ((logits, silent, tally, usable),) = evaluator.answers(population[:1], images)
    assert evaluator.chunk == 10
    ((expected, expected_silent, counted, _),) = make_evaluator(chunk=40).answers(population[:1], images)
    assert torch.equal(silent, expected_silent)
    torch.testing.assert_close(logits, expected)
    assert tally.operations() == counted.operations()
    assert usable


def test_out_of_memory_for_one_sample_is_raised(make_evaluator, population, images, labels, monkeypatch):
    evaluator = make_evaluator(chunk=1)

    def never(*_):
        raise torch.cuda.OutOfMemoryError("pretended")

    monkeypatch.setattr(evaluator, "_run", never)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        evaluator.evaluate(population[:1], images, labels)


def test_candidates_are_not_changed(make_evaluator, population, images, labels):
    before = population.clone()
    make_evaluator().evaluate(population, images, labels)
    assert torch.equal(population, before)


def test_the_energy_model_is_versioned():
    assert EnergyModel("double/1", 1.0, 2.0, "").energy(1000, 1000) == pytest.approx(3.0)
    assert HOROWITZ_45NM.name.endswith("/1")
    assert (HOROWITZ_45NM.ac, HOROWITZ_45NM.mac) == (0.9, 4.6)
    json.dumps(HOROWITZ_45NM.__dict__)
