import json
from typing import get_args

import numpy as np
import pytest
import torch

from snnbench.errors import UsageError
from snnbench.parameters import resolve
from snnbench.problem import Context, Split
from snnbench.problems.snas import REJECTED, SNASCifar10, SNASCifar100Backward, SNASDigits, SNASDigitsBackward
from snnbench.problems.tables import snas as tables
from snnbench.snn.architecture_score import VARIANTS
from snnbench.snn.snas_candidate import SCORES, score_cell
from snnbench.snn.snas_cell import README_CELLS, Encoding, distinct_forward_cells, parse, text

TINY = {"width": 2, "hidden": 8, "steps": 2, "short_epochs": 1, "train_samples": 64, "held_samples": 40}
CELLS = ("0001 0000 0000 0000", "0323 0032 0002 0000")


def make(cls=SNASDigits, objectives=(), constraints=(), cache=None, data=None, **settings):
    context = Context(data_dir=data, cache_dir=cache) if cache else Context()
    problem = cls(resolve(cls.Parameters, settings, cls.name), objectives, context, constraints)
    problem.prepare()
    return problem


@pytest.fixture(scope="module")
def digits() -> SNASDigits:
    return make()


@pytest.fixture(scope="module")
def trained() -> SNASDigits:
    return make(objectives=("error", "synops"), **TINY)


def points(problem, cells=CELLS) -> torch.Tensor:
    return torch.cat([problem.encode(parse(cell)) for cell in cells])


def test_points_are_cells(digits):
    assert digits.dimension == 6
    assert digits.standard
    for cell in CELLS:
        assert [text(m) for m in digits.decode(digits.encode(parse(cell)))] == [cell]
    x = digits.space.sample(200, torch.Generator().manual_seed(0))
    assert len({text(m) for m in digits.decode(x)}) > 100
    assert digits.initial(5).shape == (0, 6)


def test_the_shipped_table_is_that_of_the_standard_problem(digits):
    table = tables.load()
    assert table is not None
    assert table.key == digits.score_key
    assert list(table.rows) == [text(m) for m in distinct_forward_cells()]
    for name, column in table.columns.items():
        assert column.shape == (7556,), name
        assert np.isfinite(column).all(), name
    assert len(set(table.columns["sahd"])) > 6000  # some cells compute the same in two ways
    assert digits.describe()["score"]["tabulated"] is True


def test_a_sample_of_the_table_is_computed_anew(digits):
    """Other processors round differently, which may flip a spike: scores agree closely, counts almost."""
    table = tables.load()
    chosen = np.random.default_rng(7).choice(7556, 6, replace=False)
    for index in chosen:
        cell = list(table.rows)[index]
        found = score_cell(digits.task, parse(cell), digits.score_batches("search"))
        shipped = table.metrics(cell)
        assert set(found) == set(shipped)
        for name in SCORES:
            assert found[name] == pytest.approx(shipped[name], abs=0.5), (cell, name)
        for name in ("spikes", "acs", "macs", "synops", "energy", "rate"):
            assert found[name] == pytest.approx(shipped[name], rel=0.01), (cell, name)
        assert found["error"] == pytest.approx(shipped["error"], abs=0.05)
        assert found["silent"] == pytest.approx(shipped["silent"], abs=0.02)


def test_evaluation_is_a_look_up_and_the_regret_is_exact(digits):
    table = tables.load()
    best = table.best("sahd")
    result = digits.evaluate(points(digits, (*CELLS, best)))
    for row, cell in enumerate((*CELLS, best)):
        assert float(result.objectives[row, 0]) == -table.metrics(cell)["sahd"]
        assert result.metrics["cell"][row] == cell
    assert result.metrics["regret"][2] == 0.0
    assert (result.metrics["regret"][:2] > 0).all()
    np.testing.assert_allclose(result.metrics["regret"], result.fitness - result.fitness[2])
    ideal, worst = digits.reference_points()["negative_score"]
    for name in SCORES:
        low, high = table.extremes(name)
        assert ideal < -high
        assert -low <= worst


@pytest.mark.parametrize("score", VARIANTS)
def test_every_variant_is_tabulated(score):
    problem = make(score=score)
    x = points(problem)
    result = problem.evaluate(x)
    np.testing.assert_array_equal(result.fitness, -result.metrics[score.replace("-", "_")])


