"""`threshold-*`: thresholds of a converted network; plain, attacked and hybrid members."""

import json
import math
from typing import get_args

import numpy as np
import pytest
import torch

from snnbench.data.loading import load
from snnbench.errors import SnnbenchError, UsageError
from snnbench.parameters import resolve
from snnbench.problem import Context, Split
from snnbench.problems.threshold import ThresholdCifar100, ThresholdDigits, ThresholdProblem, settled
from snnbench.problems.threshold_attacked import ThresholdDigitsAttacked
from snnbench.problems.threshold_hybrid import ThresholdDigitsHybrid
from snnbench.snn.folded import FoldedNetwork
from snnbench.snn.vgg import VGG
from snnbench.snn.weights import load_tensors

TINY = {"layout": "6p-8-8p|10", "epochs": 8, "steps": 6}
MEMBERS = (ThresholdDigits, ThresholdDigitsAttacked, ThresholdDigitsHybrid)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def make(folder):
    """``make(ThresholdDigits, steps=4)``: a problem that shares its cache with the others of this file, unprepared."""

    def build(cls: type[ThresholdProblem], objectives: tuple[str, ...] = (), cache=None, data=None, **settings):
        stages: list[str] = []
        context = Context(
            cache_dir=cache or folder, data_dir=data, progress=lambda stage, done, total: stages.append(stage)
        )
        return cls(resolve(cls.Parameters, TINY | settings, cls.name), objectives, context), stages

    return build


@pytest.fixture(scope="module")
def digits(make):
    problem, _ = make(ThresholdDigits)
    problem.prepare()
    return problem


@pytest.fixture(scope="module")
def attacked(digits, make):
    problem, _ = make(ThresholdDigitsAttacked, epsilon=0.15)
    problem.prepare()
    return problem


@pytest.fixture(scope="module")
def hybrid(digits, make):
    problem, _ = make(ThresholdDigitsHybrid, tune_epochs=1, tune_samples=150)
    problem.prepare()
    return problem


def points(problem, n: int = 5, seed: int = 0) -> torch.Tensor:
    return problem.space.sample(n, torch.Generator().manual_seed(seed))


def test_the_frozen_versions():
    assert ThresholdDigits().dimension == 8
    assert ThresholdCifar100().dimension == 14
    assert ThresholdCifar100().parameters.steps == 80
    problem = ThresholdDigits(resolve(ThresholdDigits.Parameters, {"leaks": True}, "x"))
    assert problem.dimension == 16
    assert not problem.standard


def test_coordinates_are_factors_on_the_untuned_thresholds(digits):
    values = {"scale_1": [0.2, 1.5], "scale_2": [1.0, 0.5], "scale_3": [0.3, 0.3], "scale_4": [1.5, 1.0]}
    thresholds, decays = digits.neurons_of(digits.space.encode(values))
    expected = np.stack(list(values.values()), axis=1) * digits.converted.thresholds
    np.testing.assert_allclose(thresholds, expected, rtol=1e-5)
    assert decays.eq(1.0).all()
    # A logarithmic scale: the middle of the box is the geometric mean of its ends.
    middle, _ = digits.neurons_of(torch.full((1, 4), 0.5))
    np.testing.assert_allclose(middle[0], math.sqrt(0.2 * 1.5) * np.array(digits.converted.thresholds), rtol=1e-5)


def test_the_design_starts_with_the_untuned_conversion(digits):
    x = digits.initial(10)
    assert x.shape == (1, digits.dimension)
    thresholds, _ = digits.neurons_of(x)
    np.testing.assert_allclose(thresholds[0], digits.converted.thresholds, rtol=1e-5)
    assert digits.initial(0).shape == (0, digits.dimension)


def test_leaks_make_potentials_decay(digits, make):
    leaky, stages = make(ThresholdDigits, leaks=True)
    leaky.prepare()
    assert not stages
    x = points(digits)
    same = leaky.measure(torch.cat([x, torch.zeros_like(x)], dim=1), "search")
    np.testing.assert_array_equal(same["accuracy"], digits.measure(x, "search")["accuracy"])
    _, decays = leaky.neurons_of(torch.cat([x, torch.ones_like(x)], dim=1))
    assert decays.eq(0.5).all()
    assert leaky.measure(torch.cat([x, torch.ones_like(x)], dim=1), "search")["spikes"].max() < same["spikes"].max()
    assert leaky.neurons_of(leaky.initial(1))[1].eq(1.0).all()


