"""The commands that make recorded runs again, as few as say it."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snnbench.experiment.plan import RunPlan


def commands(plans: Iterable[RunPlan]) -> list[str]:
    """``snnbench run`` lines for recorded plans; files of algorithms and problems by name, wherever they were.

    Parameters
    ----------
    plans
        In any order. Seeds of the same run share a line, so do algorithms with the same seeds and problems with the
        same algorithms, where no settings stand in the way.

    Examples
    --------
    >>> commands([RunPlan("soup-digits", name, 800, seed) for name in ("de", "random") for seed in range(3)])
    ['snnbench run --algo de,random --problem soup-digits --budget 800 --seeds 0:3']
    """
    groups = [_Group(replace(p, seed=0, device="auto", evaluation_settings=()), [p.problem], [p.algorithm], [p.seed])
              for p in plans]  # fmt: skip
    groups = _joined(groups, "seeds", lambda g: (g.plan, g.problems, g.algorithms))
    groups = _joined(groups, "algorithms", lambda g: (
        replace(g.plan, algorithm=""), g.problems, g.seeds, g.plan.algorithm_settings and g.algorithms))  # fmt: skip
    groups = _joined(groups, "problems", lambda g: (
        replace(g.plan, problem="", algorithm=""), g.algorithms, g.seeds, g.plan.problem_settings and g.problems)
    )  # fmt: skip
    return [_line(group) for group in groups]


@dataclass(frozen=True)
class _Group:
    """Runs that one command makes: what they have in common, and what they differ in."""

    plan: RunPlan
    problems: list[str]
    algorithms: list[str]
    seeds: list[int]


def _joined(groups: list[_Group], what: str, key: Callable[[_Group], object]) -> list[_Group]:
    """Groups with the same key as one, which has the `what` of all of them."""
    # By their text: recorded settings may be anything, and need not be hashable.
    found: dict[str, list[_Group]] = {}
    for group in groups:
        found.setdefault(repr(key(group)), []).append(group)
    joined = []
    for text in sorted(found):
        values: dict[str, Any] = {what: sorted({v for group in found[text] for v in getattr(group, what)})}
        joined.append(replace(found[text][0], **values))
    return joined


def _line(group: _Group) -> str:
    plan = group.plan
    parts = ["snnbench", "run", "--algo", ",".join(map(_portable, group.algorithms))]
    parts += ["--problem", ",".join(map(_portable, group.problems)), "--budget", str(plan.budget)]
    parts += _seeds(group.seeds)
    parts += ["--objectives", ",".join(plan.objectives)] if plan.objectives else []
    parts += ["--constraints", ",".join(plan.constraints)] if plan.constraints else []
    parts += ["--time-limit", f"{plan.time_limit:g}"] if plan.time_limit is not None else []
    parts += ["--eval-workers", str(plan.eval_workers)] if plan.eval_workers > 1 else []
    parts += ["--async"] if plan.asynchronous else []
    parts += ["--penalty"] if plan.penalty else []
    for owner, settings in (("problem.", plan.problem_settings), ("", plan.algorithm_settings)):
        for name, value in settings:
            parts += ["--set", f"{owner}{name}={'none' if value is None else value}"]
    return shlex.join(parts)


def _seeds(seeds: list[int]) -> list[str]:
    if len(seeds) == 1:
        return ["--seed", str(seeds[0])]
    if seeds[-1] - seeds[0] == len(seeds) - 1:
        return ["--seeds", f"{seeds[0]}:{seeds[-1] + 1}"]
    return ["--seeds", ",".join(map(str, seeds))]


def _portable(name: str) -> str:
    """A file's name without the folders of the machine where it was."""
    path, colon, attribute = name.rpartition(":")
    return f"{Path(path).name}{colon}{attribute}" if colon and path.endswith(".py") else name