def test_other_settings_are_not_looked_up(digits):
    for settings in ({"instance": 1}, {"score_batch": 32}, {"width": 5}, {"steps": 4}):
        other = make(**settings)
        assert other.describe()["score"]["tabulated"] is False
        assert other.score_key != digits.score_key
    same = make(short_epochs=1, lr=0.1)
    assert same.score_key == digits.score_key


def test_scores_of_validation_and_test_use_their_own_images():
    problem = make(short_epochs=1)
    x = points(problem)
    seen = {split: problem.measure(x, split) for split in get_args(Split)}
    values = [seen[split]["negative_score"].tolist() for split in seen]
    assert len({v[0] for v in values}) == len({v[1] for v in values}) == 3
    assert seen["test"]["regret"].tolist() == seen["search"]["regret"].tolist()
    assert "trained_error" not in seen["validation"]
    assert seen["test"]["trained_error"][0] < 1


def test_a_cell_without_a_path_is_rejected():
    digits = make(short_epochs=1)
    x = digits.encode(Encoding(False).matrix(["conv3x3", "skip", "zero", "conv1x1", "skip", "conv3x3"]))
    for split in get_args(Split):
        result = digits.evaluate(torch.cat([x, points(digits)[:1]]), split)
        assert result.failures == (REJECTED, "")
        assert result.objectives[0, 0] == np.inf
        assert result.objectives[1, 0] < np.inf
        alone = digits.evaluate(x, split)
        assert alone.metrics.keys() == result.metrics.keys()
        for name, values in alone.metrics.items():
            np.testing.assert_array_equal(values[0], result.metrics[name][0])


@pytest.mark.parametrize("cls", [SNASDigits, SNASDigitsBackward])
def test_training_is_repeatable_and_candidates_are_independent(cls):
    problem = make(cls, objectives=("error",), **TINY)
    x = points(problem, (*CELLS, CELLS[0]))
    together = problem.measure(x, "search")
    alone = problem.measure(x[1:2], "search")
    for name, values in together.items():
        np.testing.assert_array_equal(values[1:2], alone[name], err_msg=name)
        np.testing.assert_array_equal(values[0], values[2], err_msg=name)
    assert together["loss"][0] != together["loss"][1]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = problem.measure(x[1:2], "search")
    assert torch.equal(before, torch.get_rng_state())
    assert again["loss"].tolist() == alone["loss"].tolist()


def test_another_instance_is_another_training(trained):
    x = points(trained)[:1]
    other = make(objectives=("error", "synops"), **(TINY | {"instance": 1}))
    assert other.measure(x, "search")["loss"] != trained.measure(x, "search")["loss"]


def test_training_uses_search_samples_that_are_not_scored(trained):
    learn = {image.numpy().tobytes() for image in trained._learn[0]}
    assert len(trained._learn[1]) == 64
    splits = {split: {i.numpy().tobytes() for i in trained._samples[split][0]} for split in get_args(Split)}
    assert {split: len(trained._samples[split][1]) for split in splits} == trained.describe()["splits"]
    assert trained.describe()["splits"] == {"search": 40, "validation": 400, "test": 397}
    for images in splits.values():
        assert not learn & images


def test_short_training_learns():
    problem = make(objectives=("error",))
    metrics = problem.measure(points(problem)[:1], "search")
    assert metrics["error"][0] < 0.4
    assert metrics["failure"][0] == ""


def test_a_training_that_diverges_is_an_infinite_objective():
    problem = make(objectives=("error", "loss"), **(TINY | {"lr": 1e30, "short_epochs": 3}))
    result = problem.evaluate(points(problem))
    assert (result.objectives == np.inf).all()
    assert all("finite" in reason for reason in result.failures)
    for values in result.metrics.values():
        assert values.dtype.kind != "f" or not np.isnan(values).any()


def test_objectives_choose_the_tier():
    def tier(**kwargs) -> str:
        return SNASDigits(resolve(SNASDigits.Parameters, kwargs.pop("settings", {}), "x"), **kwargs).tier

    assert tier() == "score"
    assert tier(objectives=("negative_score", "synops")) == "short"
    assert tier(constraints=("silent",)) == "short"
    assert tier(settings={"tier": "full"}) == "full"
    assert tier(objectives=("negative_score", "synops"), settings={"tier": "score"}) == "score"
    with pytest.raises(UsageError, match="needs a trained network"):
        tier(objectives=("error",), settings={"tier": "score"})


