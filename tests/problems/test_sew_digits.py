import json
import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from snnbench.data.loading import load
from snnbench.errors import UsageError
from snnbench.problem import Split
from snnbench.problems.sew import SEWDigits
from snnbench.snn.arrivals import arriving
from snnbench.snn.conversion import round_image
from snnbench.snn.grid import on_grid
from snnbench.snn.sew_resnet import SEWResNet
from snnbench.snn.tally import Tally
from snnbench.snn.weights import load_tensors


def checkpoints(problem) -> list[dict[str, torch.Tensor]]:
    folder = problem.context.cache_dir / "checkpoints" / problem.name
    loaded = [load_tensors(folder / record["file"]) for record in problem.describe()["checkpoints"]]
    assert None not in loaded
    return loaded  # type: ignore[return-value]


def test_the_standard_problem_has_the_size_it_is_frozen_with():
    problem = SEWDigits()
    assert problem.standard
    assert problem.dimension == 19_810
    assert problem.selected == ("error",)


def test_the_initial_design_decodes_to_the_checkpoints(digits):
    x = digits.initial(10)
    assert x.shape == (3, digits.dimension)
    assert x.dtype == torch.float32
    assert ((x > digits.space.lower) & (x < digits.space.upper)).all()
    network = SEWResNet(digits.network)
    for row, tensors in zip(x, checkpoints(digits)[1:], strict=True):
        network.load_state_dict(tensors)
        expected = torch.cat([p.detach().flatten() for p in network.parameters()])
        weights = digits._codec.decode(row, torch.empty_like(row))
        torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(digits.initial(2), x[:2])
    digits.initial(1).zero_()
    assert torch.equal(digits.initial(3), x)


