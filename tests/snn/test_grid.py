"""Sums that need no rounding are the same however they are made."""

import pytest
import torch
import torch.nn.functional as F

from snnbench.snn.grid import exact_convolutions, moments, on_grid
from snnbench.snn.layers import ConvNorm, Inputs, Readout, set_mode
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet


def drawn(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1e-6, 0.02, 1.0, 3e4])
@pytest.mark.parametrize(
    ("fan_in", "largest", "step", "signed"),
    [(72, 1, 1.0, False), (4608, 7, 1.0, False), (27, 2.5, 2**-8, True)],
)
def test_sums_are_exact_in_any_order(scale, fan_in, largest, step, signed):
    weight, bias, unit = on_grid(drawn(5, fan_in, scale=scale), drawn(5, seed=1, scale=scale), largest, step, signed)
    generator = torch.Generator().manual_seed(2)
    low = -int(largest / step) if signed else 0
    x = step * torch.randint(low, int(largest / step) + 1, (200, fan_in), generator=generator).float()
    x[0] = largest // step * step  # the largest sums there are
    x[1] = torch.where(weight[0] > 0, x[0], -x[0] if signed else 0.0)
    exact = x.double() @ weight.double().t() + bias.double()
    for order in (torch.arange(fan_in), torch.randperm(fan_in, generator=generator), weight[0].argsort()):
        total = bias.expand(200, 5).clone()
        for i in order.tolist():
            total += x[:, i, None] * weight[:, i]
        assert torch.equal(total.double(), exact)
    assert torch.equal(F.linear(x, weight, bias).double(), exact)
    assert not (exact / unit).frac().any()
    assert (exact / unit).abs().max() <= 2**24


def test_the_grid_is_fine():
    weight = drawn(64, 4608)
    rounded, *_ = on_grid(weight, torch.zeros(64), 1.0)
    assert (rounded - weight).abs().max() < 3e-4 * weight.std()
    small, *_ = on_grid(drawn(8, 72), torch.zeros(8), 1.0)
    assert (small - drawn(8, 72)).abs().max() < 1e-5


def test_what_is_zero_or_not_finite_stays_so():
    weight = torch.tensor([[0.0, 0.0], [torch.nan, 1.0], [torch.inf, 1.0], [1e38, -1e38]])
    rounded, bias, _ = on_grid(weight, torch.tensor([0.0, 1.0, 1.0, torch.nan]), 3.0)
    assert rounded[0].tolist() == [0.0, 0.0]
    assert bias[0] == 0.0
    assert rounded[1, 0].isnan()
    assert not rounded[2, 0].isfinite()
    assert bias[3].isnan()


def test_moments_do_not_depend_on_the_order():
    unit = torch.tensor([2.0**-20, 2.0**3, 1.0])
    rows = torch.randint(-(2**24), 2**24 + 1, (1001, 3), generator=torch.Generator().manual_seed(0)).float() * unit
    sums, squares = moments(rows, unit)
    whole = [[int(v) for v in column] for column in (rows.double() / unit).t().tolist()]
    assert sums.tolist() == [float(sum(column)) for column in whole]
    assert squares.tolist() == [float(sum(v * v for v in column)) for column in whole]  # of Python's own integers
    for order in (torch.arange(1000, -1, -1), torch.randperm(1001)):
        assert torch.equal(moments(rows[order], unit)[1], squares)


def without_onednn(network, x):
    with torch.backends.mkldnn.flags(enabled=False), torch.no_grad():
        return network(x)


@pytest.mark.parametrize("frames", [False, True])
def test_a_network_gives_the_same_bits_whatever_computes_it(frames):
    """Library, layout and size of the batch, from calibration to logits."""
    exact_convolutions(torch.device("cpu"))
    torch.manual_seed(3)
    config = SEWConfig(blocks=(2, 1), width=8, channels=2, classes=5, steps=4)
    inputs = Inputs(9.0) if frames else Inputs(4.0, 2**-8, signed=True)
    networks = [SEWResNet(config, inputs) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    generator = torch.Generator().manual_seed(1)
    if frames:
        x = torch.randint(0, 10, (4, 48, 2, 8, 8), generator=generator).float()
    else:
        x = torch.randint(-1024, 1025, (48, 2, 8, 8), generator=generator).float() / 256
        x = x.contiguous(memory_format=torch.channels_last)
    for network in networks:
        set_mode(network, "calibrate")
    first, other = networks
    with torch.no_grad():
        first(x)
    without_onednn(other, x.contiguous())
    for one, two in zip(first.modules(), other.modules(), strict=True):
        if isinstance(one, ConvNorm):
            assert torch.equal(one._weight, two._weight)
            assert torch.equal(one._bias, two._bias)
    for network in networks:
        set_mode(network, "folded")
    with torch.no_grad():
        whole = first(x)
        rows = (slice(None), slice(7, 20)) if frames else slice(7, 20)
        assert torch.equal(first(x[rows].contiguous()), whole[:, 7:20])
    assert torch.equal(without_onednn(other, x.contiguous()), whole)
    assert whole.std() > 0


def test_the_readout_is_the_mean_and_the_linear_layer():
    readout = Readout(6, 4, largest=3)
    x = torch.randint(0, 4, (4, 5, 6, 3, 3), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        expected = readout(x)
        set_mode(readout, "folded")
        torch.testing.assert_close(readout(x), expected, rtol=0.0, atol=3e-4)


def test_counts_of_spikes_stay_within_what_the_grids_are_made_for():
    config = SEWConfig(blocks=(2, 3), width=4, channels=1, classes=3, steps=4)
    network = SEWResNet(config)
    seen = []
    for module in network.modules():
        if isinstance(module, ConvNorm) and module.inputs is not None:
            with torch.no_grad():
                module.norm.bias.fill_(50.0)  # every neuron fires at every step
            module.register_forward_pre_hook(lambda m, x: seen.append((m.inputs.largest, float(x[0].max()))))
    network.readout.register_forward_pre_hook(lambda m, x: seen.append((m.largest, float(x[0].max()))))
    set_mode(network, "calibrate")
    with torch.no_grad():
        network(drawn(6, 1, 8, 8))
    assert len(seen) == 12
    assert all(largest == most for largest, most in seen)
