"""The neuron against snntorch, SpikingJelly and plain autograd."""

import itertools

import numpy as np
import pytest
import torch

from snnbench.errors import UsageError
from snnbench.snn.neuron import LIF, NeuronConfig
from snnbench.snn.surrogate import SURROGATES, surrogate


def currents(seed: int, steps: int = 12, low: float = -1.0, high: float = 2.0) -> torch.Tensor:
    """Random float64 input (T, 3, 50)."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(steps, 3, 50, dtype=torch.float64, generator=generator)


def dyadic(seed: int) -> torch.Tensor:
    """Input (8, 3, 200) on a grid on which every step is exact in float32, so that thresholds are hit exactly."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-4, 9, (8, 3, 200), generator=generator).float() / 4


def snntorch_spikes(x: torch.Tensor, beta: float, threshold: float, reset: str) -> torch.Tensor:
    from snntorch import Leaky

    neuron = Leaky(beta=beta, threshold=threshold, reset_mechanism=reset, reset_delay=False)
    mem, spikes = torch.zeros_like(x[0]), []
    for current in x:
        spike, mem = neuron(current, mem)
        spikes.append(spike.to(x.dtype))
    return torch.stack(spikes).detach()


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("threshold", [0.6, 1.0, 2.5])
def test_equal_to_snntorch_leaky(reset, beta, threshold):
    # The membrane stays below twice the threshold under subtraction, where snntorch would subtract twice.
    x = threshold * currents(1, low=-0.6, high=1.0)
    exact = float(np.float32(beta)), float(np.float32(threshold))  # snntorch keeps both in single precision
    config = NeuronConfig(decay=exact[0], threshold=exact[1], reset=reset, at_threshold=False)
    ours = LIF(config)(x)
    assert torch.equal(ours, snntorch_spikes(x, beta, threshold, reset))
    if beta:
        assert 0.02 < ours.mean() < 0.98


@pytest.mark.parametrize("reset", ["zero", "none"])
def test_equal_to_snntorch_where_the_threshold_is_met_exactly(reset):
    x = dyadic(2)
    ours = LIF(NeuronConfig(decay=0.5, reset=reset, at_threshold=False))(x)
    assert torch.equal(ours, snntorch_spikes(x, 0.5, 1.0, reset))
    assert not torch.equal(ours, LIF(NeuronConfig(decay=0.5, reset=reset, at_threshold=True))(x))


@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, None])
@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 1.0), (4.0, 0.5)])
def test_equal_to_spikingjelly_lif_node(spikingjelly, decay_input, v_reset, tau, threshold):
    config = NeuronConfig(
        decay=1 - 1 / tau,
        input_scale=1 / tau if decay_input else 1.0,
        threshold=threshold,
        reset="subtract" if v_reset is None else "zero",
    )
    node = spikingjelly.neuron.LIFNode(
        tau=tau, decay_input=decay_input, v_threshold=threshold, v_reset=v_reset, step_mode="m"
    )
    for training, x in itertools.product((True, False), (dyadic(3), 2 * dyadic(4), currents(5))):
        spikingjelly.functional.reset_net(node.train(training))
        theirs = node(x)
        ours = LIF(config)(x)
        assert torch.equal(ours, theirs)
        assert 0.02 < ours.mean() < 0.98


def test_gradient_equals_spikingjellys(spikingjelly):
    node = spikingjelly.neuron.LIFNode(
        tau=2.0,
        decay_input=False,
        surrogate_function=spikingjelly.surrogate.Sigmoid(alpha=4.0),
        detach_reset=True,
        step_mode="m",
    )
    weight = currents(7)
    gradients = []
    for neuron in (node, LIF(NeuronConfig())):
        x = currents(6).requires_grad_()
        (neuron(x) * weight).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-12, atol=1e-14)


def unrolled(x: torch.Tensor, config: NeuronConfig) -> torch.Tensor:
    fire = surrogate(config.surrogate, config.steepness, config.at_threshold)
    v, spikes = torch.zeros_like(x[0]), []
    for current in x:
        h = config.decay * v + config.input_scale * current
        s = fire(h - config.threshold)
        spikes.append(s)
        if config.reset == "zero":
            v = h * (1 - s.detach())
        elif config.reset == "subtract":
            v = h - config.threshold * s.detach()
        else:
            v = h
    return torch.stack(spikes)


@pytest.mark.parametrize("reset", ["zero", "subtract", "none"])
@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize(("decay", "scale", "threshold"), [(0.5, 1.0, 1.0), (0.8, 0.2, 0.3), (1.0, 1.0, 2.0)])
def test_gradient_equals_plain_autograd(reset, name, decay, scale, threshold):
    config = NeuronConfig(decay, scale, threshold, reset, surrogate=name)
    weight = currents(8)
    results = []
    for run in (LIF(config), lambda x: unrolled(x, config)):
        x = currents(9).requires_grad_()
        spikes = run(x)
        (spikes * weight).sum().backward()
        results.append((spikes.detach(), x.grad))
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-12, atol=1e-14)
    assert results[0][1].abs().sum() > 0


@pytest.mark.parametrize("at_threshold", [True, False])
def test_surrogates_fire_as_the_neuron_does(at_threshold):
    x = torch.tensor([-1.0, -1e-7, 0.0, 1e-7, 3.0])
    for name in SURROGATES:
        assert surrogate(name, at_threshold=at_threshold)(x).tolist() == [0, 0, float(at_threshold), 1, 1]


def test_the_surrogates_gradient_is_finite_far_from_the_threshold():
    for name, dtype in itertools.product(SURROGATES, (torch.float32, torch.float64)):
        x = torch.tensor([-1e6, -1e3, -50.0, 50.0, 1e3, 1e6], dtype=dtype, requires_grad=True)
        surrogate(name, 25.0)(x).sum().backward()
        assert x.grad.isfinite().all()


def test_a_constant_input_may_be_an_expanded_view():
    x = currents(10)[:1].expand(6, -1, -1)
    assert torch.equal(LIF(NeuronConfig())(x), LIF(NeuronConfig())(x.clone()))
    grown = currents(10)[:1].requires_grad_()
    LIF(NeuronConfig())(grown.expand(6, -1, -1)).sum().backward()
    assert grown.grad.shape == (1, 3, 50)


@pytest.mark.parametrize("track", [False, True])
def test_channels_last_makes_no_difference(track):
    x = torch.randn(20, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    last = x.contiguous(memory_format=torch.channels_last).unflatten(0, (4, 5)).requires_grad_(track)
    spikes = LIF(NeuronConfig())(last)
    assert torch.equal(spikes, LIF(NeuronConfig())(x.unflatten(0, (4, 5))))
    assert spikes.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_input_is_left_as_it_is():
    x = currents(11)
    before = x.clone()
    LIF(NeuronConfig(input_scale=0.5, reset="subtract"))(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"decay": 1.5}, "decay"),
        ({"decay": float("nan")}, "decay"),
        ({"threshold": 0.0}, "threshold > 0"),
        ({"reset": "soft"}, "reset must be"),
    ],
)
def test_impossible_neurons_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        NeuronConfig(**arguments)


def test_an_unknown_surrogate_is_refused():
    with pytest.raises(UsageError, match="unknown surrogate 'spline'"):
        surrogate("spline")