def by_hand(config, tensors, data, calibration: int, split: Split) -> tuple[float, float]:
    """Error and loss of a checkpoint, its normalisation re-estimated by PyTorch's own batch normalisation.

    Of the stem, whose inputs are pixels, weights are on a coarse grid, which spikes feel; elsewhere the grids are too
    fine for that, and the weights those of the checkpoint.
    """
    network = SEWResNet(config)
    network.load_state_dict(tensors)
    stem, norm, inputs = network.stem.conv, network.stem.norm, arriving(data)
    grid = (inputs.largest, inputs.step, inputs.signed)
    own = stem.weight.detach().clone()
    seen: dict[nn.Module, int] = {}
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            module.register_forward_pre_hook(lambda m, x: seen.__setitem__(m, x[0].numel() // x[0].shape[1]))
    first = data.split("search")[0][:calibration]
    with torch.no_grad():
        stem.weight.copy_(on_grid(own, torch.zeros_like(norm.bias), *grid)[0])
        network.train()(round_image(data.standardize(data.to_unit(first))))
        for module, n in seen.items():
            module.running_var.mul_((n - 1) / n)  # it keeps the unbiased variance, and normalises by the other
        scale = (norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()).float()
        shift = (norm.bias - norm.running_mean * scale).float()
        weight, bias, _ = on_grid(own * scale[:, None, None, None], shift, *grid)
        stem.weight.copy_(weight)
        for tensor, value in ((norm.weight, 1.0), (norm.running_mean, 0.0), (norm.running_var, 1.0 - norm.eps)):
            tensor.fill_(value)
        norm.bias.copy_(bias)
        images, labels = data.split(split)
        answers = network.eval()(round_image(data.standardize(data.to_unit(images)))).mean(dim=0)
    error = 1 - (answers.argmax(dim=1) == labels).double().mean()
    return float(error), float(nn.functional.cross_entropy(answers, labels))


@pytest.mark.parametrize("split", get_args(Split))
def test_members_are_worth_what_their_checkpoints_are(digits, split):
    metrics = digits.measure(digits.initial(3), split)
    data = load("digits")
    for i, tensors in enumerate(checkpoints(digits)[1:]):
        error, loss = by_hand(digits.network, tensors, data, 64, split)
        # Folding rounds differently, which may flip a spike here and there.
        assert metrics["error"][i] == pytest.approx(error, abs=0.006)
        assert metrics["loss"][i] == pytest.approx(loss, rel=2e-3)
    assert len(set(metrics["loss"])) == 3


def test_members_know_something_and_a_random_network_does_not(digits):
    generator = torch.Generator().manual_seed(0)
    members = digits.evaluate(digits.initial(3)).fitness
    lost = digits.evaluate(digits.space.sample(2, generator)).fitness
    assert members.max() < 0.8
    assert members.max() < lost.min()


def test_the_source_knows_five_digits_and_members_share_its_body(digits):
    source, *members = checkpoints(digits)
    assert source["readout.fc.weight"].shape == (5, 16)
    assert all(member["readout.fc.weight"].shape == (10, 16) for member in members)
    source_recipe, *recipes = [record["recipe"] for record in digits.describe()["checkpoints"]]
    assert source_recipe["epochs"] == 2
    kinds = [(r["label_smoothing"], r["augmentation"]["mixup"], r["augmentation"]["erasing"]) for r in recipes]
    assert kinds == [(0.0, 0.0, 0.0), (0.0, 0.0, 0.25), (0.0, 0.1, 0.0)]
    distance = [float((m["stem.conv.weight"] - source["stem.conv.weight"]).norm()) for m in members]
    assert all(0 < d < float(source["stem.conv.weight"].norm()) for d in distance)


def test_the_second_preparation_trains_nothing(digits, make, cache):
    problem, stages = make(SEWDigits, cache)
    problem.prepare()
    assert not [stage for stage in stages.seen if "train" in stage or "tun" in stage]
    assert torch.equal(problem.initial(3), digits.initial(3))
    assert problem.describe() == digits.describe()
    assert problem.estimate().preparation == 0


def test_a_damaged_checkpoint_is_made_again_alone(digits, make, cache):
    record = digits.describe()["checkpoints"][2]
    path = cache / "checkpoints" / "sew-digits" / record["file"]
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)
    problem, stages = make(SEWDigits, cache)
    problem.prepare()
    assert {stage for stage in stages.seen if "train" in stage or "tun" in stage} == {"fine-tuning 1 members on digits"}
    assert problem.describe()["checkpoints"] == digits.describe()["checkpoints"]
    assert torch.equal(problem.initial(3), digits.initial(3))


def test_another_recipe_is_another_file(digits, make, cache):
    known = {record["file"] for record in digits.describe()["checkpoints"]}
    fewer, stages = make(SEWDigits, cache, members=2)
    fewer.prepare()
    assert not stages.seen
    assert {record["file"] for record in fewer.describe()["checkpoints"]} < known
    longer, stages = make(SEWDigits, cache, epochs=2, members=2)
    longer.prepare()
    assert {stage for stage in stages.seen if "train" in stage or "tun" in stage} == {"fine-tuning 2 members on digits"}
    files = [record["file"] for record in longer.describe()["checkpoints"]]
    assert files[0] in known
    assert not set(files[1:]) & known
    assert not longer.standard


def test_another_instance_shares_no_file(digits, make, tmp_path):
    other, _ = make(SEWDigits, tmp_path, instance=1, members=2, source_epochs=1, batch=128)
    other.prepare()
    mine = {record["sha256"] for record in digits.describe()["checkpoints"]}
    assert not mine & {record["sha256"] for record in other.describe()["checkpoints"]}


def test_splits_are_disjoint_and_complete(digits):
    parts = {split: {i.numpy().tobytes() for i in digits._samples[split][0]} for split in get_args(Split)}
    assert {split: len(digits._samples[split][1]) for split in parts} == digits.describe()["splits"]
    assert digits.describe()["splits"] == {"search": 1000, "validation": 400, "test": 397}
    assert not parts["search"] & parts["test"]
    assert not parts["search"] & parts["validation"]
    assert not parts["validation"] & parts["test"]


def test_description_is_plain_data(digits):
    description = json.loads(json.dumps(digits.describe(), allow_nan=False))
    assert description["official"] is True
    assert description["network"]["blocks"] == [1, 1, 1]
    assert description["data"]["target"]["split"] == "digits-1"
    assert description["energy_model"] == "horowitz-45nm/1"
    assert len(description["checkpoints"]) == 4
    assert all(len(record["sha256"]) == 64 for record in description["checkpoints"])


def test_every_objective_can_be_minimised(digits, make, cache):
    names = tuple(SEWDigits.objectives)
    assert "etc_loss" in names
    problem, _ = make(SEWDigits, cache, names)
    problem.prepare()
    result = problem.evaluate(problem.initial(2))
    assert result.objectives.shape == (2, len(names))
    assert result.objectives.isfinite().all()
    for column, name in zip(result.objectives.T, names, strict=True):
        np.testing.assert_allclose(column, result.metrics[name])
    references = problem.reference_points()
    assert set(references) == set(names)
    for name, (ideal, worst) in references.items():
        assert ideal < worst
        assert (result.metrics[name] >= ideal).all(), name
        if name not in ("loss", "etc_loss"):  # a network can do worse than chance
            assert (result.metrics[name] <= worst).all(), name


@pytest.mark.parametrize("blocks", ["1", "1-2", "2-1-1"])
def test_reference_points_price_every_neuron_and_operation(make, tmp_path, blocks):
    problem, _ = make(SEWDigits, tmp_path, blocks=blocks, steps=3)
    tally = Tally()
    with torch.no_grad():
        SEWResNet(problem.network)(torch.rand(2, 1, 8, 8), tally)
    references = problem.reference_points()
    assert references["spikes"] == (0.0, 3.0 * sum(tally.neurons.values()))
    assert references["loss"] == (0.0, math.log(10))
    assert references["latency"] == (1.0, 3.0)
    assert references["energy"][1] == pytest.approx(4.6e-3 * references["synops"][1])


def test_one_step_and_one_pixel_have_reference_points(make, tmp_path):
    problem, _ = make(SEWDigits, tmp_path, blocks="1-1-1-1", steps=1)
    assert problem.reference_points()["synops"][1] > 0


@pytest.mark.parametrize("settings", [{}, {"chunk": 1}, {"search_samples": 3}, {"chunk": 4, "width": 1}])
def test_the_estimate_is_positive(make, tmp_path, settings):
    problem, _ = make(SEWDigits, tmp_path, **settings)
    estimate = problem.estimate()
    assert estimate.preparation > 0
    assert estimate.evaluation > 0
    assert estimate.memory > 0
    assert estimate.dimension == problem.dimension
    assert not list(tmp_path.rglob("*.safetensors"))


def test_fewer_search_samples_change_the_search_only(digits, make, cache):
    few, _ = make(SEWDigits, cache, search_samples=100)
    few.prepare()
    assert few.describe()["splits"] == {"search": 100, "validation": 400, "test": 397}
    x = digits.initial(2)
    assert few.measure(x, "search")["cost"].tolist() == [400, 400]
    assert few.measure(x, "test")["loss"].tolist() == digits.measure(x, "test")["loss"].tolist()
    tight, _ = make(SEWDigits, cache, search_samples=5000)
    with pytest.raises(UsageError, match="search_samples=5000, but the split has 1000"):
        tight.prepare()


@pytest.mark.parametrize("blocks", ["", "a", "1-0", "1,1", "1--1", "-1"])
def test_malformed_blocks_are_refused(make, tmp_path, blocks):
    with pytest.raises(UsageError, match="blocks must look like"):
        make(SEWDigits, tmp_path, blocks=blocks)[0].dimension  # noqa: B018


def test_too_many_stages_are_refused(make, tmp_path):
    with pytest.raises(UsageError, match="too often"):
        make(SEWDigits, tmp_path, blocks="1-1-1-1-1")[0].dimension  # noqa: B018


def test_nothing_is_known_before_preparation(make, tmp_path):
    problem, _ = make(SEWDigits, tmp_path)
    with pytest.raises(RuntimeError, match="prepare"):
        problem.initial(1)
    with pytest.raises(RuntimeError, match="prepare"):
        problem.space  # noqa: B018


def test_training_that_diverges_is_one_line(make, tmp_path, monkeypatch):
    from snnbench.errors import SnnbenchError
    from snnbench.snn import transfer

    def explode(network, *_):
        with torch.no_grad():
            network.stem.conv.weight.fill_(float("nan"))

    monkeypatch.setattr(transfer, "_train", explode)
    problem, _ = make(SEWDigits, tmp_path)
    with pytest.raises(SnnbenchError, match="source model diverged"):
        problem.prepare()
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_gradient_leads_downhill(digits):
    generator = torch.Generator().manual_seed(3)
    x = digits.initial(1)[0]
    n = digits.samples
    assert n == len(digits._samples["search"][1])
    loss, gradient = digits.gradient(x, n, generator)
    assert gradient.shape == (digits.dimension,)
    lower, _ = digits.gradient(x - 0.05 * gradient / gradient.norm() * x.norm(), n, generator)
    assert lower < loss
    few = [digits.gradient(x, 32, torch.Generator().manual_seed(seed))[0] for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
