"""Checks of what an algorithm says of itself, and of the candidates it asks for."""

import re
from typing import Any

import torch

from snnbench.algorithm import Task
from snnbench.errors import UsageError
from snnbench.parameters import describe, resolve
from snnbench.space import Categorical, Integer, Real, RealVector, SearchSpace
from snnbench.testing.check import Skip, check
from snnbench.testing.loops import Nonconformance, ask, require, same_global_state
from snnbench.testing.subject import OFFERED, Subject

LONGEST_SUMMARY = 75


@check()
def declarations(subject: Subject) -> str:
    """Docstring, reference and parameters are there and documented."""
    kind = subject.kind
    first = (kind.__doc__ or "").strip().partition("\n")[0]
    require(first, "the class has no docstring, whose first line `snnbench list` shows")
    require(len(first) <= LONGEST_SUMMARY, f"the docstring's first line is longer than {LONGEST_SUMMARY} characters")
    require(kind.reference, "`reference` is empty; cite the publication, or say that there is none, with the year")
    require(re.search(r"\b(19|20)\d\d\b", kind.reference), "`reference` names no year")
    rows = describe(kind.Parameters)
    for row in rows:
        require(row["doc"], f"parameter {row['name']} has no documentation")
        require(row["source"], f'parameter {row["name"]} has no source (a paper, a library, or "ours")')
    try:
        resolve(kind.Parameters, {row["name"]: row["default"] for row in rows}, subject.name)
    except UsageError as error:
        raise Nonconformance(f"a default is not allowed: {error}") from error
    return ""


@check()
def candidates(subject: Subject) -> str:
    """Candidates are tensors of the right shape, dtype and device, finite, and mostly inside the box."""
    for offered in (None, 0) if subject.slow else (None, 1, 0):
        task = subject.task(offered=offered)
        points = subject.loop(task).run()
        lower, upper = task.space.lower, task.space.upper
        outside = float(((points == lower) | (points == upper)).float().mean())
        require(outside < 0.5, f"{100 * outside:.0f} % of all coordinates were outside the box or on its surface")
    return ""


@check("candidates")
def initial_design(subject: Subject) -> str:
    """Whether the problem's initial design is evaluated first (not required)."""
    task = subject.task(offered=OFFERED)
    design = task.initial(OFFERED)
    rows = zip(reference(subject), design, strict=False)
    first = next((row for row, (x, expected) in enumerate(rows) if not torch.equal(x, expected)), len(design))
    if first:
        return f"{first} of {len(design)} points evaluated first"
    return "not evaluated first; in a space of weights, points far from it are worthless"


@check("candidates")
def mixed_space(subject: Subject) -> str:
    """Spaces of real, integer and categorical variables are searched."""
    variables: list[Any] = [
        Real("rate", 1e-4, 1.0, log=True),
        Integer("steps", 1, 8),
        Categorical("mode", ("a", "b", "c")),
    ]
    more = subject.can.min_dimension - len(variables)
    variables += [RealVector("w", more, 0.0, 1.0)] if more > 0 else []
    if subject.can.max_dimension is not None and subject.can.max_dimension < len(variables):
        raise Skip(f"limited to {subject.can.max_dimension} dimensions")
    task = subject.task(120, space=SearchSpace(variables), offered=3)
    points = subject.loop(task).run()
    values = task.space.decode(points)
    seen = len(set(values["mode"].tolist()))
    return "" if seen > 1 else f"of 3 categories only {values['mode'][0]!r} was tried"


@check("candidates")
def unequal_box(subject: Subject) -> str:
    """A box that is a thousand times wider in some coordinates is searched in all of them."""
    if subject.can.gradient:
        raise Skip("a gradient's steps are not in widths of the box")
    half = subject.dimension // 2
    if not half:
        raise Skip("limited to 1 dimension")
    wide = subject.dimension - half
    space = SearchSpace([RealVector("narrow", half, -0.1, 0.1), RealVector("wide", wide, 0.0, 200.0)])
    points = subject.loop(subject.task(200, space=space, offered=0)).run()
    spread = (points.amax(dim=0) - points.amin(dim=0)) / (space.upper - space.lower)
    require(spread.amin() > 0, "some coordinates were never changed")
    a, b = float(spread[:half].mean()), float(spread[half:].mean())
    require(
        max(a, b) < 20 * min(a, b),
        f"candidates cover {100 * a:.3g} % of a narrow box and {100 * b:.3g} % of a wide one: "
        "take step sizes in widths of the box",
    )
    return ""


@check("candidates")
def annotations(subject: Subject) -> str:
    """`annotations` gives one number per candidate of the last `ask`."""
    task = subject.task(120)
    loop, names = subject.loop(task), set()
    with same_global_state():
        while loop.left > 0:
            x = ask(loop.algorithm)
            if len(x) > loop.left:
                break
            for name, values in loop.algorithm.annotations().items():
                shape = getattr(values, "shape", None)
                require(shape == (len(x),), f"annotation {name} has shape {shape} for {len(x)} candidates")
                require(values.dtype.kind in "biuf", f"annotation {name} holds {values.dtype}, not numbers")
                names.add(name)
            loop.tell(x)
    return ", ".join(sorted(names))


@check("candidates")
def recommendation(subject: Subject) -> str:
    """`recommend` gives None or finite candidates (k, d)."""
    loop = subject.loop(subject.task(), 3)
    loop.run()
    best = recommended(loop.algorithm)
    return "none of its own: the best one seen" if best is None else f"{len(best)} of its own"


def recommended(algorithm: Any) -> torch.Tensor | None:
    """`recommend` of an algorithm, checked."""
    task: Task = algorithm.task
    with torch.no_grad():
        best = algorithm.recommend()
    if best is None or (isinstance(best, torch.Tensor) and best.shape == (0, task.space.dimension)):
        return None
    require(isinstance(best, torch.Tensor), f"recommend returned {type(best).__name__}, not a tensor or None")
    shape = tuple(best.shape)
    require(
        len(shape) == 2 and shape[1] == task.space.dimension,
        f"recommend returned shape {shape}, not (k, {task.space.dimension})",
    )
    require(best.is_floating_point() and bool(best.isfinite().all()), "recommend returned NaN or infinite coordinates")
    return best


def reference(subject: Subject) -> torch.Tensor:
    """All candidates of an ordinary, undisturbed search with seed 3."""
    if "reference" not in subject.memory:
        loop = subject.loop(subject.task(), 3)
        subject.memory["reference"] = loop.run(), len(loop.objectives)
    points: torch.Tensor = subject.memory["reference"][0]
    return points


def generations(subject: Subject) -> int:
    """How many generations that search takes."""
    reference(subject)
    count: int = subject.memory["reference"][1]
    return count