def test_the_source_learns_from_samples_that_no_candidate_is_scored_on(digits):
    data = load("digits")
    known = {image.numpy().tobytes() for image in digits._learnt[0]}
    parts = {split: {i.numpy().tobytes() for i in digits._images[split][0]} for split in get_args(Split)}
    assert (len(digits._learnt[0]), {split: len(digits._images[split][1]) for split in parts}) == (
        600,
        {"search": 400, "validation": 400, "test": 397},
    )
    assert not any(known & part for part in parts.values())
    assert known | parts["search"] == {image.numpy().tobytes() for image in data.split("search")[0]}
    assert parts["test"] == {image.numpy().tobytes() for image in data.split("test")[0]}
    counts = torch.bincount(digits._images["search"][1])
    assert counts.min() >= 36  # classes in proportion


def test_the_source_knows_digits_and_reference_lines_say_how_well(digits):
    lines = digits.reference_lines()
    path = digits.context.cache_dir / "checkpoints" / "threshold-digits" / digits.describe()["checkpoints"][0]["file"]
    network = VGG(digits.network).eval()
    network.load_state_dict(load_tensors(path))
    images, labels = load("digits").split("test")
    with torch.no_grad():
        answers = network(digits.network_input(images))[0]
    error = float((answers.argmax(dim=1) != labels).double().mean())
    assert lines["source network (ANN)"]["error"] == pytest.approx(error, abs=1e-12)
    assert error < 0.2
    untuned = digits.measure(digits.initial(1), "test")
    assert lines["untuned conversion"]["error"] == untuned["error"][0]
    assert untuned["error"][0] > error + 0.1
    assert all(isinstance(v, float) for line in lines.values() for v in line.values())


def test_with_enough_steps_the_conversion_is_the_source(digits, make):
    patient, _ = make(ThresholdDigits, steps=150, percentile=100.0)
    patient.prepare()
    metrics = patient.measure(patient.initial(1), "test")
    lines = patient.reference_lines()
    assert metrics["error"][0] == pytest.approx(lines["source network (ANN)"]["error"], abs=0.02)
    assert metrics["loss"][0] == pytest.approx(lines["source network (ANN)"]["loss"], rel=0.1)
    assert 1 < metrics["ann_latency"][0] < 150


def test_tuning_pays(digits):
    errors = digits.measure(points(digits, 40), "search")["error"]
    assert errors.min() < digits.measure(digits.initial(1), "search")["error"][0] - 0.1


def test_settled_is_the_first_step_of_the_last_stretch():
    assert settled(np.array([True, True])) == 1
    assert settled(np.array([False, True, True])) == 2
    assert settled(np.array([True, False, True, False, True])) == 5
    assert settled(np.array([False, False])) == 2


def test_early_error_is_read_from_the_same_curve(digits):
    x = digits.space.sample(3, torch.Generator().manual_seed(4))
    metrics = digits.measure(torch.cat([digits.initial(1), x]), "search")
    early = digits.parameters.early
    assert 1 <= early < digits.parameters.steps
    assert metrics["early_error"].tolist() == (1 - metrics["accuracy"][:, early - 1]).tolist()
    assert (metrics["early_error"] != metrics["error"]).any()


def test_ann_latency_reads_the_accuracy_curve(digits):
    metrics = digits.measure(points(digits, 20), "validation")
    needed = 1 - digits._source_metrics["validation"]["error"] - digits.parameters.delta
    for curve, latency in zip(metrics["accuracy"], metrics["ann_latency"], strict=True):
        t = int(latency)
        assert t == 6 or (curve[t - 1 :] >= needed).all()
        assert t == 1 or t == 6 or curve[t - 2] < needed
    loose = digits.parameters.delta
    assert loose == 0.01


@pytest.mark.parametrize("cls", MEMBERS)
def test_rows_depend_on_their_candidate_only(cls, request):
    problem = request.getfixturevalue({ThresholdDigits: "digits"}.get(cls, cls.name.split("-")[-1]))
    x = points(problem, 3)
    together = problem.measure(x, "search")
    backwards = problem.measure(x.flip(0), "search")
    alone = problem.measure(x[1:2], "search")
    for name, values in together.items():
        np.testing.assert_array_equal(values, backwards[name][::-1], err_msg=name)
        np.testing.assert_array_equal(values[1:2], alone[name], err_msg=name)


