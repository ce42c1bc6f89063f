"""SPEA2 against pymoo's own runs."""

import pytest
from pymoo.problems import get_problem


@pytest.mark.parametrize("problem", ["zdt1", "zdt3", "dtlz2", "srn", "bnh", "c1dtlz1"])
def test_same_candidates_as_pymoo(same_as_pymoo, problem):
    same_as_pymoo("spea2", get_problem(problem), population=28, generations=15)
