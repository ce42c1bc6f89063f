"""What the four algorithms on pymoo share."""

import json
import warnings

import numpy as np
import pytest
import torch
from pymoo.problems import get_problem
from safetensors.torch import load, save

from snnbench.algorithm import Evaluations
from snnbench.algorithms.pymoo_driver import best_rows
from snnbench.algorithms.reference_directions import reference_directions
from snnbench.errors import UsageError

NAMES = ["nsga2", "nsga3", "moead", "spea2"]
EVERY = pytest.mark.parametrize("name", NAMES)


def through_a_file(state):
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    plain = json.dumps({key: value for key, value in state.items() if key not in tensors}, allow_nan=False)
    return load(save({key: value.clone() for key, value in tensors.items()})) | json.loads(plain)


def failing(compare, problem, every):
    """The problem's values, where every so-manieth candidate fails (0: all of them)."""
    seen = [0]

    def evaluate(x):
        found = compare.measure(problem, x)
        rows = torch.arange(seen[0], seen[0] + len(x))
        failed = rows % every == 0 if every else rows >= 0
        seen[0] += len(x)
        objectives = found.objectives.masked_fill(failed[:, None], torch.inf)
        return Evaluations(objectives, found.constraints.masked_fill(failed[:, None], torch.inf), {}, ("",) * len(x))

    return evaluate


def problems(name):
    return [get_problem("zdt1", n_var=8), get_problem("dtlz2", n_var=7)] + ([get_problem("bnh")] * (name != "moead"))


@EVERY
@pytest.mark.parametrize("failures", [None, 3, 0])
@pytest.mark.parametrize("asks", [1, 2, 9])
def test_saved_state_has_the_same_future(compare, name, failures, asks):
    for problem in problems(name)[-1:] if failures == 0 else problems(name):
        task = compare.task(problem, 400)
        original, restored = (compare.make(name, task, seed, population=24) for seed in (3, 4))
        past, *futures = (failing(compare, problem, 1 << 40 if failures is None else failures) for _ in range(3))
        compare.drive(original, past, asks=asks)
        restored.load_state_dict(through_a_file(original.state_dict()))
        ours, again = (compare.drive(a, f, asks=6) for a, f in zip((original, restored), futures, strict=True))
        np.testing.assert_array_equal(ours, again)


@EVERY
def test_finds_the_front_though_a_third_fails(compare, name):
    problem = get_problem("zdt1", n_var=6)
    algorithm = compare.make(name, compare.task(problem, 1200), seed=1, population=24)
    compare.drive(algorithm, failing(compare, problem, 3))
    values = compare.measure(problem, algorithm.recommend()).objectives.numpy()
    assert len(values) > 10
    # the front itself has 0.87, the uniform points at the start have 0
    assert compare.hypervolume(values, np.zeros((len(values), 0)), (1.1, 1.1)) > 0.6


@EVERY
def test_recommends_nothing_where_all_failed(compare, name):
    problem = get_problem("zdt1", n_var=6)
    algorithm = compare.make(name, compare.task(problem, 200), population=20)
    compare.drive(algorithm, failing(compare, problem, 0))
    assert algorithm.recommend() is None


@EVERY
def test_recommends_members_that_do_not_dominate_each_other(compare, name):
    problem = get_problem("dtlz2", n_var=7)
    algorithm = compare.make(name, compare.task(problem, 300), population=28)
    candidates = compare.drive(algorithm, lambda x: compare.measure(problem, x))
    found = algorithm.recommend()
    assert (found.double()[:, None] == torch.tensor(candidates)).all(dim=2).any(dim=1).all()
    values = compare.measure(problem, found).objectives
    less = (values[:, None] <= values).all(dim=2) & (values[:, None] < values).any(dim=2)
    assert not less.any()


@EVERY
def test_survives_an_objective_that_is_the_same_for_all(compare, name):
    problem = get_problem("zdt1", n_var=6)

    def evaluate(x):
        found = compare.measure(problem, x)
        found.objectives[:, 0] = 0.25
        return found

    algorithm = compare.make(name, compare.task(problem, 400), seed=2, population=20)
    candidates = compare.drive(algorithm, evaluate)
    values = problem.evaluate(candidates)[:, 1]
    assert values[-20:].min() < np.quantile(values[:20], 0.1)