@pytest.mark.parametrize("cls", MEMBERS)
def test_objectives_lie_between_their_reference_points(cls, request):
    problem = request.getfixturevalue({ThresholdDigits: "digits"}.get(cls, cls.name.split("-")[-1]))
    metrics = problem.measure(points(problem, 4, seed=1), "validation")
    references = problem.reference_points()
    assert set(references) == set(problem.objectives)
    for name, (ideal, worst) in references.items():
        assert ideal < worst
        assert (metrics[name] >= ideal).all(), name
        if name != "loss":  # a network can do worse than chance
            assert (metrics[name] <= worst).all(), name
    description = json.loads(json.dumps(problem.describe(), allow_nan=False))
    assert description["official"] is True
    assert len(description["checkpoints"][0]["sha256"]) == 64


def test_reference_points_are_reached_by_a_network_that_always_fires(digits):
    """All weights positive, thresholds tiny, every pixel on: every operation happens."""
    from dataclasses import replace

    always = replace(digits.converted, weights=tuple(torch.ones_like(w) for w in digits.converted.weights))
    (counts,) = FoldedNetwork(always, 6, 0.9).evaluate(
        torch.full((1, 4), 1e-3), torch.ones(1, 4), torch.ones(3, 1, 8, 8), torch.zeros(3, dtype=torch.int64)
    )
    references = digits.reference_points()
    assert references["spikes"][1] == float(counts.spikes.sum()) / 3
    assert references["synops"][1] == (counts.acs + counts.macs) / 3
    assert references["energy"][1] == pytest.approx((0.9 * counts.acs + 4.6 * counts.macs) / 3e3)


def test_the_second_preparation_trains_nothing_and_a_damaged_checkpoint_is_made_again(make, tmp_path):
    first, stages = make(ThresholdDigits, cache=tmp_path, epochs=2)
    first.prepare()
    assert {stage for stage in stages if "train" in stage} == {"training the source network on digits"}
    again, stages = make(ThresholdDigits, cache=tmp_path, epochs=2)
    assert again.estimate().preparation == 0
    again.prepare()
    assert not stages
    assert again.describe() == first.describe()
    (path,) = (tmp_path / "checkpoints" / "threshold-digits").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"\x00\x01")
    repaired, stages = make(ThresholdDigits, cache=tmp_path, epochs=2)
    repaired.prepare()
    assert stages
    assert repaired.describe() == first.describe()
    other, _ = make(ThresholdDigits, cache=tmp_path, epochs=2, instance=1)
    other.prepare()
    assert other.describe()["checkpoints"][0]["sha256"] != first.describe()["checkpoints"][0]["sha256"]


def test_training_that_diverges_is_one_line(make, tmp_path):
    problem, _ = make(ThresholdDigits, cache=tmp_path, lr=10.0, epochs=3)
    with pytest.raises(SnnbenchError, match=r"diverged|silent"):
        problem.prepare()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"held": 1000}, "held=1000, but the search split has 1000 samples"),
        ({"search_samples": 401}, "search_samples=401"),
        ({"train_samples": 601}, "train_samples=601"),
        ({"layout": "6p-x"}, "a layout must look like"),
        ({"layout": "6p-6p-6p-6p"}, "halves 8 pixels too often"),
    ],
)
def test_impossible_settings_are_one_line(make, tmp_path, settings, message):
    problem, _ = make(ThresholdDigits, cache=tmp_path, **settings)
    with pytest.raises(UsageError, match=message):
        problem.prepare()


@pytest.mark.parametrize("cls", MEMBERS)
def test_nothing_is_measured_before_preparation_but_the_estimate_is(make, tmp_path, cls):
    problem, _ = make(cls, cache=tmp_path)
    estimate = problem.estimate()
    assert min(estimate.preparation, estimate.evaluation, estimate.memory) > 0
    assert estimate.dimension == 4
    assert not list(tmp_path.rglob("*.safetensors"))
    with pytest.raises(RuntimeError, match="prepare"):
        problem.measure(problem.initial(1), "search")


