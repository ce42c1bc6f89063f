"""MOEA/D against pymoo's own runs."""

import numpy as np
import pytest
from pymoo.problems import get_problem


@pytest.mark.parametrize("problem", ["zdt1", "zdt3", "dtlz2"])
def test_published_algorithm_is_that_of_pymoo(same_as_pymoo, problem):
    same_as_pymoo("moead", get_problem(problem), population=28, generations=8, normalize=False)


def test_a_batch_is_one_child_per_member_in_turn(compare):
    problem = get_problem("zdt1", n_var=6)
    algorithm = compare.make("moead", compare.task(problem, 200), population=20, batch=8)
    sizes, members = [], []
    for _ in range(7):
        sizes.append(len(compare.drive(algorithm, lambda x: compare.measure(problem, x), asks=1)))
        members += algorithm.batch
    assert sizes == [20, 8, 8, 4, 8, 8, 4]
    assert sorted(members[:20]) == sorted(members[20:]) == list(range(20))


def test_a_child_competes_in_the_weightings_of_its_neighbourhood(compare):
    problem = get_problem("zdt1", n_var=6)
    algorithm = compare.make("moead", compare.task(problem, 400), population=20, neighbors=5)
    compare.drive(algorithm, lambda x: compare.measure(problem, x), asks=1)
    for _ in range(60):
        before = algorithm.engine.pop.get("F")
        x = algorithm.ask()
        evaluations = compare.measure(problem, x)
        algorithm.tell(x, evaluations)
        after, child = algorithm.engine.pop.get("F"), evaluations.objectives.numpy()[0]
        changed = np.flatnonzero((before != after).any(axis=1))
        near = np.argsort(np.abs(np.arange(20) - algorithm.batch[0]), kind="stable")[:6]
        assert set(changed) <= set(near)
        assert (after[changed] == child).all()


def test_normalised_weightings(compare):
    """Tchebycheff, by hand: max over objectives of weight * (f - ideal) / (worst - ideal)."""
    problem = get_problem("zdt1", n_var=6)
    algorithm = compare.make("moead", compare.task(problem, 400), population=20)
    compare.drive(algorithm, lambda x: compare.measure(problem, x), asks=30)
    values, ideal = algorithm.engine.pop.get("F"), algorithm.engine.ideal
    rows, child = np.array([2, 9, 17]), np.array([[0.3, 2.0]])
    weights = np.column_stack([np.linspace(0, 1, 20), np.linspace(1, 0, 20)])[rows]
    expected = (weights * (child - ideal) / (values.max(axis=0) - ideal)).max(axis=1)
    np.testing.assert_allclose(algorithm._scalar(child, rows), expected)
    assert (algorithm._scalar(np.array([[np.inf, 1.0]]), rows) == np.inf).all()
