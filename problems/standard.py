"""What the problem families share: metrics as objectives, the optional constraint, and data in a problem's context."""

from typing import get_args

import torch

from snnbench.data.images import DataSet, Split
from snnbench.data.loading import blank, load
from snnbench.errors import UsageError
from snnbench.problem import Constraint, Context, Objective
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
"""Metrics of `snnbench.snn.population.summarise` that any problem of classification can minimise."""

CONSTRAINTS = {
    "silent": Constraint("silent", 0.03, "share of samples for which the last neurons never fire, at most 0.03"),
}
"""The silent-network constraint (Firmin, Boulet, Talbi 2024, arXiv 2403.00450) with its published tolerance."""

Samples = tuple[torch.Tensor, torch.Tensor]


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
