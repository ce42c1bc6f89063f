"""SEW-ResNet against SpikingJelly's, and its layers against PyTorch's."""

import pytest
import torch
from torch import nn

from snnbench.snn.layers import ConvNorm, set_mode
from snnbench.snn.neuron import LIF
from snnbench.snn.sew_resnet import LAYOUTS, SEWConfig, SEWResNet
from snnbench.snn.tally import Tally


def parameters(config: SEWConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in SEWResNet(config).parameters())


def test_sizes_of_the_networks():
    assert parameters(SEWConfig(LAYOUTS[34], 64, 3, 100)) == 21_328_292
    assert parameters(SEWConfig((1, 1, 1), 8, 1, 10)) == 19_810


def spikes_of(network: nn.Module, kind: type, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Output, and the output of every neuron layer in the order of execution."""
    seen: list[torch.Tensor] = []
    handles = [
        m.register_forward_hook(lambda _, __, output: seen.append(output.detach().clone()))
        for m in network.modules()
        if isinstance(m, kind)
    ]
    with torch.no_grad():
        logits = network(x)
    for handle in handles:
        handle.remove()
    return logits, seen


def copy_weights(ours: SEWResNet, theirs: nn.Module) -> None:
    def copy(source: ConvNorm, conv: nn.Module, norm: nn.Module) -> None:
        conv.load_state_dict(source.conv.state_dict())
        norm.load_state_dict(source.norm.state_dict())

    copy(ours.stem, theirs.conv1, theirs.bn1)
    blocks = [block for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4) for block in stage]
    for mine, other in zip(ours.blocks, blocks, strict=True):
        copy(mine.conv1, other.conv1, other.bn1)
        copy(mine.conv2, other.conv2, other.bn2)
        assert (mine.shortcut is None) == (other.downsample is None)
        if mine.shortcut is not None:
            copy(mine.shortcut, *other.downsample)
    theirs.fc.load_state_dict(ours.readout.fc.state_dict())


def test_sew_resnet_18_equals_spikingjellys(spikingjelly, make_network):
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    ours = make_network(SEWConfig(LAYOUTS[18], 64, 3, 10), x)
    theirs = spikingjelly.sew_resnet.sew_resnet18(
        cnf="ADD", spiking_neuron=spikingjelly.neuron.LIFNode, num_classes=10, tau=2.0, decay_input=False
    )
    # Its stem is made for ImageNet.
    theirs.conv1 = spikingjelly.layer.Conv2d(3, 64, 3, 1, 1, bias=False)
    theirs.maxpool = nn.Identity()
    spikingjelly.functional.set_step_mode(theirs, "m")
    theirs = theirs.double().eval()
    copy_weights(ours, theirs)
    logits, expected = spikes_of(theirs, spikingjelly.neuron.LIFNode, x.expand(4, -1, -1, -1, -1))
    assert logits.std() > 0
    for mode in ("folded", "batch"):
        set_mode(ours, mode)
        ours.eval()
        got, seen = spikes_of(ours, LIF, x)
        torch.testing.assert_close(got, logits, rtol=1e-10, atol=1e-10)
        assert len(seen) == len(expected) == 1 + 2 * 8 + 3
        for mine, other in zip(seen, expected, strict=True):
            assert torch.equal(mine, other)
            assert 0.01 < mine.mean() < 0.9


def test_frames_and_a_constant_image_agree(config, make_network):
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    network = make_network(config, x)
    with torch.no_grad():
        constant = network(x)
        frames = network(x.expand(4, -1, -1, -1, -1))
    torch.testing.assert_close(constant, frames, rtol=1e-10, atol=1e-10)


def test_training_and_lean_evaluation_agree(config, make_network):
    """Gradients or none, in place or not: the same spikes come out."""
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    network = make_network(config, x)
    set_mode(network, "calibrate")
    with torch.no_grad():
        lean = network(x)
    set_mode(network, "batch")
    trained = network(x)
    assert trained.requires_grad
    torch.testing.assert_close(trained, lean, rtol=1e-10, atol=1e-10)
    trained.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 2)])
def test_folded_normalisation_equals_unfolded(kernel, stride):
    generator = torch.Generator().manual_seed(kernel + stride)
    layer = ConvNorm(3, 5, kernel, stride)
    with torch.no_grad():
        layer.conv.weight.normal_(generator=generator)
        layer.norm.weight.normal_(generator=generator)
        layer.norm.bias.normal_(generator=generator)
    x = torch.randn(4, 6, 3, 9, 9, generator=generator)
    set_mode(layer, "calibrate")
    with torch.no_grad():
        calibrated = layer(x)
        currents = layer.conv(x.flatten(0, 1))
        set_mode(layer, "folded")
        folded = layer(x)
        expected = nn.functional.batch_norm(currents, None, None, layer.norm.weight, layer.norm.bias, True)
    torch.testing.assert_close(calibrated, expected.unflatten(0, (4, 6)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(folded, calibrated, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.norm.running_mean, currents.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6)
    variance = currents.var(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(layer.norm.running_var, variance, rtol=1e-5, atol=1e-6)


def test_calibration_forgets_what_was_before(config, make_network):
    first = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    second = 3 + 2 * torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    network = make_network(config, first)
    set_mode(network, "calibrate")
    with torch.no_grad():
        network(second)
    fresh = make_network(config, second)
    for a, b in zip(network.state_dict().values(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_silence_is_noticed_per_sample(config, make_network):
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    network = make_network(config, x)
    with torch.no_grad():
        tally = Tally()
        network(x, tally)
        assert tally.silent.tolist() == [False] * 6
        for block in network.blocks:
            block.conv2._bias.fill_(-1e6)
        network.blocks[-1].shortcut._bias.fill_(-1e6)
        tally = Tally()
        logits = network(x, tally)
    assert tally.silent.tolist() == [True] * 6
    torch.testing.assert_close(logits[0], network.readout.fc.bias.expand(6, -1))
