"""Exact early rejection: a candidate is left as soon as it certainly loses.

Differential evolution compares a trial with one known value and otherwise forgets what it was worth. So a trial may be
left as soon as its errors so far, or its loss so far, exceed that value: what is decided is what the whole split would
have decided. Samples come hardest first, so that it shows early; a candidate that stays under its bound is measured
to the end, and then has the same metrics, to the last bit, as without all this.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from snnbench.snn.metrics import summarise
from snnbench.snn.population import PopulationEvaluator, Replica
from snnbench.snn.readings import Readings, read
from snnbench.snn.tally import Tally

LOOKS = {"error": 16, "loss": 6, "etc_loss": 6}
"""Means of something never negative, and how often to look at each: errors gather in few samples, losses in none, and
every look costs the time of a pass through the network."""
_ROUNDING = 1e-9  # of sums in another order, relative; no bound is undercut by so little


@dataclass(frozen=True)
class Order:
    """Samples, hardest first.

    Attributes
    ----------
    samples
        (N,) their numbers.
    burden
        (N,) what the reference candidates collect on average of the metric on the first 1..N of them, divided by N.
    """

    samples: torch.Tensor
    burden: np.ndarray


def hardest_first(
    evaluator: PopulationEvaluator, x: torch.Tensor, images: torch.Tensor, labels: torch.Tensor, metric: str
) -> Order:
    """Order samples by how much reference candidates (n, d), for instance the initial design, get them wrong.

    By the number of candidates in error where errors count, and by their mean loss among equals and otherwise. It
    does not change in a run, so a resumed run leaves candidates where an undisturbed one does.
    """
    wrong = torch.zeros(len(labels), dtype=torch.float64)
    loss = torch.zeros(len(labels), dtype=torch.float64)
    for logits, silent, _, _ in evaluator.answers(x, images):
        answer = logits.mean(dim=0)
        own = answer.gather(1, labels[:, None])[:, 0]
        rivals = answer.scatter(1, labels[:, None], float("-inf")).amax(dim=1)
        wrong += ((own <= rivals) | silent).double().cpu() / len(x)
        each = torch.nn.functional.cross_entropy(answer, labels, reduction="none").double().cpu()
        loss += torch.nan_to_num(each, nan=0.0, posinf=1e6) / len(x)
    burden = wrong if metric == "error" else loss
    keys = (-loss.numpy(), -burden.numpy())
    samples = np.lexsort(keys)
    return Order(torch.from_numpy(samples).to(labels.device), burden.numpy()[samples].cumsum() / len(labels))


def evaluate_bounded(
    evaluator: PopulationEvaluator,
    x: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    bounds: np.ndarray,
    metric: str,
    order: Order,
) -> dict[str, np.ndarray]:
    """Measure candidates until each is certainly worse than its bound.

    Parameters
    ----------
    evaluator
        Of the networks.
    x
        (n, d) coordinates.
    images, labels
        (N, C, H, W) uint8 and (N,).
    bounds
        (n,) values of the metric, +inf for a candidate that must be measured to the end.
    metric
        One of `LOOKS`.
    order
        From `hardest_first`.

    Returns
    -------
    dict of str to numpy.ndarray
        As `PopulationEvaluator.evaluate`, and ``rejected`` (1 or 0). The metric of a rejected candidate is the least
        that it can be, which is above its bound; its other metrics are of the samples seen, as its ``cost`` tells.
    """
    evaluator.require_single_kernels("early rejection")
    jobs = [
        partial(
            _measure, evaluator, x=row, images=images, labels=labels, bound=float(bound), metric=metric, order=order
        )
        for row, bound in zip(x, bounds, strict=True)
    ]
    rows = evaluator.spread(jobs)
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _measure(evaluator: PopulationEvaluator, replica: Replica, **arguments: Any) -> dict[str, np.ndarray]:
    return evaluator.with_memory(lambda chunk: _attempt(evaluator, replica, chunk=chunk, **arguments))


@torch.inference_mode()
def _attempt(
    evaluator: PopulationEvaluator,
    replica: Replica,
    x: torch.Tensor,
    images: torch.Tensor,
    labels: torch.Tensor,
    bound: float,
    metric: str,
    order: Order,
    chunk: int,
) -> dict[str, np.ndarray]:
    usable, network = bool(evaluator._load(replica, x)), replica[0]
    seen: list[tuple[Readings, Tally]] = []
    logits, silent = [], []
    for first, last in pairwise(_stops(order, bound, len(labels), LOOKS[metric], chunk)):
        chosen, tally = order.samples[first:last], Tally()
        logits.append(evaluator.forward(network, evaluator._input(images[chosen]), tally))
        assert tally.silent is not None
        silent.append(tally.silent)
        seen.append((read(logits[-1], labels[chosen], tally.silent, evaluator.confidence), tally))
        if last < len(labels) and usable:
            least = _least([readings for readings, _ in seen], metric, len(labels))
            if least > bound * (1 + _ROUNDING * (metric != "error")):
                summary = summarise(seen, evaluator.energy, usable)
                return summary | {metric: np.asarray(least), "rejected": np.asarray(1.0)}
    # In the order and the chunks of an evaluation without bounds, so that sums are rounded alike.
    back = torch.argsort(order.samples)
    answers, quiet = torch.cat(logits, dim=1)[:, back], torch.cat(silent)[back]
    total = Tally()
    for _, tally in seen:
        total.add(tally)
    whole = []
    for first in range(0, len(labels), chunk):
        rows = slice(first, first + chunk)
        readings = read(answers[:, rows], labels[rows], quiet[rows], evaluator.confidence)
        whole.append((readings, total if first == 0 else Tally()))
    return summarise(whole, evaluator.energy, usable) | {"rejected": np.asarray(0.0)}


def _least(seen: list[Readings], metric: str, samples: int) -> float:
    """The least that the metric can be on all samples, after those seen; -inf if a sum is not finite."""
    if not all(np.isfinite(readings.loss) for readings in seen):
        return -np.inf  # the whole evaluation says what is wrong with it
    if metric == "error":
        wrong = sum(readings.samples - float(readings.correct[-1]) for readings in seen)
        return 1.0 - (samples - wrong) / samples
    loss = sum(readings.loss for readings in seen)
    return (loss if metric == "loss" else loss + sum(r.consistency_loss for r in seen)) / samples


def _stops(order: Order, bound: float, samples: int, looks: int, chunk: int) -> list[int]:
    """After how many samples to look: first where the reference candidates would exceed the bound, then often."""
    first = int(np.searchsorted(order.burden, bound, side="right")) + 1
    found = [0]
    for stop in (*range(min(first, samples), samples, -(-samples // looks)), samples):
        while stop - found[-1] > chunk:  # what fits into memory
            found.append(found[-1] + chunk)
        found.append(stop)
    return found
