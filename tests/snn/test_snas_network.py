"""SNASNet against SpikingJelly's, and the counts of operations against a direct computation."""

import importlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from snnbench.snn.candidate import fold
from snnbench.snn.layers import set_mode
from snnbench.snn.neuron import LIF
from snnbench.snn.snas_cell import README_CELLS, parse
from snnbench.snn.snas_network import SNAS_NEURON, SNASConfig, SNASNet, SteppedLIF
from snnbench.snn.tally import Tally

SMALL = SNASConfig(width=3, channels=1, size=8, classes=10, steps=4, hidden=16, votes=2, gains=(4.0, 4.0))
STEPWISE = SNASConfig(**{**SMALL.__dict__, "stepwise": True})
FORWARD = "0123 0014 0002 0000"


def lively(network: SNASNet, seed: int = 0) -> SNASNet:
    """With normalisation that differs from the initial one, so that nothing cancels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.8, 1.6, generator=generator)
                module.bias.uniform_(-0.2, 0.4, generator=generator)
    return network


def images(n: int, config: SNASConfig, seed: int = 1) -> torch.Tensor:
    shape = (n, config.channels, config.size, config.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def theirs(spikingjelly) -> SimpleNamespace:
    """SpikingJelly's SNASNet, and its helpers."""
    return SimpleNamespace(
        net=importlib.import_module("spikingjelly.activation_based.model.snas_net"), functional=spikingjelly.functional
    )


def build(theirs: SimpleNamespace, matrix, backward: bool, steps: int, data: str) -> nn.Module:
    args = SimpleNamespace(
        dataset=data, celltype="backward" if backward else "forward", timestep=steps, second_avgpooling=2,
        tau=4 / 3, threshold=1.0,
    )  # fmt: skip
    network = theirs.net.SNASNet(args, torch.tensor(matrix))
    network.classifier[0].p = 0.0
    if data == "tinyimagenet":  # half a gigabyte in double precision, which shows nothing more
        network.classifier[1], network.classifier[3] = nn.Linear(16384, 32, bias=False), nn.Linear(32, 1000)
    return network.double()


def copy_weights(ours: SNASNet, other: nn.Module, backward: bool) -> None:
    def conv(mine, convolution, norm) -> None:
        convolution.load_state_dict(mine.conv.state_dict())
        norm.load_state_dict(mine.norm.state_dict())

    conv(ours.stem, *other.stem)
    for mine, cell in ((ours.cell1, other.cell1), (ours.cell2, other.cell2)):
        groups = [(cell.cell_architecture, [(i, j) for j in range(1, 4) for i in range(j)])]
        if backward:
            groups.append((cell.cell_architecture_back, [(i, j) for j in range(3) for i in range(j + 1, 4)]))
        for modules, pairs in groups:
            for module, (i, j) in zip(modules, pairs, strict=True):
                if isinstance(module, nn.Sequential):
                    conv(mine.edges[f"{i}-{j}"].conv, module[1], module[2])
    other.downconv1[0].load_state_dict(ours.norm1.norm.state_dict())
    conv(ours.down.conv, other.downconv1[2], other.downconv1[3])
    other.last_act[0].load_state_dict(ours.norm2.norm.state_dict())
    other.classifier[1].load_state_dict(ours.fc1.state_dict())
    other.classifier[3].load_state_dict(ours.fc2.state_dict())


CIFAR100 = SNASConfig(128, 3, 32, 100, steps=2, hidden=1024, votes=5, gains=(8.0, 8.0), stepwise=True)
TINY_IMAGENET = replace(CIFAR100, size=64, classes=200, hidden=32, stem_stride=2)


