"""NSGA-II against pymoo's own runs."""

import pytest
from pymoo.problems import get_problem


@pytest.mark.parametrize("problem", ["zdt1", "zdt3", "dtlz2", "srn", "bnh", "c1dtlz1"])
def test_same_candidates_as_pymoo(same_as_pymoo, problem):
    same_as_pymoo("nsga2", get_problem(problem), population=28, generations=15)


def test_one_objective_is_a_genetic_algorithm(toys):
    task = toys["task"](budget=1500, offered=0)
    best = float(toys["drive"](toys["make"]("nsga2", task, 0))[1].min())
    chance = float(toys["drive"](toys["make"]("random", task, 0))[1].min())
    assert best < chance / 10


@pytest.mark.parametrize("problem", ["bnh", "srn", "osy"])
def test_finds_the_feasible_front(compare, problem):
    volume = compare.ours("nsga2", problem, population=40, budget=3000, seed=1)
    assert volume > {"bnh": 5100, "srn": 25000, "osy": 8000}[problem]
