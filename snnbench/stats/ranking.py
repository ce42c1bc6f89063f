"""Ranks of algorithms, within each problem and across problems.

The unit is the problem: seeds are compared within a problem only, and across problems every problem counts once
(Demsar, JMLR 7:1-30, 2006). An algorithm's rank is one more than the number of algorithms that are significantly
better, so algorithms that cannot be told apart share a rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from snnbench.errors import UsageError
from snnbench.stats.curves import scaled
from snnbench.stats.measures import ON_SCALE, measured, remarks
from snnbench.stats.references import ReferenceFront
from snnbench.stats.selection import select
from snnbench.stats.tests import Omnibus, Pair, friedman, holm, mann_whitney, signed_rank

RESAMPLES = 2000


@dataclass(frozen=True)
class Verdicts:
    """All pairs of k algorithms.

    Attributes
    ----------
    pairs
        (name, name) in alphabetical order to what the test gives.
    corrected
        The same pairs' p values after Holm's correction.
    alpha
        Significance level.
    """

    pairs: dict[tuple[str, str], Pair]
    corrected: dict[tuple[str, str], float]
    alpha: float

    def better(self, a: str, b: str) -> bool:
        """Whether `a` is significantly better than `b`."""
        pair = (a, b) if (a, b) in self.pairs else (b, a)
        effect = self.pairs[pair].effect * (1 if pair == (a, b) else -1)
        return self.corrected[pair] <= self.alpha and effect > 0

    def ranks(self, names: Sequence[str]) -> dict[str, int]:
        """One more than the number of algorithms that are significantly better."""
        return {a: 1 + sum(self.better(b, a) for b in names if b != a) for a in names}


@dataclass(frozen=True)
class Standing:
    """One algorithm on one problem, or across problems.

    Attributes
    ----------
    algorithm, rank
        Its name, and its shared rank.
    value, low, high
        Median over seeds, or mean rank over problems; and the ends of its bootstrap interval (95 %).
    runs, failed
        How many runs, and how many of them failed.
    better, worse
        Numbers of algorithms that it is significantly better and worse than.
    """

    algorithm: str
    rank: int
    value: float
    low: float
    high: float
    runs: int
    failed: int
    better: int
    worse: int


@dataclass
class TaskRanking:
    """The ranking on one problem."""

    task: str
    standings: list[Standing]
    verdicts: Verdicts
    seeds: tuple[int, int]
    values: dict[str, np.ndarray] = field(repr=False, default_factory=dict)


@dataclass
class Ranking:
    """The ranking across problems, and on each of them.

    Attributes
    ----------
    standings
        Of the algorithms that were run on every problem; empty if there is one problem only.
    incomplete
        The others, with the problems they miss.
    omnibus
        Friedman's test; ``None`` if it does not apply.
    verdicts
        Pairwise signed-rank tests across problems; ``None`` for one problem.
    notes
        Footnotes, one line each.
    scores
        (problems, algorithms) Median over seeds on the frozen scale (0 ideal, 1 worst) of the algorithms that were run
        on every problem; empty if there is one problem only.
    """

    measure: str
    alpha: float
    tasks: list[TaskRanking]
    standings: list[Standing]
    incomplete: dict[str, list[str]]
    omnibus: Omnibus | None
    verdicts: Verdicts | None
    notes: list[str]
    scores: pd.DataFrame = field(repr=False, default_factory=pd.DataFrame)


def rank(
    results: pd.DataFrame,
    measure: str = "test",
    alpha: float = 0.05,
    where: Sequence[str] = (),
    mixed: bool = False,
    alone: bool = False,
    fronts: Sequence[ReferenceFront] = (),
) -> Ranking:
    """Rank the algorithms of recorded runs.

    Parameters
    ----------
    results
        From `load_results`.
    measure
        One of `snnbench.stats.measures.MEASURES`.
    alpha
        Significance level, after correction.
    where, mixed
        As in `snnbench.stats.selection.select`.
    alone
        Whether a single algorithm is enough, for its medians and intervals.
    fronts
        Frozen reference fronts for IGD+, from `snnbench.stats.references.load`.

    Raises
    ------
    UsageError
        If there is nothing that may be ranked, or fewer than two algorithms.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha must be between 0 and 1, got {alpha}")
    selection = select(results, where, mixed)
    runs, notes = selection.runs, selection.notes
    if runs["algorithm"].nunique() < 2 and not alone:
        raise UsageError(f"only one algorithm, {runs['algorithm'].iloc[0]}: nothing to compare it with")
    runs["value"] = measured(runs, measure, fronts)
    notes += remarks(runs, measure, fronts)
    if not selection.references.empty:
        shown = ", ".join(sorted(selection.references["algorithm"].unique()))
        notes.append(f"{shown}: uses gradients, not ranked")
    tasks = [_task(str(task), group, alpha) for task, group in runs.groupby("task", sort=True)]
    uneven = [t.task for t in tasks if t.seeds[0] != t.seeds[1]]
    if uneven:
        notes.append(f"algorithms have different numbers of seeds on {', '.join(uneven[:3])}")
    names = sorted(runs["algorithm"].unique())
    missing = {name: [t.task for t in tasks if name not in t.values] for name in names}
    incomplete = {name: gaps for name, gaps in missing.items() if gaps}
    complete = [name for name in names if name not in incomplete]
    standings: list[Standing] = []
    omnibus, verdicts, scores = None, None, pd.DataFrame()
    if len(tasks) > 1 and len(complete) > 1:
        scores = _scores(tasks, complete, runs, measure)
        standings, omnibus, verdicts = _across(tasks, scores, runs, alpha)
    return Ranking(measure, alpha, tasks, standings, incomplete, omnibus, verdicts, notes, scores)


