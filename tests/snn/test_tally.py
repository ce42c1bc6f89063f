"""Counting against NeuroBench, against brute force, and against hooks."""

import pytest
import torch
from torch import nn

from snnbench.snn.layers import set_mode
from snnbench.snn.neuron import LIF
from snnbench.snn.sew_resnet import SEWConfig
from snnbench.snn.tally import Tally, dense_operations


def bits(*shape: int, seed: int = 0, share: float = 0.3) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share).float()


def neurobench_operations(network: nn.Module, x: torch.Tensor) -> tuple[float, float]:
    """NeuroBench's effective ACs and MACs of one call, summed over samples."""
    models = pytest.importorskip("neurobench.models")
    workload = pytest.importorskip("neurobench.metrics.workload")
    model = models.TorchModel(network)
    model.register_hooks()
    metric = workload.SynapticOperations()
    with torch.no_grad():
        result = metric(model, model(x), (x, None))
    model.cleanup_hooks()
    return float(result["Effective_ACs"]) * len(x), float(result["Effective_MACs"]) * len(x)


def brute_force(module: nn.Module, x: torch.Tensor) -> tuple[float, float]:
    """ACs and MACs of one connection, one output element and one tap at a time."""
    ac = mac = 0
    weight = module.weight.detach()
    if isinstance(module, nn.Linear):
        rows = [(v, weight[:, j].count_nonzero()) for sample in x for j, v in enumerate(sample)]
    else:
        (ph, pw), (sh, sw) = module.padding, module.stride
        _, _, kh, kw = weight.shape
        padded = nn.functional.pad(x, (pw, pw, ph, ph))
        height, width = padded.shape[2:]
        rows = []
        for sample in padded:
            for top in range(0, height - kh + 1, sh):
                for left in range(0, width - kw + 1, sw):
                    for c in range(sample.shape[0]):
                        for i in range(kh):
                            for j in range(kw):
                                rows.append((sample[c, top + i, left + j], weight[:, c, i, j].count_nonzero()))
    for value, fan_out in rows:
        if value.abs() == 1:
            ac += int(fan_out)
        elif value != 0:
            mac += int(fan_out)
    return ac, mac


def sparse(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with every other weight zero or so."""
    with torch.no_grad():
        module.weight.mul_(bits(*module.weight.shape, seed=seed, share=0.6))
    return module


class Chain(nn.Module):
    """Convolutions and a linear layer with thresholds between them, so that every input is binary."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = sparse(nn.Conv2d(2, 5, 3, stride=2, padding=1))
        self.conv2 = nn.Conv2d(5, 4, 5, stride=1, padding=0)
        self.conv3 = sparse(nn.Conv2d(4, 6, (1, 3), stride=(1, 2), padding=(0, 2)), seed=1)
        self.fc = sparse(nn.Linear(6 * 2 * 2, 7))

    def forward(self, x: torch.Tensor, tally: Tally | None = None) -> torch.Tensor:
        for layer in (self.conv1, self.conv2, self.conv3, self.fc):
            x = x.flatten(1) if layer is self.fc else x
            if tally is not None:
                tally.connection(layer, x)
            x = (layer(x) > 0).float()
        return x


def test_a_convolutional_net_agrees_with_neurobench():
    torch.manual_seed(0)
    network, x = Chain(), bits(8, 2, 11, 11)  # NeuroBench divides by 8, exactly
    tally = Tally()
    with torch.no_grad():
        network(x, tally)
    acs, macs = tally.operations()
    assert (acs, macs) == neurobench_operations(network, x)
    assert acs > 1000
    assert macs == 0


def test_a_spiking_resnet_agrees_with_neurobench(make_network):
    """One block: every input is binary but the pooled one of the readout."""
    frames = bits(4, 6, 2, 8, 8)  # NeuroBench divides by 4, exactly
    network = make_network(SEWConfig((1,), 4, 2, 10), frames)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                sparse(module)
    set_mode(network, "batch")  # NeuroBench sees modules, which folding goes past
    network.eval()
    tally = Tally()
    with torch.no_grad():
        network(frames, tally)
    acs, macs = tally.operations()
    theirs = neurobench_operations(network, frames)
    assert (acs, macs) == theirs
    assert acs > 1000
    assert macs > 0


def test_the_sum_of_both_agrees_with_neurobench_where_spikes_add_up(config, make_network):
    """Counts of 2 turn NeuroBench's whole call into MACs, so only the sum can agree."""
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    network = make_network(config, images)
    set_mode(network, "batch")
    network.eval()
    tally = Tally()
    with torch.no_grad():
        network(images, tally)
    assert sum(tally.operations()) == sum(neurobench_operations(network, images))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 3, 3, stride=2, padding=1),
        nn.Conv2d(2, 3, 3, stride=1, padding=0, bias=False),
        nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(1, 0)),
        nn.Conv2d(2, 3, 1, stride=2),
        nn.Linear(50, 4),
    ],
)
def test_inputs_of_all_kinds_agree_with_brute_force(module, share):
    generator = torch.Generator().manual_seed(1)
    x = torch.tensor([-2.0, -1.0, 0.0, 0.0, 0.5, 1.0, 1.0, 2.0])[torch.randint(0, 8, (3, 2, 5, 5), generator=generator)]
    with torch.no_grad():
        module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
        module.weight.mul_(bits(*module.weight.shape, share=share))
    if isinstance(module, nn.Linear):
        x = x.flatten(1)
    tally = Tally()
    for part in (x[:1], x[1:]):
        tally.connection(module, part)
    assert tally.operations() == brute_force(module, x)
    analog = Tally()
    analog.connection(module, x, analog=True)
    assert analog.operations() == (0.0, sum(brute_force(module, x)))


