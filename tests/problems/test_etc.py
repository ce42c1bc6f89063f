import json
from typing import get_args

import numpy as np
import pytest
import torch

from snnbench.errors import UsageError
from snnbench.parameters import resolve
from snnbench.problem import Context, Split
from snnbench.problems.etc import RELEASED, ETCCifar10, ETCDigits, ETCDVSCifar10, ETCEvents, ETCNCaltech101
from snnbench.snn.sew_resnet import SEWResNet
from snnbench.snn.tally import Tally
from snnbench.snn.vgg_snn import VGGSNN

TINY = {"width": 3, "epochs": 1, "train_samples": 100, "held_samples": 50}
EVENTS = {"network": "3p-4p", "epochs": 1, "train_samples": 100, "held_samples": 50}
SMALL = {ETCDigits: TINY, ETCEvents: EVENTS}
ORDINARY = RELEASED | {"lr": 0.3, "steps_train": 4, "steps_inference": 3}


def make(cls=ETCDigits, objectives=(), constraints=(), data=None, cache=None, **settings):
    context = Context(data_dir=data, cache_dir=cache) if cache else Context()
    problem = cls(resolve(cls.Parameters, settings, cls.name), objectives, context, constraints)
    problem.prepare()
    return problem


@pytest.fixture(scope="module", params=[ETCDigits, ETCEvents])
def small(request):
    return make(request.param, **SMALL[request.param])


def points(problem, *changes) -> torch.Tensor:
    rows = [ORDINARY | change for change in changes]
    return problem.space.encode({name: [row[name] for row in rows] for name in ORDINARY})


def test_the_initial_design_is_the_released_setting():
    for problem, steps in ((ETCDigits(), 4), (ETCCifar10(), 4), (ETCEvents(), 6), (ETCDVSCifar10(), 10)):
        assert problem.standard
        x = problem.initial(3)
        assert x.shape == (1, problem.dimension)
        values = {name: float(v[0]) for name, v in problem.space.decode(x).items()}
        for name, value in RELEASED.items():
            assert values[name] == pytest.approx(value, rel=1e-5)
        assert values["steps_train"] == values["steps_inference"] == steps
    assert len(ETCDigits().initial(0)) == 0


def test_candidates_are_independent_and_repeatable(small):
    x = points(small, {}, {"threshold": 1.0}, {"steps_train": 2}, {})
    before = torch.get_rng_state()
    together = small.measure(x, "search")
    assert torch.equal(before, torch.get_rng_state())
    for row in range(3):
        alone = small.measure(x[row : row + 1], "search")
        for name, values in together.items():
            np.testing.assert_array_equal(values[row : row + 1], alone[name], err_msg=name)
    assert together["loss"][0] == together["loss"][3]
    assert len(set(together["loss"])) == 3


def test_every_variable_matters(small):
    changes = [
        {}, {"etc_weight": 4.0}, {"etc_temperature": 9.0}, {"threshold": 0.7}, {"membrane_tau": 3.0},
        {"surrogate_alpha": 1.0}, {"lr": 0.1}, {"steps_train": 5}, {"steps_inference": 2},
    ]  # fmt: skip
    assert len(set(small.measure(points(small, *changes), "search")["loss"])) == len(changes)


def test_no_more_steps_in_inference_than_in_training(small):
    repaired = small.measure(points(small, {"steps_train": 3, "steps_inference": 6}), "search")
    same = small.measure(points(small, {"steps_train": 3, "steps_inference": 3}), "search")
    for name in repaired:
        np.testing.assert_array_equal(repaired[name], same[name], err_msg=name)
    assert repaired["steps"].tolist() == [3.0]


def test_fewer_steps_are_a_prefix_of_the_same_network(small):
    """The training does not depend on the steps of inference, so accuracies and spikes are those of the first steps."""
    long, short = (small.measure(points(small, {"steps_inference": steps}), "search") for steps in (4, 2))
    most = small.parameters.max_steps
    assert long["accuracy"].shape == (1, most)
    np.testing.assert_array_equal(short["accuracy"][0, :2], long["accuracy"][0, :2])
    np.testing.assert_array_equal(short["accuracy"][0, 2:], long["accuracy"][0, 1])
    np.testing.assert_array_equal(short["layer_spikes"][0, :, :2], long["layer_spikes"][0, :, :2])
    assert not short["layer_spikes"][0, :, 2:].any()
    assert short["error"][0] == 1 - long["accuracy"][0, 1]
    assert short["synops"][0] < long["synops"][0]
    assert short["steps"].tolist() == [2.0]
    scored, learnt = 50, 100
    assert short["cost"][0] == 4 * learnt + 2 * scored
    assert long["cost"][0] == 4 * learnt + 4 * scored


def test_one_step_in_inference_has_no_inconsistency(small):
    metrics = small.measure(points(small, {"steps_inference": 1}, {}), "search")
    assert metrics["inconsistency"][0] == 0.0
    assert metrics["etc_loss"][0] == metrics["loss"][0]
    assert metrics["inconsistency"][1] > 0.0
    assert metrics["etc_loss"][1] > metrics["loss"][1]


def test_the_consistency_term_makes_steps_agree():
    problem = make(**(TINY | {"train_samples": 300, "batch": 16, "epochs": 2}))
    metrics = problem.measure(points(problem, {"etc_weight": 0.0}, {"etc_weight": 4.0}), "search")
    per_loss = metrics["inconsistency"] / (np.log(10) - metrics["loss"])  # an undecided network is consistent, too
    assert per_loss[1] < per_loss[0]