def test_every_objective_can_be_minimised(trained):
    problem = make(objectives=tuple(SNASDigits.objectives), constraints=("silent",), **TINY)
    result = problem.evaluate(points(problem))
    assert result.objectives.isfinite().all()
    assert result.constraints.shape == (2, 1)
    assert result.metrics["accuracy"].shape == (2, 2)
    assert result.metrics["layer_spikes"].shape == (2, 15, 2)
    references = problem.reference_points()
    assert set(references) == set(SNASDigits.objectives)
    for name, (ideal, worst) in references.items():
        assert ideal < worst
        if name != "loss":
            assert (result.metrics[name] >= ideal).all(), name
            assert (result.metrics[name] <= worst).all(), name


def test_layer_spikes_have_one_row_per_possible_layer(trained):
    metrics = trained.measure(points(trained), "search")
    layers = trained.describe()["network"]["layers"]
    per_layer = dict(zip(layers, metrics["layer_spikes"][0].sum(axis=1), strict=True))
    assert {name for name, spikes in per_layer.items() if spikes} <= {"down", "hidden", "last"}
    assert metrics["layer_spikes"].sum(axis=(1, 2)) == pytest.approx(metrics["spikes"])


def test_reference_lines():
    lines = make(short_epochs=1).reference_lines()
    assert list(lines) == ["best cell of the table"]
    assert lines["best cell of the table"]["regret"] == 0.0
    backward = make(SNASDigitsBackward, **TINY)
    (name,) = backward.reference_lines()
    assert README_CELLS["cifar10"] in name


def test_backward_members_decode_both_directions():
    problem = make(SNASDigitsBackward, **TINY)
    assert len(problem.space.variables[0].choices) == 9
    x = points(problem, README_CELLS.values())
    assert [text(m) for m in problem.decode(x)] == list(README_CELLS.values())
    result = problem.evaluate(x)
    assert result.objectives.isfinite().all()
    assert "regret" not in result.metrics
    ideal, worst = problem.reference_points()["negative_score"]
    assert ((ideal < result.fitness) & (result.fitness < worst)).all()


def test_description_is_plain_data(trained):
    description = json.loads(json.dumps(trained.describe(), allow_nan=False))
    assert description["official"] is True
    assert description["network"]["neuron"]["surrogate"] == "atan"


@pytest.mark.parametrize("settings", [{}, {"tier": "short"}, {"tier": "full", "width": 2}])
def test_the_estimate_is_positive(settings, monkeypatch):
    if not settings:  # the table says what it takes: no network is run
        monkeypatch.setattr("snnbench.problems.snas.score_cell", lambda *_: pytest.fail("a network is run"))
    problem = SNASDigits(resolve(SNASDigits.Parameters, settings, "x"))
    estimate = problem.estimate()
    assert estimate.evaluation > 0
    assert estimate.dimension == 6


def test_too_few_samples_are_refused():
    with pytest.raises(UsageError, match="train_samples=5000"):
        make(train_samples=5000)
    problem = make(score_batch=900)
    with pytest.raises(UsageError, match="score_batch=900"):
        problem.measure(points(problem), "search")


@pytest.mark.parametrize("cls", [SNASCifar10, SNASCifar100Backward])
def test_photographs(cls, tmp_path, photographs):
    settings = TINY | {"width": 1, "score_batch": 8, "train_samples": 20, "held_samples": 10, "batch": 10}
    with pytest.warns(UserWarning, match="not the official data"):
        problem = make(cls, ("negative_score", "error"), cache=tmp_path, data=photographs, **settings)
    cell = README_CELLS["cifar100"] if problem.backward else "0302 0014 0003 0000"
    result = problem.evaluate(problem.encode(parse(cell)))
    assert result.objectives.isfinite().all()
    assert problem.describe()["official"] is False
    assert problem.estimate().evaluation > 0


def test_published_members_have_the_published_size():
    ten, hundred = SNASCifar10(), SNASCifar100Backward()
    assert (ten.network.width, ten.network.hidden, ten.network.votes) == (256, 1024, 10)
    assert (hundred.network.width, hundred.network.votes, hundred.network.classes) == (128, 5, 100)
    assert ten.network.steps == hundred.network.steps == 5
    assert not ten.network.stepwise
    assert hundred.network.stepwise
