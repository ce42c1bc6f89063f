"""Conversion and the folded evaluation, against float64, plain loops and libraries nobody here wrote."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from snnbench.errors import SnnbenchError, UsageError
from snnbench.snn import folded as folding
from snnbench.snn.conversion import Converted, convert, percentiles, round_image, round_weights
from snnbench.snn.folded import Counts, FoldedNetwork
from snnbench.snn.integrate_and_fire import fire
from snnbench.snn.vgg import VGG, VGG15, VGGConfig, connect

CONFIG = VGGConfig("4-6p-5-6p|7-6", (2, 8, 8), 5)
STEPS, SAMPLES, CANDIDATES = 6, 23, 5


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return round_image(torch.randn(SAMPLES, *CONFIG.shape, generator=torch.Generator().manual_seed(1)).clamp_(-3, 3))


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.randint(0, 5, (SAMPLES,), generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def network(images) -> Converted:
    source = VGG(CONFIG, seed=3).eval()
    with torch.no_grad():
        for parameter, rounded in zip(source.weights, round_weights(list(source.weights), CONFIG, 3.0), strict=True):
            parameter.copy_(rounded)
    return convert(source, images, 99.0)


@pytest.fixture(scope="module")
def population(network) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    scales = 0.2 + 0.8 * torch.rand(CANDIDATES, len(network.thresholds), generator=generator)
    decays = 1.0 - 0.3 * torch.rand(CANDIDATES, len(network.thresholds), generator=generator)
    decays[0] = 1.0
    return scales * torch.tensor(network.thresholds), decays


def stepwise(network: Converted, thresholds, decays, images) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Readout (T, N, K) and spikes of every layer (T, N, ...): one candidate, step by step, layer by layer."""
    plan = network.config.layers()
    states = [torch.zeros(()) for _ in plan]
    spikes: list[list[torch.Tensor]] = [[] for _ in plan]
    answers = []
    for _ in range(STEPS):
        x = images
        for i, layer in enumerate(plan):
            h = states[i] * decays[i] + connect(x, network.weights[i], layer)
            x = (h >= thresholds[i]).float()
            states[i] = h - thresholds[i] * x
            spikes[i].append(x)
        answers.append(F.linear(x.flatten(1), network.weights[-1]))
    return torch.stack(answers), [torch.stack(layer) for layer in spikes]


def evaluate(network, population, images, labels, span=500) -> list[Counts]:
    return FoldedNetwork(network, STEPS, 0.6, span).evaluate(*population, images, labels)


def same(a: Counts, b: Counts) -> bool:
    x, y = a.readings, b.readings
    return (
        torch.equal(a.spikes, b.spikes)
        and torch.equal(x.correct, y.correct)
        and (a.acs, a.macs, x.loss, x.exit_steps, x.exit_correct, x.silent)
        == (b.acs, b.macs, y.loss, y.exit_steps, y.exit_correct, y.silent)
    )


def test_layout_of_vgg15():
    layers = VGGConfig(VGG15, (3, 32, 32), 100).layers()
    assert [layer.kind for layer in layers] == ["conv"] * 13 + ["linear"]
    assert [layer.shape[1] for layer in layers if layer.pooled] == [16, 8, 4, 2, 1]
    assert layers[-1].source == (512, 1, 1)
    weights = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128**2 + 128 * 256 + 2 * 256**2 + 256 * 512 + 5 * 512**2)
    assert sum(w.numel() for w in VGG(VGGConfig(VGG15, (3, 32, 32), 100)).weights) == weights + 512 * 4096 + 409_600


@pytest.mark.parametrize("layout", ["", "a", "4--4", "0", "4p-4p-4p-4p", "4|x", "-4"])
def test_malformed_layouts_are_refused(layout):
    with pytest.raises(UsageError, match="layout"):
        VGGConfig(layout, (1, 8, 8), 10).layers()


def test_the_source_is_the_network_that_pytorch_builds(images):
    source = VGG(CONFIG, seed=3).eval()
    w = source.weights
    plain = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=1, bias=False),
        nn.AvgPool2d(2),
        nn.ReLU(),
        nn.Conv2d(6, 5, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(5, 6, 3, padding=1, bias=False),
        nn.AvgPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 7, bias=False),
        nn.ReLU(),
        nn.Linear(7, 6, bias=False),
        nn.ReLU(),
        nn.Linear(6, 5, bias=False),
    )
    with torch.no_grad():
        for parameter, weight in zip(plain.parameters(), w, strict=True):
            parameter.copy_(weight)
        torch.testing.assert_close(source(images)[0], plain(images))


def test_dropout_drops_its_share_keeps_the_mean_and_leaves_torchs_generator_alone():
    source = VGG(VGGConfig("4", (1, 8, 8), 3, dropout=0.25), seed=0).train()
    before = torch.get_rng_state()
    y = source.dropout(torch.ones(400, 100))
    assert torch.equal(torch.get_rng_state(), before)
    assert float(y.eq(0).double().mean()) == pytest.approx(0.25, abs=0.01)
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])
    other = VGG(VGGConfig("4", (1, 8, 8), 3, dropout=0.25), seed=0).train()
    assert torch.equal(other.dropout(torch.ones(400, 100)), y)


