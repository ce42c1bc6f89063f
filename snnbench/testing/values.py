"""Checks of what an algorithm makes of values: failures, noise, constraints, several objectives."""

import torch

from snnbench.testing.candidates import recommended
from snnbench.testing.check import Skip, check
from snnbench.testing.loops import Function, Loop, Values, require
from snnbench.testing.subject import Subject


@check("recommendation")
def failures(subject: Subject) -> str:
    """Failed candidates (+inf) are survived: some, the first ones, all."""
    constraints = 1 if subject.can.constraints else 0
    for pattern in ("some", "all") if subject.slow else ("some", "first", "all"):
        task = subject.task(constraints=constraints)
        loop = subject.loop(task, 1, failing(subject.function(task), pattern))
        loop.run()
        recommended(loop.algorithm)
    return ""


def failing(function: Function, pattern: str) -> Function:
    """A function of which every third value is missing (``some``), or the ``first`` 40, or ``all``."""
    seen = 0

    def evaluate(x: torch.Tensor) -> Values:
        nonlocal seen
        objectives, excess = function(x)
        index = torch.arange(seen, seen + len(x))
        seen += len(x)
        failed = {"some": index % 3 == 0, "first": index < 40, "all": index >= 0}[pattern]
        objectives[failed] = torch.inf
        excess[failed] = torch.inf
        return objectives, excess

    return evaluate


@check("recommendation")
def noise(subject: Subject) -> str:
    """A noisy objective is survived."""
    task = subject.task(120, noisy=True)
    drawn = torch.Generator().manual_seed(7)

    def noisy(x: torch.Tensor) -> Values:
        objectives, excess = subject.function(task)(x)
        return objectives + 100 * torch.randn(objectives.shape, generator=drawn, dtype=torch.float64), excess

    loop = subject.loop(task, 1, noisy)
    loop.run()
    recommended(loop.algorithm)
    return ""


@check("failures")
def constraints(subject: Subject) -> str:
    """With constraints it searches where they hold, though the objective is lower where they do not."""
    if not subject.can.constraints:
        raise Skip("not declared")
    task = subject.task(constraints=2)
    loop = subject.loop(task, 1)
    points = loop.run()
    excess = torch.cat(loop.constraints)
    feasible = (excess <= 0).all(dim=1)
    late = feasible[-max(1, len(feasible) // 2) :]
    require(feasible.any(), f"none of {len(feasible)} candidates was feasible, in a box of which half is")
    require(late.any(), f"of the last {len(late)} candidates none was feasible, in a box of which half is")
    recommended(loop.algorithm)
    function = subject.function(task)

    def turned(x: torch.Tensor) -> Values:
        objectives, opposite = function(x)
        return objectives, -opposite

    if torch.equal(subject.loop(task, 1, turned).run(), points):
        return "what constraints say changed nothing"
    return f"{100 * float(late.float().mean()):.0f} % of the last candidates feasible"


@check("recommendation")
def objectives(subject: Subject) -> str:
    """As many objectives as declared are handled."""
    most = 3 if subject.can.objectives is None else min(3, subject.can.objectives)
    numbers = range(subject.can.min_objectives, max(subject.can.min_objectives, most) + 1)
    for m in numbers:
        task = subject.task(objectives=m)
        if m == subject.objectives:
            continue  # everything else here is done with that many
        loop: Loop = subject.loop(task, 1)
        loop.run()
        recommended(loop.algorithm)
    return ", ".join(map(str, numbers))
