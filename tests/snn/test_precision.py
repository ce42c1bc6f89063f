"""Less than float32: rounding, exact sums, and what a whole network makes of them."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.layers import ConvNorm, Inputs, folded_finite, set_mode
from snnbench.snn.neuron import LIF
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.precision import PRECISIONS, rounded
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.weights import Codec, flatten

LOWER = [precision for precision in PRECISIONS if precision != "float32"]
BITS = {"float32": 24, "tf32": 11, "bfloat16": 8, "float16": 11}
IMAGES = Inputs(2.0, 2.0**-8, signed=True)


def nearest(value, bits):
    """The nearest number with so many significant bits, ties to even, in float64."""
    fraction, exponent = math.frexp(value)
    return math.ldexp(float(np.rint(math.ldexp(fraction, bits))), exponent - bits)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_keeps_so_many_bits(precision):
    drawn = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 3
    ties = 1 + torch.arange(64) / 64 * 2.0**-6
    values = torch.cat([drawn, ties, -ties])
    expected = [nearest(float(v), BITS[precision]) for v in values]
    assert rounded(values, precision).tolist() == expected
    assert torch.equal(rounded(torch.tensor(expected), precision), torch.tensor(expected))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rounding_passes_on_what_is_not_finite(precision):
    found = rounded(torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0]), precision)
    assert found.isnan().tolist() == [True, False, False, False, False]
    assert found[1:].tolist() == [torch.inf, -torch.inf, 0.0, 0.0]
    assert math.copysign(1.0, float(found[-1])) == -1.0


@pytest.mark.parametrize("precision", LOWER)
def test_a_convolution_is_that_of_float64_rounded_once(precision):
    torch.manual_seed(0)
    connection = ConvNorm(12, 16, 3, 2, Inputs(4.0), precision)
    counts = torch.randint(0, 5, (3, 5, 12, 6, 6)).float()
    with torch.inference_mode():
        for mode in ("calibrate", "folded"):
            set_mode(connection, mode)
            found = connection(counts)
        weight, bias = connection.folded
        assert torch.equal(weight, rounded(weight, precision))
        sums = F.conv2d(counts.flatten(0, 1).double(), weight.double(), None, 2, 1)
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision, torch.float32)
    assert sums.float().double().equal(sums)  # no sum needs more than float32, even in float64's order
    stored = sums.float().to(half).float()
    assert torch.equal(found.flatten(0, 1), stored + bias[:, None, None])
    assert found.mean(dim=(0, 1, 3, 4)).abs().max() < 0.02  # normalised, but for rounding
    assert (found.std(dim=(0, 1, 3, 4)) - 1).abs().max() < 0.02


def evaluator_of(precision, chunk=8):
    torch.manual_seed(3)
    config = SEWConfig(blocks=(1, 1), width=8, channels=1, steps=3)

    def build():
        return SEWResNet(config, IMAGES, precision)

    network = build()
    torch.manual_seed(4)
    centre = flatten(SEWResNet(config, IMAGES))
    sizes = tuple(p.numel() for p in network.parameters())
    images = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8)
    evaluator = PopulationEvaluator(
        build, Codec(centre, sizes, (0.05,) * len(sizes)), _to_input, images[:16], chunk, 0.9, HOROWITZ_45NM
    )
    x = torch.randn(4, len(centre), generator=torch.Generator().manual_seed(5))
    return evaluator, x, images, torch.arange(40) % 10


def _to_input(pixels):
    return (pixels.float() / 128 - 1).mul(256).round() / 256


@pytest.mark.parametrize("precision", LOWER)
def test_candidates_do_not_depend_on_chunks(precision):
    first, second = (evaluator_of(precision, chunk) for chunk in (8, 40))
    a, b = (evaluator.evaluate(*rest) for evaluator, *rest in (first, second))
    assert first[0].strategy == "convolution"
    for name in ("error", "layer_spikes", "acs", "accuracy"):
        assert np.array_equal(a[name], b[name]), name


def test_fewer_bits_change_more():
    found = {}
    for precision in PRECISIONS:
        evaluator, x, images, _ = evaluator_of(precision)
        found[precision] = torch.stack([answer for answer, *_ in evaluator.answers(x, images)])
    distance = {p: float((found[p] - found["float32"]).abs().mean()) for p in LOWER}
    assert 0 < distance["tf32"] <= distance["float16"] < distance["bfloat16"]
    scale = float(found["float32"].abs().mean())
    assert distance["bfloat16"] < 0.25 * scale


def test_a_weight_beyond_float16_is_told():
    def usable(precision):
        connection = ConvNorm(1, 2, 3, 1, Inputs(1.0), precision)
        with torch.inference_mode():
            connection.conv.weight.fill_(0.25)
            connection.norm.weight.fill_(1e6)
            set_mode(connection, "calibrate")
            connection(torch.zeros(1, 2, 1, 4, 4))  # variance 0: divided by the square root of 1e-5
            return bool(folded_finite(connection))

    assert usable("float32")
    assert usable("bfloat16")
    assert not usable("float16")


def differences(one, other, x, images):
    """Share of spikes that are in one only, and of predictions that differ, of all candidates; also in calibration."""
    spikes, predictions = [], []
    for evaluator in (one, other):
        evaluator.strategy = "convolution"
        fired: list[torch.Tensor] = []
        neurons = [module for module in evaluator._replica(0)[0].modules() if isinstance(module, LIF)]
        hooks = [n.register_forward_hook(lambda _, __, out, to=fired: to.append(out.bool().cpu())) for n in neurons]
        device = evaluator.device
        answers = [evaluator.answers(row[None].to(device), images.to(device))[0][0] for row in x]
        for hook in hooks:
            hook.remove()
        spikes.append(torch.cat([s.flatten() for s in fired]))
        predictions.append(torch.stack([logits.mean(dim=0).argmax(dim=1).cpu() for logits in answers]))
    flipped = (spikes[0] ^ spikes[1]).sum() / spikes[0].sum()
    return float(flipped), float((predictions[0] != predictions[1]).double().mean())


def test_differences_are_seen():
    (one, x, images, _), (other, *_) = evaluator_of("float32"), evaluator_of("bfloat16")
    assert differences(one, one, x, images) == (0.0, 0.0)
    flipped, changed = differences(one, other, x, images)
    assert 0 < flipped < 0.5
    assert changed < 1


@pytest.mark.gpu
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_gpu_gives_the_bits_of_a_cpu(precision):
    """But for convolutions that cuDNN does not compute as sums of products: at most 1 in 1,000 spikes differs."""
    evaluator, x, images, _ = evaluator_of(precision)
    cuda = torch.device("cuda")
    codec = Codec(evaluator.codec.centre.to(cuda), evaluator.codec.sizes, evaluator.codec.scales)
    there = PopulationEvaluator(evaluator._build, codec, _to_input, images[:16].to(cuda), 8, 0.9, HOROWITZ_45NM)
    flipped, changed = differences(evaluator, there, x, images)
    print(f"{precision}: {flipped:.2e} of the spikes, {changed:.3f} of predictions")
    assert flipped <= 1e-3
    assert changed <= 0.025