@pytest.mark.parametrize(
    ("backward", "data", "config"),
    [(True, "cifar100", CIFAR100), (False, "tinyimagenet", TINY_IMAGENET)],
)
def test_equal_to_spikingjellys(theirs, backward, data, config):
    """The published network at its published width, in training and in evaluation, steps averaged."""
    matrix = parse(README_CELLS["cifar100"] if backward else "0302 0014 0003 0000")
    ours = lively(SNASNet(config, matrix, seed=3)).double()
    other = build(theirs, matrix, backward, config.steps, data)
    copy_weights(ours, other, backward)
    for module in (*ours.modules(), *other.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.9  # so that evaluation knows the statistics after one pass
    x = images(2, config).double()
    with torch.no_grad():
        for training in (True, False):
            set_mode(ours, "batch")
            ours.train(training)
            other.train(training)
            theirs.functional.reset_net(other)
            expected = other(x)
            assert expected.std() > 0.01
            torch.testing.assert_close(ours(x).mean(dim=0), expected, rtol=1e-9, atol=1e-9)
        fold(ours)
        torch.testing.assert_close(ours(x).mean(dim=0), expected, rtol=1e-9, atol=1e-9)


def test_a_step_at_a_time_is_the_same_neuron():
    x = torch.randn(6, 2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 3
    outputs, gradients = [], []
    for neuron in (LIF(SNAS_NEURON), SteppedLIF(SNAS_NEURON)):
        current = x.clone().requires_grad_()
        spikes = neuron(current) if isinstance(neuron, LIF) else torch.cat([neuron(step[None]) for step in current])
        (spikes * torch.arange(6.0).view(-1, 1, 1, 1, 1)).sum().backward()
        outputs.append(spikes.detach())
        gradients.append(current.grad)
    assert 0.05 < outputs[0].mean() < 0.95
    assert torch.equal(*outputs)
    torch.testing.assert_close(*gradients)


def test_layer_by_layer_and_step_by_step_agree_without_batch_statistics():
    matrix = parse(FORWARD)
    networks = [lively(SNASNet(config, matrix)).double() for config in (SMALL, STEPWISE)]
    x = images(5, SMALL).double()
    tallies = [Tally(), Tally()]
    with torch.no_grad():
        networks[0].train()(x)
        networks[1].load_state_dict(networks[0].state_dict())
        for network in networks:
            fold(network)
        logits = [network(x, tally) for network, tally in zip(networks, tallies, strict=True)]
    torch.testing.assert_close(*logits)
    assert tallies[0].operations() == tallies[1].operations()
    assert torch.equal(tallies[0].silent, tallies[1].silent)
    assert tallies[0].spikes.keys() == tallies[1].spikes.keys()
    for name, spikes in tallies[0].spikes.items():
        assert torch.equal(spikes, tallies[1].spikes[name]), name


@pytest.mark.parametrize("cell", [FORWARD, README_CELLS["cifar10"], "0001 0000 0000 0000"])
def test_operations_are_counted_where_they_happen(cell):
    """Non-zero inputs times the weights behind them; ACs behind neurons, MACs behind pixels and pooled spikes."""
    network = lively(SNASNet(STEPWISE, parse(cell)))
    x = images(4, SMALL)
    acs = macs = 0.0

    def count(module, inputs) -> None:
        nonlocal acs, macs
        x = (inputs[0] != 0).double()
        if isinstance(module, nn.Conv2d):
            done = float(F.conv2d(x, torch.ones_like(module.weight).double(), padding=module.padding).sum())
        else:
            done = float(x.sum()) * module.out_features
        if module in (network.stem.conv, network.fc1):
            macs += done
        else:
            assert set(inputs[0].unique().tolist()) <= {0.0, 1.0}  # whatever skip and pool edges carry
            acs += done

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(count)
    tally = Tally()
    set_mode(network, "batch")
    with torch.no_grad():
        network(x, tally)
    assert min(acs, macs) > 0
    assert tally.operations() == (acs, macs)


def test_every_neuron_layer_is_counted():
    network = lively(SNASNet(STEPWISE, parse(README_CELLS["cifar10"])))
    tally = Tally()
    with torch.no_grad():
        network.train()(images(4, SMALL), tally)
    edges = {"0-1", "0-3", "1-2", "2-0", "2-3", "3-1"}
    assert set(tally.spikes) == {f"cell{k}.{e}" for k in (1, 2) for e in edges} | {"down", "last", "hidden"}
    assert all(len(spikes) == SMALL.steps for spikes in tally.spikes.values())
    assert tally.neurons["cell1.2-0"] == 3 * 64
    assert tally.neurons["cell2.2-0"] == 6 * 16
    assert tally.neurons["hidden"] == 16


def test_an_edge_starts_from_the_same_weights_whatever_the_others_are():
    one, other = (SNASNet(SMALL, parse(cell), seed=5) for cell in (FORWARD, "0003 0000 0000 0000"))
    assert torch.equal(one.cell2.edges["0-3"].conv.conv.weight, other.cell2.edges["0-3"].conv.conv.weight)
    assert torch.equal(one.fc1.weight, other.fc1.weight)
    reseeded = SNASNet(SMALL, parse(FORWARD), seed=6)
    assert not torch.equal(one.fc1.weight, reseeded.fc1.weight)


def test_initial_weights_are_distributed_as_in_the_released_code():
    """kaiming_uniform_(a=2) and N(0, 0.01), the latter at the published size."""
    config = SNASConfig(width=256, channels=3, size=32, classes=10)
    network = SNASNet(config, parse("0001 0000 0000 0000"))
    assert float(network.fc1.weight.detach().std()) == pytest.approx(0.01, rel=0.01)
    assert float(network.fc2.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    weight = network.down.conv.conv.weight.detach()
    expected = nn.init.kaiming_uniform_(torch.empty_like(weight), a=2)
    assert float(weight.std()) == pytest.approx(float(expected.std()), rel=0.01)
    assert float(weight.abs().max()) == pytest.approx(float(expected.abs().max()), rel=0.01)


def test_global_random_numbers_are_left_alone():
    before = torch.get_rng_state()
    network = SNASNet(SNASConfig(**{**SMALL.__dict__, "dropout": 0.5}), parse(FORWARD))
    network.seed_dropout(1, torch.device("cpu"))
    network.train()(images(4, SMALL))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_drops_the_same_values_at_every_step():
    config = SNASConfig(**{**SMALL.__dict__, "dropout": 0.5})
    network = lively(SNASNet(config, parse(FORWARD)))
    record: dict[str, list[torch.Tensor]] = {}
    network.seed_dropout(1, torch.device("cpu"))
    with torch.no_grad():
        network.train()(images(64, config), record=record)
    pooled = torch.cat(record["pooled"])
    dropped = (pooled == 0).all(dim=0)
    plain: dict[str, list[torch.Tensor]] = {}
    off = lively(SNASNet(config, parse(FORWARD)))
    with torch.no_grad():
        off.train()(images(64, config), record=plain)
    active = torch.cat(plain["pooled"])
    assert 0.4 < float(dropped[(active > 0).any(dim=0)].float().mean()) < 0.6
    kept = ~dropped
    torch.testing.assert_close(pooled[:, kept], 2.0 * active[:, kept])


def test_backward_edges_need_steps():
    with pytest.raises(ValueError, match="step by step"):
        SNASNet(SMALL, parse(README_CELLS["cifar10"]))
