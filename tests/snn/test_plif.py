"""The parametric LIF neuron against SpikingJelly and plain autograd, and the voting network built of it."""

import math

import pytest
import torch

from snnbench.errors import UsageError
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.layers import set_mode
from snnbench.snn.metrics import summarise
from snnbench.snn.plif import PLIF, PLIFConfig
from snnbench.snn.plif_network import PLIFNetworkConfig, make_network
from snnbench.snn.surrogate import surrogate
from snnbench.snn.tally import Tally
from snnbench.snn.vote_training import calibrate, score_votes, squared_error


def currents(seed: int, steps: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.rand(steps, 4, 40, dtype=torch.float64, generator=generator) - 1


def plif(tau: float, threshold: float, steepness: float = 4.0) -> PLIF:
    return PLIF(PLIFConfig(tau, threshold, steepness)).double()


def unrolled(x: torch.Tensor, w: torch.Tensor, threshold: float, steepness: float) -> torch.Tensor:
    fire = surrogate("sigmoid", steepness)
    v, spikes = torch.zeros_like(x[0]), []
    for current in x:
        h = v + torch.sigmoid(w) * (current - v)
        s = fire(h - threshold)
        spikes.append(s)
        v = h * (1 - s.detach())
    return torch.stack(spikes)


@pytest.mark.parametrize(("tau", "threshold", "steepness"), [(1.1, 1.0, 4.0), (2.0, 0.3, 2.0), (10.0, 0.15, 10.0)])
def test_gradients_equal_plain_autograd(tau, threshold, steepness):
    weight = currents(1)
    results = []
    for fused in (True, False):
        neuron, x = plif(tau, threshold, steepness), currents(2).requires_grad_()
        spikes = neuron(x) if fused else unrolled(x, neuron.w, threshold, steepness)
        (spikes * weight).sum().backward()
        results.append((spikes.detach(), x.grad, neuron.w.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert 0.02 < results[0][0].mean() < 0.9
    for ours, theirs in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
        assert ours.abs().sum() > 0


@pytest.mark.parametrize(("tau", "threshold"), [(1.5, 1.0), (2.0, 0.3), (6.0, 0.2)])
def test_equal_to_spikingjelly(spikingjelly, tau, threshold):
    weight = currents(3)
    results = []
    theirs = spikingjelly.neuron.ParametricLIFNode(
        init_tau=tau,
        v_threshold=threshold,
        surrogate_function=spikingjelly.surrogate.Sigmoid(alpha=4.0),
        detach_reset=True,
        step_mode="m",
    ).double()
    for neuron in (plif(tau, threshold), theirs):
        x = currents(4).requires_grad_()
        spikes = neuron(x)
        (spikes * weight).sum().backward()
        results.append((spikes.detach(), x.grad, neuron.w.grad))
    assert torch.equal(results[0][0], results[1][0])
    for ours, other in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-8)  # their initial w is in single precision


def test_lean_evaluation_spikes_as_training_does():
    neuron, x = plif(2.0, 0.5), currents(5)
    with torch.no_grad():
        lean = neuron(x)
    assert torch.equal(lean, neuron(x.requires_grad_()).detach())
    constant = x.detach()[:1].expand(9, -1, -1)
    assert torch.equal(neuron(constant), neuron(constant.clone()))


def test_the_time_constant_is_what_was_asked_for_and_survives_extremes():
    assert plif(7.5, 1.0).tau == pytest.approx(7.5)
    neuron = plif(2.0, 1.0)
    for extreme in (-1e4, 1e4):
        torch.nn.init.constant_(neuron.w, extreme)
        x = currents(6).requires_grad_()
        neuron(x).sum().backward()
        assert x.grad.isfinite().all()
        assert neuron.w.grad.isfinite()
        assert neuron.tau >= 1
    for bad in ({"tau": 1.0}, {"threshold": 0.0}, {"steepness": 0.0}):
        with pytest.raises(UsageError, match="PLIF"):
            PLIFConfig(**bad)


def config(kernels=(3, 4), steps=5, dropout=0.5) -> PLIFNetworkConfig:
    return PLIFNetworkConfig(1, 8, 10, steps, (3, 4), kernels, dropout, PLIFConfig(1.5, 0.2))


@pytest.mark.parametrize("kernels", [(2, 2), (3, 5), (4, 3), (5, 4)])
def test_the_shape_arithmetic_is_that_of_the_layers(kernels):
    network, tally = make_network(config(kernels), 0), Tally()
    set_mode(network, "batch")
    network(torch.rand(6, 1, 8, 8), tally)
    assert network.config.neurons == sum(tally.neurons.values())
    assert network.config.maps[2] == 2


def test_initialisation_depends_on_the_seed_only():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = (make_network(config(), seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])
    bound = 1 / math.sqrt(first["fc.weight"].shape[1])
    assert first["fc.weight"].abs().max() <= bound
    assert first["fc.weight"].abs().max() > 0.9 * bound
    assert float(first["conv1.norm.running_var"].sum()) == 3


def test_an_image_is_the_same_as_frames_that_repeat_it():
    network, x = make_network(config(), 0), torch.rand(6, 1, 8, 8)
    assert calibrate(network, x)
    with torch.no_grad():
        assert torch.equal(network(x), network(x[None].expand(5, -1, -1, -1, -1)))


def test_dropout_leaves_out_the_same_inputs_at_every_step():
    network = make_network(config(dropout=0.5), 0)
    seen = []
    network.fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    set_mode(network, "batch")
    x = torch.rand(64, 1, 8, 8)
    network.mask = torch.Generator().manual_seed(0)
    network(x)
    network.mask = None
    network(x)
    dropped, full = seen
    kept = (dropped != 0) | (full == 0)
    assert torch.equal(dropped[kept], 2 * full[kept])
    lost = ~kept
    assert 0.4 < lost.sum() / (full != 0).sum() < 0.6
    always = (full != 0).sum(dim=0) > 1
    assert (lost.any(dim=0) & (dropped != 0).any(dim=0) & always).sum() == 0


def test_counts_are_neurobenchs_and_scores_are_by_hand():
    network, x = make_network(config(), 0), torch.rand(30, 1, 8, 8)
    labels = torch.arange(30) % 10
    calibrate(network, x)
    parts, mse = score_votes(network, lambda span: x[span], labels, 7, 0.9)
    measured = summarise(parts, HOROWITZ_45NM)
    with torch.no_grad():
        votes = network(x)
    assert measured["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(votes.mean(0), labels)), rel=1e-5)
    assert mse == pytest.approx(float(squared_error(votes, labels)), rel=1e-5)
    by_hand = ((votes.mean(0).double() / 10 - torch.eye(10)[labels]) ** 2).mean()
    assert mse == pytest.approx(float(by_hand), rel=1e-5)
    best = votes.mean(0).topk(2, dim=1)
    clear = (best.values[:, 0] > best.values[:, 1]) & (best.indices[:, 0] == labels)
    assert measured["error"] == pytest.approx(1 - float(clear.double().mean()))

    inputs: dict[str, torch.Tensor] = {}
    for name in ("neuron1", "neuron2"):
        getattr(network, name).register_forward_hook(lambda m, i, o, name=name: inputs.update({name: o.detach()}))
    with torch.no_grad():
        network(x)
    pooled1 = torch.nn.functional.max_pool2d(inputs["neuron1"].flatten(0, 1), 2)
    ones = torch.nn.functional.conv2d(pooled1, torch.ones_like(network.conv2.conv.weight), padding=2)
    fc_inputs = torch.nn.functional.max_pool2d(inputs["neuron2"].flatten(0, 1), 2)
    expected = float(ones.sum()) + 100 * float(fc_inputs.sum())
    assert measured["acs"] == pytest.approx(expected / 30)
    assert measured["macs"] > 0
