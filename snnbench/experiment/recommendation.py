"""Which candidate a run stands for: picked on the validation split, tested once.

One objective: of the candidates offered, the one with the lowest validation objective; among equals the one with the
lower search objective, then the first. Several objectives: those that no other dominates on validation. Only what was
picked is measured on the test split. The same rule applied to the initial design gives the "start" of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from snnbench.evaluations import Evaluations
from snnbench.experiment.disk import plain
from snnbench.experiment.evaluator import Evaluator
from snnbench.experiment.incumbent import dominates, violations

Point = dict[str, Any]


def violation(found: Mapping[str, Any]) -> float:
    """By how much what a `Point` says of one split violates constraints: 0 if it is feasible, infinite if unknown.

    Examples
    --------
    >>> violation({"error": 0.1}), violation({"error": 0.1, "constraints": [-1.0, 0.25]})
    (0.0, 0.25)
    """
    values = found.get("constraints") or []
    sound = [float(v) if isinstance(v, int | float) and v == v else np.inf for v in values]
    return float(sum(max(0.0, v) for v in sound))


@dataclass
class Candidates:
    """Candidates offered for recommendation, in order of preference.

    Attributes
    ----------
    x
        (k, d).
    digests
        (k,) int64; a candidate that occurs twice counts once.
    sources
        Where each comes from, in words.
    evaluations
        Number of the evaluation that measured each in the search, or ``None``.
    """

    x: torch.Tensor
    digests: np.ndarray
    sources: Sequence[str]
    evaluations: Sequence[int | None]


class Jury:
    """Applies the rule.

    Parameters
    ----------
    evaluator
        Of the run's problem.
    recorded
        Gives the search evaluations of one evaluation number, as recorded.
    between
        Called after every chunk, with (stage, done, total).
    tested
        Points known from before by digest: they are not tested again.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        recorded: Callable[[int], Evaluations],
        between: Callable[[str, int, int], None],
        tested: Sequence[Point] = (),
    ) -> None:
        self.evaluator = evaluator
        self.recorded = recorded
        self.between = between
        self.tested = {point["digest"]: point for point in tested}
        self._searched: dict[int, Evaluations] = {}

    def pick(self, offered: Candidates) -> tuple[list[int], list[Point]]:
        """Rows of the candidates picked, and what is known of each; both empty if none could be evaluated."""
        first = np.sort(np.unique(offered.digests, return_index=True)[1])
        validation = self._measure(offered.x[first], "validation")
        keys = np.column_stack([violations(validation), validation.objectives.numpy()])
        if keys.shape[1] > 2:
            sound = [i for i in range(len(keys)) if np.isfinite(keys[i]).all()]
            chosen = [i for i in sound if not any(dominates(keys[j], keys[i]) for j in sound)]
        else:
            chosen = self._best(offered, first, keys)
        rows = [int(first[i]) for i in chosen]
        return rows, [self._point(offered, row, _row(validation, i)) for row, i in zip(rows, chosen, strict=True)]

    def _best(self, offered: Candidates, first: np.ndarray, keys: np.ndarray) -> list[int]:
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        equal = np.flatnonzero((keys == keys[order[0]]).all(axis=1))
        if len(equal) == 1 and np.isfinite(keys[equal[0]]).all():
            return [int(equal[0])]
        on_search = [float(self._search(offered, int(first[i])).objectives[0, 0]) for i in equal]
        return [int(equal[int(np.argmin(on_search))])] if np.isfinite(min(on_search)) else []

    def _search(self, offered: Candidates, row: int) -> Evaluations:
        digest = int(offered.digests[row])
        if digest not in self._searched:
            number = offered.evaluations[row]
            x = offered.x[row : row + 1]
            self._searched[digest] = self._measure(x, "search") if number is None else self.recorded(number)
        return self._searched[digest]

    def _point(self, offered: Candidates, row: int, validation: Evaluations) -> Point:
        digest = int(offered.digests[row])
        known = self.tested.get(digest)
        x = offered.x[row : row + 1]
        test = known["test"] if known else _plain(self._measure(x, "test"), self.evaluator.problem.selected)
        return {
            "source": offered.sources[row],
            "evaluation": offered.evaluations[row],
            "digest": digest,
            "search": _plain(self._search(offered, row), self.evaluator.problem.selected),
            "validation": _plain(validation, self.evaluator.problem.selected),
            "test": test,
        }

    def _measure(self, x: torch.Tensor, split: Any) -> Evaluations:
        return self.evaluator.all(x, split, lambda done: self.between(split, done, len(x)))


def _row(evaluations: Evaluations, row: int) -> Evaluations:
    one = slice(row, row + 1)
    metrics = {name: values[one] for name, values in evaluations.metrics.items()}
    return Evaluations(evaluations.objectives[one], evaluations.constraints[one], metrics, evaluations.failures[one])


def _plain(evaluations: Evaluations, objectives: Sequence[str]) -> dict[str, Any]:
    """One candidate's results by name."""
    values = {name: float(evaluations.objectives[0, i]) for i, name in enumerate(objectives)}
    found: dict[str, Any] = plain({name: v[0] for name, v in evaluations.metrics.items()} | values)
    if evaluations.constraints.shape[1]:
        found["constraints"] = plain(evaluations.constraints[0].tolist())
    if evaluations.failures[0]:
        found["failure"] = evaluations.failures[0]
    return found