def test_percentiles_are_those_of_sorted_float64_activations(images):
    source = VGG(CONFIG, seed=3).eval()
    x, expected = images.double(), []
    for layer, weight in zip(source.plan, source.weights, strict=False):
        x = connect(x, weight.detach().double(), layer).relu()
        values, q = np.sort(x.numpy().ravel()), 0.987
        place = q * (len(values) - 1)
        low = int(place)
        expected.append(values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low]))
    assert percentiles(source, images, 98.7) == pytest.approx(expected, rel=1e-5)


def test_thresholds_are_ratios_of_percentiles(images):
    source = VGG(CONFIG, seed=3).eval()
    levels = percentiles(source, images, 99.0)
    converted = convert(source, images, 99.0)
    assert converted.thresholds[0] == levels[0]
    np.testing.assert_allclose(np.cumprod(converted.thresholds), levels)
    assert converted.output_scale == levels[-1]


def test_a_silent_source_cannot_be_converted(images):
    source = VGG(CONFIG, seed=3).eval()
    with torch.no_grad():
        source.weights[2].zero_()
    with pytest.raises(SnnbenchError, match="layer 3 of the source is silent"):
        convert(source, images, 99.0)


def test_weights_that_are_not_finite_are_refused():
    weights = list(VGG(CONFIG).weights)
    with torch.no_grad():
        weights[1].view(-1)[0] = float("nan")
    with pytest.raises(SnnbenchError, match="not finite"):
        round_weights(weights, CONFIG, 3.0)


