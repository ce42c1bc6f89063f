"""The steps are those of torch.optim, to the bit, without what importing its compiler takes."""

import subprocess
import sys

import pytest
import torch

from snnbench.snn.descent import Descent, cosine


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((8, 3, 3, 3), (17,), (5, 4))]


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.0, 0.0), (0.5, 0.0)])
def test_the_steps_of_torch(momentum, decay):
    ours, theirs = parameters(), parameters()
    rest = torch.nn.Parameter(torch.ones(2))  # never used: no gradient
    optimizer = torch.optim.SGD([*theirs, rest], 0.1, momentum, weight_decay=decay, nesterov=momentum > 0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 37)
    descent = Descent([*ours, rest], momentum, decay)
    for rate in cosine(0.1, 37):
        assert rate == optimizer.param_groups[0]["lr"]
        for group, forget in ((ours, descent.forget), (theirs, optimizer.zero_grad)):
            forget()
            sum((p.sin() * p).sum() for p in group).backward()
        descent.step(rate)
        optimizer.step()
        schedule.step()
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not torch.equal(ours[0], parameters()[0])
    assert torch.equal(rest, torch.ones(2))


def test_no_compiler_is_imported():
    code = """
import sys, torch
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.training import TrainingRecipe, train
network = SEWResNet(SEWConfig((1,), 8, channels=1))
images = torch.randint(0, 255, (4, 1, 8, 8), dtype=torch.uint8)
train(network, images, torch.arange(4), TrainingRecipe(1, 2), 0, lambda x: x / 255, lambda x: x)
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
