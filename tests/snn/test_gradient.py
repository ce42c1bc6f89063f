"""The surrogate gradient with respect to coordinates is that of the network."""

import torch
import torch.nn.functional as F

from snnbench.snn.gradient import WeightGradient
from snnbench.snn.layers import set_mode
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.weights import Codec, flatten

CONFIG = SEWConfig((1, 1), 4, 1, 3, 3)


def test_equals_backward_through_the_network_itself():
    torch.manual_seed(0)
    members = torch.stack([flatten(SEWResNet(CONFIG)) for _ in range(3)])
    sizes = [p.numel() for p in SEWResNet(CONFIG).parameters()]
    codec = Codec.around(members, sizes)
    gradient = WeightGradient(lambda: SEWResNet(CONFIG), codec, lambda pixels: pixels / 255, torch.device("cpu"))
    images = torch.randint(0, 256, (16, 1, 8, 8)).float()
    labels = torch.randint(0, 3, (16,))
    x = codec.encode_(members.clone())[1]
    loss, found = gradient(x, images, labels)

    network = SEWResNet(CONFIG)
    start = 0
    for p in network.parameters():
        p.data = members[1, start : start + p.numel()].view(p.shape).clone()
        start += p.numel()
    set_mode(network, "batch")
    expected = F.cross_entropy(network(images / 255).mean(dim=0), labels)
    expected.backward()
    flat = torch.cat([p.grad.flatten() * s for p, s in zip(network.parameters(), codec.scales, strict=True)])
    assert abs(loss - float(expected)) < 1e-6
    assert torch.allclose(found, flat, rtol=1e-4, atol=1e-7)
    assert flat.abs().max() > 1e-3
    again, same = gradient(x, images, labels)
    assert again == loss
    assert torch.equal(same, found)  # nothing is left over from the first time


def test_a_step_against_the_gradient_lowers_the_loss():
    torch.manual_seed(1)
    members = torch.stack([flatten(SEWResNet(CONFIG)) for _ in range(3)])
    codec = Codec.around(members, [p.numel() for p in SEWResNet(CONFIG).parameters()])
    gradient = WeightGradient(lambda: SEWResNet(CONFIG), codec, lambda pixels: pixels / 255, torch.device("cpu"))
    images, labels = torch.randint(0, 256, (32, 1, 8, 8)).float(), torch.randint(0, 3, (32,))
    x = codec.encode_(members.clone())[0]
    losses = []
    for _ in range(30):
        with torch.no_grad():  # as in the engine
            loss, g = gradient(x, images, labels)
            x = x - 0.5 * g / g.norm() * x.norm() * 0.1
        losses.append(loss)
    assert min(losses[-5:]) < 0.9 * losses[0]