def test_rounding_is_fine_and_makes_every_sum_exact(network, images):
    original = [w.detach() for w in VGG(CONFIG, seed=3).weights]
    for weight, rounded in zip(original, network.weights, strict=True):
        # At worst a hundredth of a per cent of the largest weight: the first layer spends eight bits on the image.
        assert float((weight - rounded).abs().max()) < 1e-3 * float(weight.abs().max())
    spikes = torch.randint(0, 2, (50, 4, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    for x, weight, layer in zip((images, spikes), network.weights, network.config.layers(), strict=False):
        exact = connect(x.double(), weight.double(), layer)
        assert torch.equal(connect(x, weight, layer).double(), exact)
        shuffled = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(1))
        assert torch.equal(connect(x[:, shuffled], weight[:, shuffled], layer).double(), exact)


def test_without_rounding_sums_are_not_exact(images):
    """So that the test above means something."""
    weight, layer = VGG(CONFIG, seed=3).weights[0].detach(), CONFIG.layers()[0]
    assert not torch.equal(connect(images, weight, layer).double(), connect(images.double(), weight.double(), layer))


def test_soft_reset_keeps_what_is_above_the_threshold():
    x = torch.tensor([0.7, 0.7, 0.7, 2.5, 0.0]).view(5, 1, 1)
    v = torch.zeros(1, 1)
    spikes = fire(x, v, torch.tensor([[1.0]]), torch.tensor([[1.0]]), torch.empty(5, 1, 1))
    assert spikes.flatten().tolist() == [0, 1, 1, 1, 1]
    assert float(v) == pytest.approx(0.7 * 3 + 2.5 - 4.0)
    # A constant input below the threshold fires floor(t x / threshold) times.
    current = torch.tensor([0.125, 0.5, 0.75, 1.0])
    one = torch.tensor([[1.0]])
    spikes = fire(current.expand(40, 1, 4), torch.zeros(1, 4), one, one, torch.empty(40, 1, 4))
    assert spikes.sum(dim=0)[0].tolist() == [5, 20, 30, 40]


@pytest.mark.parametrize(("batch", "group", "dense"), [(1 << 20, 8, 2.0), (1 << 12, 2, 0.0), (1, 1, 1e9)])
def test_folded_equals_the_plain_loop_bit_for_bit(
    network, population, images, labels, monkeypatch, batch, group, dense
):
    monkeypatch.setattr(folding, "BATCH", batch)
    monkeypatch.setattr(folding, "GROUP", group)
    monkeypatch.setattr(folding, "DENSE", dense)
    found = evaluate(network, population, images, labels)
    for counts, thresholds, decays in zip(found, *population, strict=True):
        answers, spikes = stepwise(network, thresholds, decays, images)
        means = answers.cumsum(dim=0) / torch.arange(1, STEPS + 1)[:, None, None]
        expected = torch.stack([layer.double().flatten(1).sum(dim=1) for layer in spikes])
        assert torch.equal(counts.spikes, expected)
        top = means.topk(2, dim=2)
        silent = spikes[-1].flatten(2).sum(dim=(0, 2)).eq(0)
        right = (top.indices[..., 0] == labels) & (top.values[..., 0] > top.values[..., 1]) & ~silent
        assert counts.readings.correct.tolist() == right.sum(dim=1).tolist()
        assert counts.readings.silent == float(silent.sum())
        loss = F.cross_entropy(means[-1].double() * network.output_scale, labels, reduction="sum")
        assert counts.readings.loss == pytest.approx(float(loss), rel=1e-5)
    assert len({counts.readings.loss for counts in found}) == CANDIDATES
    assert all(counts.spikes.sum(dim=1).min() > 0 for counts in found)


def test_rows_do_not_depend_on_each_other(network, population, images, labels):
    together = evaluate(network, population, images, labels)
    order = torch.tensor([3, 0, 4, 2, 1, 3, 3, 0, 1, 2])
    shuffled = evaluate(network, tuple(part[order] for part in population), images, labels)
    for place, number in enumerate(order.tolist()):
        assert same(shuffled[place], together[number])
        alone = evaluate(network, tuple(part[number : number + 1] for part in population), images, labels)
        assert same(alone[0], together[number])


def test_results_do_not_depend_on_the_number_of_cores(network, population, images, labels, cores):
    cores(1)
    one = evaluate(network, population, images, labels)
    cores(3)
    assert all(same(a, b) for a, b in zip(one, evaluate(network, population, images, labels), strict=True))


def test_spans_of_samples_add_up(network, population, images, labels):
    whole = evaluate(network, population, images, labels)
    for a, b in zip(whole, evaluate(network, population, images, labels, span=7), strict=True):
        assert torch.equal(a.spikes, b.spikes)
        assert (a.acs, a.macs, a.readings.silent) == (b.acs, b.macs, b.readings.silent)
        assert torch.equal(a.readings.correct, b.readings.correct)
        assert a.readings.loss == pytest.approx(b.readings.loss)


def test_operations_are_non_zero_inputs_times_non_zero_weights(network, population, images, labels):
    found = evaluate(network, population, images, labels)
    plan = network.config.layers()
    for counts, thresholds, decays in zip(found[:2], *population, strict=False):
        _, spikes = stepwise(network, thresholds, decays, images)
        acs = 0.0
        for x, weight, layer in zip(spikes, network.weights[1:], [*plan[1:], None], strict=True):
            present, x = weight.ne(0).double(), x.double().flatten(0, 1)
            if layer is None or layer.kind == "linear":
                acs += float(F.linear(x.flatten(1), present).sum())
            else:
                acs += float(F.conv2d(x, present, padding=1).sum())
        assert counts.acs == acs
        macs = F.conv2d(images.ne(0).double(), network.weights[0].ne(0).double(), padding=1).sum()
        assert counts.macs == float(macs)


def test_operations_agree_with_neurobench(network, population, images, labels):
    models = pytest.importorskip("neurobench.models")
    workload = pytest.importorskip("neurobench.metrics.workload")
    _, spikes = stepwise(network, population[0][0], population[1][0], images)
    (counts,) = evaluate(network, tuple(part[:1] for part in population), images, labels)
    plan, total = network.config.layers(), 0.0
    for x, weight, layer in zip(spikes, network.weights[1:], [*plan[1:], None], strict=True):
        rows = x.flatten(0, 1)
        if layer is not None and layer.kind == "conv":
            module: nn.Module = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, bias=False)
        else:
            module, rows = nn.Linear(weight.shape[1], weight.shape[0], bias=False), rows.flatten(1)
        module.load_state_dict({"weight": weight})
        model = models.TorchModel(nn.Sequential(module))
        model.register_hooks()
        with torch.no_grad():
            result = workload.SynapticOperations()(model, model(rows), (rows, None))
        model.cleanup_hooks()
        assert result["Effective_MACs"] == 0
        total += float(result["Effective_ACs"]) * len(rows)
    assert counts.acs == pytest.approx(total)


def test_against_spikingjelly(network, population, images, labels, spikingjelly):
    """An independent network of its integrate-and-fire nodes: spikes of every layer and predictions of every step."""
    plan = network.config.layers()
    found = evaluate(network, (population[0], torch.ones_like(population[1])), images, labels)
    for counts, thresholds in zip(found, population[0].tolist(), strict=True):
        nodes = [spikingjelly.neuron.IFNode(v_threshold=threshold, v_reset=None) for threshold in thresholds]
        spikes, total, correct = torch.zeros(len(plan), STEPS), 0.0, []
        with torch.no_grad():
            for t in range(STEPS):
                x = images
                for i, (node, layer) in enumerate(zip(nodes, plan, strict=True)):
                    x = node(connect(x, network.weights[i], layer))
                    spikes[i, t] = x.sum()
                total = total + F.linear(x.flatten(1), network.weights[-1])
                top = total.topk(2, dim=1)
                right = (top.indices[:, 0] == labels) & (top.values[:, 0] > top.values[:, 1])
                correct.append(float(right.sum()))
        assert torch.equal(counts.spikes, spikes.double())
        assert counts.readings.correct.tolist() == correct