def test_reading_maps_of_spikes_changes_no_count(config, make_network):
    """The tally reuses what it summed over a layer's spikes; recounting every input gives the same."""
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    network = make_network(config, images)
    set_mode(network, "batch")
    network.eval()
    tally, again = Tally(), Tally()
    handles = [
        m.register_forward_pre_hook(
            lambda module, inputs: again.connection(
                module, inputs[0].flatten(0, -2) if isinstance(module, nn.Linear) else inputs[0]
            )
        )
        for name, m in network.named_modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        network(images, tally)
        for handle in handles:
            handle.remove()
    first, second = tally.operations(), again.operations()
    assert sum(first) == sum(second)
    # Pixels and pooled spikes are analog to us even where one happens to be 1.
    assert first[0] <= second[0] <= first[0] * 1.2


def test_spikes_agree_with_hooks_and_chunks_add_up(config, make_network):
    images = torch.randn(11, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    network = make_network(config, images)
    names = {module: name for name, module in network.named_modules() if isinstance(module, LIF)}
    seen: dict[str, torch.Tensor] = {}
    handles = [m.register_forward_hook(lambda m, _, out: seen.__setitem__(names[m], out.clone())) for m in names]
    whole, parts = Tally(), Tally()
    with torch.no_grad():
        network(images, whole)
        for handle in handles:
            handle.remove()
        for part in images.split(4):
            tally = Tally()
            network(part, tally)
            parts.add(tally)
    expected = {
        "stem": seen["stem_neuron"],
        "stage1.0.neuron1": seen["blocks.0.neuron1"],
        "stage1.0.neuron2": seen["blocks.0.neuron2"],
        "stage2.0.neuron1": seen["blocks.1.neuron1"],
        "stage2.0.neuron2": seen["blocks.1.neuron2"],
        "stage2.0.shortcut": seen["blocks.1.shortcut_neuron"],
    }
    assert set(whole.spikes) == set(expected)
    for name, spikes in expected.items():
        assert whole.spikes[name].tolist() == spikes.flatten(1).sum(dim=1).tolist()
        assert parts.spikes[name].tolist() == whole.spikes[name].tolist()
        assert whole.neurons[name] == parts.neurons[name] == spikes[0, 0].numel()
    assert parts.operations() == whole.operations()


def test_dense_operations_agree_with_brute_force(config, make_network):
    image = torch.ones(1, 1, 8, 8)
    network = make_network(config, torch.randn(4, 1, 8, 8))
    expected = 0.0
    inputs = {"stem": (1, 8), "blocks.0.conv1": (4, 8), "blocks.0.conv2": (4, 8), "blocks.1.conv1": (4, 8)}
    inputs |= {"blocks.1.conv2": (8, 4), "blocks.1.shortcut": (4, 8)}
    for name, (channels, side) in inputs.items():
        conv = network.get_submodule(f"{name}.conv")
        expected += sum(brute_force(conv, torch.ones(1, channels, side, side)))
    expected += 8 * 10
    set_mode(network, "batch")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert dense_operations(network, image, config.steps) == config.steps * expected
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_dense_operations_need_one_image_and_one_step_only():
    """The last stage has one pixel then: too little for batch statistics."""
    from snnbench.snn.sew_resnet import SEWResNet

    network = SEWResNet(SEWConfig((1, 1, 1, 1), 2, 1, 10, steps=1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert dense_operations(network, torch.zeros(1, 1, 8, 8), 1) > 0
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_no_effective_operation_exceeds_the_dense_ones(config, make_network):
    images = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    network = make_network(config, images)
    tally = Tally()
    with torch.no_grad():
        network(images, tally)
    set_mode(network, "batch")
    assert 0 < sum(tally.operations()) / 7 < dense_operations(network, images[:1], config.steps)