def _task(task: str, runs: pd.DataFrame, alpha: float) -> TaskRanking:
    values = {str(name): group["value"].to_numpy() for name, group in runs.groupby("algorithm", sort=True)}
    failed = runs[runs["status"] == "failed"].groupby("algorithm").size().to_dict()
    names = list(values)
    verdicts = _verdicts({(a, b): mann_whitney(values[a], values[b]) for a, b in _pairs(names)}, alpha)
    ranks = verdicts.ranks(names)
    rng = np.random.default_rng(0)
    standings = []
    for name in names:
        low, high = _interval(np.median(_resampled(values[name], rng), axis=1))
        standings.append(
            _standing(
                name, verdicts, names, ranks, float(np.median(values[name])), low, high, len(values[name]), failed
            )
        )
    standings.sort(key=lambda s: (s.rank, s.value, s.algorithm))
    counts = [len(v) for v in values.values()]
    return TaskRanking(task, standings, verdicts, (min(counts), max(counts)), values)


def _scores(tasks: list[TaskRanking], names: list[str], runs: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Medians over seeds, on the frozen scale: within a problem its ranks are those of the medians themselves."""
    ends = runs.groupby("task")[["ideal", "worst"]].first()
    scores = {t.task: np.array([float(np.median(t.values[name])) for name in names]) for t in tasks}
    if measure not in ON_SCALE:
        for task, (ideal, worst) in zip(ends.index, ends.to_numpy(np.float64), strict=True):
            if not worst > ideal:
                raise UsageError(
                    f"{task}: its records hold no ideal and worst value, so it cannot be compared with others"
                )
            scores[task] = scaled(scores[task], ideal, worst)
    return pd.DataFrame.from_dict(scores, orient="index", columns=names)


def _across(
    tasks: list[TaskRanking], scores: pd.DataFrame, runs: pd.DataFrame, alpha: float
) -> tuple[list[Standing], Omnibus | None, Verdicts]:
    from scipy import stats  # here: a second that most commands do without

    names = list(scores)
    ranks = stats.rankdata(scores.to_numpy(), axis=1)
    omnibus = friedman(ranks)
    found = {(a, b): signed_rank(scores[a].to_numpy(), scores[b].to_numpy()) for a, b in _pairs(names)}
    # Pairs are looked at only where the omnibus test finds that there is something to be found.
    verdicts = _verdicts(found, alpha if omnibus is None or omnibus.p <= alpha else 0.0)
    shared = verdicts.ranks(names)
    rng = np.random.default_rng(0)
    medians = np.stack(
        [np.stack([np.median(_resampled(t.values[name], rng), axis=1) for name in names], axis=1) for t in tasks]
    )
    resampled = stats.rankdata(medians, axis=2)  # (tasks, resamples, algorithms)
    chosen = rng.integers(len(tasks), size=(len(tasks), RESAMPLES))
    means = np.take_along_axis(resampled, chosen[:, :, None], axis=0).mean(axis=0)
    failed = runs[runs["status"] == "failed"].groupby("algorithm").size().to_dict()
    standings = []
    for i, name in enumerate(names):
        low, high = _interval(means[:, i])
        count = sum(len(t.values[name]) for t in tasks)
        standings.append(_standing(name, verdicts, names, shared, float(ranks[:, i].mean()), low, high, count, failed))
    standings.sort(key=lambda s: (s.rank, s.value, s.algorithm))
    return standings, omnibus, verdicts


def _standing(
    name: str,
    verdicts: Verdicts,
    names: list[str],
    ranks: dict[str, int],
    value: float,
    low: float,
    high: float,
    runs: int,
    failed: dict[str, int],
) -> Standing:
    better = sum(verdicts.better(name, other) for other in names if other != name)
    return Standing(name, ranks[name], value, low, high, runs, failed.get(name, 0), better, ranks[name] - 1)


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]


def _verdicts(found: dict[tuple[str, str], Pair], alpha: float) -> Verdicts:
    corrected = holm([pair.p for pair in found.values()])
    return Verdicts(found, dict(zip(found, corrected.tolist(), strict=True)), alpha)


def _resampled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap samples (resamples, n); of sorted values, so that the order of seeds changes nothing."""
    return np.sort(values)[rng.integers(len(values), size=(RESAMPLES, len(values)))]


def _interval(samples: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of resamples; by order statistics, since there is no interpolating with infinities."""
    low, high = np.quantile(samples, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)