def scaled(compare, name, scale, budget):
    """All candidates, and the hypervolume reached, when the second objective is in other units."""
    problem = get_problem("zdt1", n_var=6)

    def evaluate(x):
        found = compare.measure(problem, x)
        found.objectives[:, 1] *= scale
        return found

    algorithm = compare.make(name, compare.task(problem, budget), seed=2, population=20)
    candidates = compare.drive(algorithm, evaluate)
    values = compare.measure(problem, algorithm.recommend()).objectives.numpy()
    return candidates, compare.hypervolume(values, np.zeros((len(values), 0)), (1.1, 1.1))


@pytest.mark.parametrize("name", ["nsga2", "moead"])
def test_units_of_an_objective_do_not_matter(compare, name):
    candidates, other = (scaled(compare, name, scale, 300)[0] for scale in (1.0, 2.0**14))
    np.testing.assert_array_equal(candidates, other)


@pytest.mark.parametrize("name", ["nsga3", "spea2"])
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_units_of_an_objective_matter_little(compare, name, scale):
    assert scaled(compare, name, scale, 1200)[1] > 0.6  # 0.8 with a scale of 1; 0 at the start


@EVERY
def test_two_in_one_process_do_not_know_of_each_other(compare, name):
    problem = get_problem("zdt1", n_var=6)
    alone, first, second = (compare.make(name, compare.task(problem, 240), seed=1, population=20) for _ in range(3))
    evaluate = lambda x: compare.measure(problem, x)  # noqa: E731
    expected = compare.drive(alone, evaluate, asks=5)
    found = []
    for _ in range(5):
        found.append(compare.drive(first, evaluate, asks=1))
        compare.drive(second, lambda x: Evaluations(evaluate(x).objectives - 100, *_rest(x)), asks=1)
    np.testing.assert_array_equal(np.concatenate(found), expected)


def _rest(x):
    return torch.zeros(len(x), 0, dtype=torch.float64), {}, ("",) * len(x)


@EVERY
def test_leaves_warning_filters_alone(compare, name):
    problem = get_problem("dtlz2", n_var=7)
    with warnings.catch_warnings():
        before = list(warnings.filters)
        algorithm = compare.make(name, compare.task(problem, 120), population=20)
        compare.drive(algorithm, lambda x: compare.measure(problem, x))
        assert warnings.filters == before


@EVERY
def test_default_population_follows_the_budget(compare, name):
    problem = get_problem("zdt1", n_var=6)
    sizes = [len(compare.make(name, compare.task(problem, budget)).ask()) for budget in (100, 2500, 10**6)]
    assert sizes == [20, 50, 100]


def test_best_rows():
    values = np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [0.0, 0.0], [np.inf, np.inf], [2.0, 2.0]])
    assert best_rows(values, np.array([0.0, -1.0, 0.0, 0.5, 1e300, 0.0])).tolist() == [0, 1, 5]
    assert best_rows(values, np.array([3.0, 2.0, 1.0, 0.5, 1e300, 0.5])).tolist() == [3]
    assert best_rows(values, np.full(6, 1e300)).tolist() == []


@pytest.mark.parametrize(("objectives", "most", "count"), [(2, 100, 100), (3, 100, 91), (4, 100, 94), (5, 100, 85)])
def test_reference_directions(objectives, most, count):
    directions = reference_directions(objectives, most)
    assert directions.shape == (count, objectives)
    assert len(np.unique(directions.round(9), axis=0)) == count
    np.testing.assert_allclose(directions.sum(axis=1), 1)
    assert (directions >= 0).all()
    assert (directions.min(axis=1) > 0).sum() >= 15 or objectives == 2
    np.testing.assert_allclose(directions.mean(axis=0), 1 / objectives)  # no objective is preferred


@pytest.mark.parametrize("name", ["nsga3", "moead"])
def test_refuses_fewer_members_than_objectives(compare, name):
    problem = get_problem("dtlz2", n_var=9, n_obj=6)
    with pytest.raises(UsageError, match="at least 6 for 6 objectives, got 5"):
        compare.make(name, compare.task(problem, 100), population=5).ask()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("problem", ["zdt1", "zdt2", "zdt3", "dtlz2"])
def test_reaches_the_hypervolume_of_pymoo(compare, name, problem):
    from scipy import stats

    budget, seeds = (2000, 8) if name == "moead" else (4000, 15)
    ours, theirs = (
        [run(name, problem, 60, budget, seed) for seed in range(seeds)] for run in (compare.ours, compare.theirs)
    )
    assert np.median(ours) > 0
    assert stats.mannwhitneyu(ours, theirs, alternative="less").pvalue > 0.01, (np.mean(ours), np.mean(theirs))