@pytest.mark.slow
def test_the_embedded_networks_learn():
    for cls in (ETCDigits, ETCEvents):
        problem = make(cls)
        metrics = problem.measure(problem.initial(1), "validation")
        assert metrics["error"][0] < 0.5
        assert metrics["failure"][0] == ""


def test_the_network_is_the_one_described(small):
    network = small._network(ORDINARY | {"membrane_tau": 4.0, "threshold": 0.75}, 4)
    assert isinstance(network, SEWResNet if small.frames is None else VGGSNN)
    neuron = network.config.neuron
    assert (neuron.decay, neuron.input_scale, neuron.threshold) == (0.75, 0.25, 0.75)
    assert not neuron.at_threshold
    tally = Tally()
    frames = torch.rand((2, 1, 8, 8) if small.frames is None else (4, 2, 2, 12, 12))
    with torch.no_grad():
        network.eval()(frames, tally)
    assert small.describe()["network"]["layers"] == sorted(tally.spikes)
    most = small.parameters.max_steps
    assert small.reference_points()["spikes"] == (0.0, float(most * sum(tally.neurons.values())))


def test_events_are_merged_not_lost():
    problem = make(ETCEvents, **EVENTS)
    pixels = problem._learn[0][:7]
    for learnt in (2, 3, 6):
        x = problem._input(learnt, learnt)(pixels)
        assert x.shape == (learnt, 7, 2, 12, 12)
        torch.testing.assert_close(x.sum(dim=0), pixels.float().sum(dim=1))
        assert torch.equal(problem._input(learnt, 1)(pixels), x[:1])


def test_training_uses_search_samples_that_are_not_scored(small):
    learn = {image.numpy().tobytes() for image in small._learn[0]}
    assert small.describe()["splits"] == {"search": 50, "validation": 400, "test": 397}
    assert small.describe()["training_samples"] == 100
    for split in get_args(Split):
        assert not learn & {i.numpy().tobytes() for i in small._samples[split][0]}


def test_splits_are_measured_on_the_same_network(small):
    x = points(small, {})
    seen = [small.measure(x, split) for split in get_args(Split)]
    assert len({float(metrics["loss"][0]) for metrics in seen}) == 3
    assert [metrics["cost"][0] for metrics in seen] == [400 + 3 * n for n in (50, 400, 397)]


def test_every_objective_can_be_minimised(small):
    cls = type(small)
    problem = make(cls, tuple(cls.objectives), ("silent",), **SMALL[cls])
    result = problem.evaluate(points(problem, {}))
    assert result.objectives.isfinite().all()
    assert result.constraints.shape == (1, 1)
    references = problem.reference_points()
    assert set(references) == set(cls.objectives)
    for name, (ideal, worst) in references.items():
        assert ideal < worst
        assert (result.metrics[name] >= ideal).all(), name
        if name not in ("loss", "etc_loss"):
            assert (result.metrics[name] <= worst).all(), name


def test_a_training_that_diverges_is_an_infinite_objective():
    problem = make(**TINY)
    problem._recipe = lambda lr, made=problem._recipe: made(1e30)  # beyond what the space holds
    result = problem.evaluate(points(problem, {}))
    assert (result.objectives == np.inf).all()
    assert "finite" in result.failures[0]
    for values in result.metrics.values():
        assert values.dtype.kind != "f" or not np.isnan(values).any()


def test_description_is_plain_data(small):
    description = json.loads(json.dumps(small.describe(), allow_nan=False))
    assert description["official"] is True
    assert description["network"]["neuron"]["surrogate"] == "triangle"


def test_the_estimate_is_positive(small):
    estimate = small.estimate()
    assert estimate.evaluation > 0
    assert estimate.dimension == 8


@pytest.mark.parametrize("cls", [ETCCifar10, ETCDVSCifar10, ETCNCaltech101])
def test_published_networks(cls):
    problem = cls()
    network = problem._network(RELEASED, 1)
    if cls is ETCCifar10:
        assert network.config.blocks == (2, 2, 2, 2)
        assert network.config.width == 64
    else:
        assert network.fc.in_features == 512 * 3 * 3
        assert len(network.convs) == 8
        assert problem.frames == 10
    assert problem.reference_points()["synops"][1] > 1e8


def test_photographs(tmp_path, photographs):
    settings = {"network": "1-1", "width": 2, "epochs": 1, "max_steps": 3, "held_samples": 10}
    with pytest.warns(UserWarning, match="not the official data"):
        problem = make(ETCCifar10, cache=tmp_path, data=photographs, **settings)
    result = problem.evaluate(points(problem, {"steps_train": 3}))
    assert result.objectives.isfinite().all()
    assert problem.describe()["official"] is False


@pytest.mark.parametrize(
    ("network", "expected"),
    [(text, "network must look like") for text in ("", "a", "0-1")]
    + [("1-1-1-1-1", "5 stages halve 8 pixels too often")],
)
def test_malformed_networks_are_refused(network, expected):
    with pytest.raises(UsageError, match=expected):
        ETCDigits(resolve(ETCDigits.Parameters, {"network": network}, "x")).reference_points()


def test_more_steps_than_frames_are_refused():
    with pytest.raises(UsageError, match="a sample has 6 frames"):
        ETCEvents(resolve(ETCEvents.Parameters, {"max_steps": 7}, "x")).space  # noqa: B018
