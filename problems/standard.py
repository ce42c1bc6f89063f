"""What the problem families share: metrics as objectives, the optional constraint, and data in a problem's context."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch

from snnbench.data.images import DataSet, Split
from snnbench.data.loading import blank, load
from snnbench.errors import DataError, UsageError
from snnbench.problem import Constraint, Context, Objective, Problem
from snnbench.snn.candidate import held_out
from snnbench.snn.energy import HOROWITZ_45NM

CONFIDENCE = 0.9
ENERGY = HOROWITZ_45NM

OBJECTIVES = {
    "error": Objective("share of samples misclassified after T steps"),
    "loss": Objective("cross-entropy of the logits averaged over T steps", "nats"),
    "energy": Objective(f"energy of the effective operations, {ENERGY.name}", "nJ"),
    "latency": Objective(f"mean steps until the softmax first reaches {CONFIDENCE}, else T", "steps"),
    "synops": Objective("effective synaptic operations (ACs + MACs)"),
    "spikes": Objective("spikes of all neurons over T steps"),
}
"""Metrics of `snnbench.snn.metrics.summarise` that any problem of classification can minimise."""

CONSTRAINTS = {
    "silent": Constraint("silent", 0.03, "share of samples for which the last neurons never fire, at most 0.03"),
}
"""The silent-network constraint (Firmin, Boulet, Talbi 2024, arXiv 2403.00450) with its published tolerance."""

Samples = tuple[torch.Tensor, torch.Tensor]

HELD = 5
"""Where evaluations train, one in so many search samples is scored; the others train."""


def load_data(name: str, context: Context, download: bool = True, stand_in: bool = False) -> DataSet:
    """A data set from the context's folders; with `stand_in`, black images of the published sizes.

    Without `download`, what would take long is left undone: data that is not here or not converted is a `DataError`.
    """
    if stand_in:
        return blank(name)
    return load(
        name,
        data_dir=context.data_dir,
        cache_dir=context.cache_dir,
        progress=context.progress,
        download=download,
        convert=download,
    )


def data_to_time(name: str, context: Context) -> DataSet:
    """What an estimate is timed on: the data if it is here and converted, else black images."""
    try:
        return load_data(name, context, download=False)
    except DataError:
        return load_data(name, context, stand_in=True)


def samples_of(data: DataSet, device: torch.device, search_samples: int = 0) -> dict[Split, Samples]:
    """Every split's images and labels on a device; of the search split the first `search_samples` only (0 for all).

    Raises
    ------
    UsageError
        If the search split has fewer.
    """
    found: dict[Split, Samples] = {split: data.split(split, device) for split in get_args(Split)}
    images, labels = found["search"]
    if search_samples > len(images):
        raise UsageError(f"{data.name}: search_samples={search_samples}, but the split has {len(images)}")
    if search_samples:
        found["search"] = images[:search_samples], labels[:search_samples]
    return found


def parse_blocks(text: str, side: int, owner: str) -> tuple[int, ...]:
    """Residual blocks of every stage of a SEW-ResNet, from text like 2-2-2-2.

    Parameters
    ----------
    text
        What the user wrote.
    side
        Side of the image, which every stage but the first halves.
    owner
        Problem and parameter, for messages.

    Raises
    ------
    UsageError
        For an impossible network.
    """
    try:
        blocks = tuple(int(count) for count in text.split("-"))
    except ValueError:
        blocks = ()
    if not blocks or min(blocks) < 1:
        raise UsageError(f"{owner} must look like 2-2-2-2, got {text!r}")
    if side % 2 ** (len(blocks) - 1):
        raise UsageError(f"{owner}: {len(blocks)} stages halve {side} pixels too often")
    return blocks


def learn_and_held(
    data: DataSet, device: torch.device, limits: tuple[int, int], owner: str
) -> tuple[Samples, dict[Split, Samples]]:
    """What candidates that train learn from, and every split's samples: of the search split one in `HELD` is scored.

    Parameters
    ----------
    limits, owner
        As of `snnbench.snn.candidate.held_out`.
    """
    found = samples_of(data, device)
    learn, found["search"] = held_out(found["search"], HELD, limits, owner)
    return learn, found


def stacked(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Metrics of single candidates as metrics (n, ...) of a population."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def describe_data(data: DataSet, samples: Mapping[Split, Samples]) -> dict[str, Any]:
    """Of a problem's description what says which samples it used."""
    return {
        "data": dict(data.provenance),
        "official": bool(data.provenance["official"]),
        "splits": {split: len(labels) for split, (_, labels) in samples.items()},
    }


def how_measured(problem: Problem) -> dict[str, Any]:
    """Of a problem's description what says how its metrics are measured and compared."""
    return {
        "energy_model": ENERGY.name,
        "confidence": CONFIDENCE,
        "reference_points": {name: list(ends) for name, ends in problem.reference_points().items()},
    }
