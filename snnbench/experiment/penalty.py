"""What an algorithm that knows no constraints is told of a problem that has some.

Infeasible candidates count as worse than the worst feasible value, the more the larger their violation (K. Deb, An
efficient constraint handling method for genetic algorithms, Computer Methods in Applied Mechanics and Engineering 186,
2000, with the problem's frozen worst value in the place of the worst of the population, so that a value never changes).
The record keeps what was measured.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from snnbench.evaluations import Evaluations
from snnbench.problem import Problem


def worst_values(problem: Problem) -> list[float]:
    """The frozen worst value of every selected objective."""
    points = problem.reference_points()
    return [float(points[name][1]) for name in problem.selected]


def penalised(evaluations: Evaluations, worst: Sequence[float]) -> Evaluations:
    """The same evaluations without constraints, objectives of infeasible candidates replaced.

    Parameters
    ----------
    evaluations
        With objectives (n, m) and constraints (n, k).
    worst
        (m,) worst feasible values.

    Returns
    -------
    Evaluations
        Objectives: as they were if no constraint is positive, else ``worst`` plus the sum of the positive constraints;
        failed candidates stay infinite. Constraints: (n, 0).
    """
    violation = evaluations.constraints.clamp(min=0).sum(1, keepdim=True)
    objectives = evaluations.objectives
    replaced = torch.as_tensor(worst, dtype=objectives.dtype) + violation
    failed = torch.tensor([bool(reason) for reason in evaluations.failures]).reshape(-1, 1)
    told = torch.where((violation > 0) & ~failed, replaced, objectives)
    return replace(evaluations, objectives=told, constraints=evaluations.constraints[:, :0])