def test_attacks_are_bounded_and_lower_the_sources_accuracy(attacked, digits):
    for split, (images, labels) in attacked._images.items():
        clean = attacked.data.to_unit(digits._images[split][0])
        fgsm = attacked._beside[split]["fgsm"][0]
        for changed in (images, fgsm):
            assert float((changed - clean).abs().max()) <= 0.15 + 1e-6
            assert float(changed.min()) >= 0
            assert float(changed.max()) <= 1
        assert torch.equal(labels, digits._images[split][1])
        with torch.no_grad():
            right = [
                float((attacked._source(attacked.network_input(x))[0].argmax(dim=1) == labels).double().mean())
                for x in (clean, fgsm, images)
            ]
        assert right[0] > right[1] + 0.05
        assert right[0] > right[2] + 0.05
        assert attacked._source_metrics[split]["error"] == pytest.approx(1 - right[2], abs=1e-9)


def test_attacked_members_measure_clean_and_fgsm_beside(attacked, digits):
    x = points(digits, 6)
    metrics = attacked.measure(x, "test")
    np.testing.assert_array_equal(metrics["clean_error"], digits.measure(x, "test")["error"])
    best = metrics["clean_error"].argmin()
    assert metrics["clean_error"][best] < metrics["fgsm_error"][best]
    assert metrics["clean_error"][best] < metrics["error"][best]
    assert metrics["cost"][0] == 3 * 397 * 6
    line = attacked.reference_lines()["source network (ANN)"]
    assert line["clean_error"] == digits.reference_lines()["source network (ANN)"]["error"]
    assert line["clean_error"] < line["fgsm_error"]


def test_attacked_images_are_made_once(attacked, make):
    again, stages = make(ThresholdDigitsAttacked, epsilon=0.15)
    again.prepare()
    assert not stages
    assert again.describe() == attacked.describe()
    stronger, stages = make(ThresholdDigitsAttacked, epsilon=0.3)
    stronger.prepare()
    assert {stage.split()[0] for stage in stages} == {"attacking"}


def test_hybrid_training_helps_and_starts_from_the_converted_network(hybrid, digits, monkeypatch):
    x = points(digits, 3, seed=2)
    before, after = digits.measure(x, "test"), hybrid.measure(x, "test")
    assert after["loss"].mean() < before["loss"].mean()
    assert after["cost"][0] == 397 * 6 + 150 * 6
    monkeypatch.setattr("snnbench.problems.threshold_hybrid.train", lambda *_: 0.0)
    untrained = hybrid.measure(x, "test")
    np.testing.assert_array_equal(untrained["accuracy"], before["accuracy"])
    np.testing.assert_array_equal(untrained["spikes"], before["spikes"])


def test_hybrid_training_does_not_depend_on_torchs_generator(hybrid):
    x = points(hybrid, 1)
    torch.manual_seed(1)
    first = hybrid.measure(x, "search")["loss"]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    np.testing.assert_array_equal(hybrid.measure(x, "search")["loss"], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_hybrid_training_that_diverges_is_a_failed_evaluation(digits, make, monkeypatch):
    problem, _ = make(ThresholdDigitsHybrid, ("error", "energy"), tune_epochs=1, tune_samples=50)
    problem.prepare()

    def explode(network, *_):
        with torch.no_grad():
            network.weights[0].fill_(float("nan"))

    monkeypatch.setattr("snnbench.problems.threshold_hybrid.train", explode)
    result = problem.evaluate(problem.initial(1))
    assert result.failures == ("training diverged: weights are not finite",)
    assert result.objectives.isinf().all()
    assert not any(np.isnan(v).any() for v in result.metrics.values() if v.dtype.kind == "f")


def test_cifar_members_run_on_files_in_the_official_format(make, photographs, tmp_path):
    small = {"layout": "4p-4p-4p|8", "epochs": 1, "steps": 3, "held": 60, "batch": 20, "calibration": 30}
    problem = ThresholdCifar100(
        resolve(ThresholdCifar100.Parameters, small, "x"), context=Context(cache_dir=tmp_path, data_dir=photographs)
    )
    with pytest.warns(UserWarning, match="not the official data"):
        problem.prepare()
    metrics = problem.measure(points(problem, 2), "test")
    assert metrics["accuracy"].shape == (2, 3)
    assert not problem.describe()["official"]
