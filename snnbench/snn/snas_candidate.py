"""What one cell is worth: its training-free scores, or its network after training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from snnbench.errors import UsageError
from snnbench.snn.architecture_score import VARIANTS, scores
from snnbench.snn.candidate import Preprocessing, Samples, fit, fold, run
from snnbench.snn.energy import EnergyModel
from snnbench.snn.layers import set_mode
from snnbench.snn.metrics import summarise
from snnbench.snn.readings import read
from snnbench.snn.snas_cell import NODES
from snnbench.snn.snas_network import SNASConfig, SNASNet
from snnbench.snn.tally import Tally
from snnbench.snn.training import TrainingRecipe

Row = dict[str, np.ndarray]
METRICS = (
    "error", "loss", "etc_loss", "inconsistency", "latency", "exit_error",
    "spikes", "acs", "macs", "synops", "energy", "silent", "rate",
)  # fmt: skip
"""Metrics of `metrics.summarise` that are one number, without its cost."""

SCORES = {name.replace("-", "_"): name for name in VARIANTS}
"""The score's variants by the names of their metrics."""


@dataclass(frozen=True)
class CellTask:
    """All that does not depend on the cell.

    Attributes
    ----------
    config
        Shape of the network.
    preprocessing
        Pixels to inputs.
    seed
        Of initial weights; the order of samples in training and dropout take the next two.
    energy
        The energy model.
    confidence
        Softmax probability for the early exit.
    device
        Where networks run.
    """

    config: SNASConfig
    preprocessing: Preprocessing
    seed: int
    energy: EnergyModel
    confidence: float
    device: torch.device

    def network(self, matrix: np.ndarray) -> SNASNet:
        """The untrained network of a repaired cell."""
        return SNASNet(self.config, matrix, self.seed).to(self.device)


@torch.no_grad()
def score_cell(task: CellTask, matrix: np.ndarray, batches: Sequence[Samples]) -> dict[str, float]:
    """`SCORES` and `METRICS` of a cell's untrained network, normalised by each batch's statistics, without dropout.

    Parameters
    ----------
    task
        Everything else.
    matrix
        (4, 4), repaired.
    batches
        Pixels (n, C, H, W) uint8 and labels (n,) of each batch; scores are means over batches.
    """
    network = task.network(matrix)
    set_mode(network, "batch")
    rows, chunks = [], []
    for pixels, labels in batches:
        tally, record = Tally(), dict[str, list[torch.Tensor]]()
        logits = network(task.preprocessing(pixels), tally, record)
        rows.append(scores(torch.cat(pieces) for pieces in record.values()))
        assert tally.silent is not None
        chunks.append((read(logits, labels, tally.silent, task.confidence), tally))
    found = summarise(chunks, task.energy)
    means = {name: float(np.mean([row[variant] for row in rows])) for name, variant in SCORES.items()}
    return means | {name: float(found[name]) for name in METRICS}


def train_cell(
    task: CellTask,
    matrix: np.ndarray,
    recipe: TrainingRecipe,
    learn: Samples,
    held: Samples,
    chunk: int,
) -> Row:
    """The metrics of `metrics.summarise` of a cell's network trained on `learn` and read on `held`.

    ``layer_spikes`` has the rows of `layer_names`: zero where the cell has no such layer.
    """
    network = task.network(matrix)
    network.seed_dropout(task.seed + 2, task.device)
    failure = fit(network, learn, recipe, task.seed + 1, task.preprocessing)
    fold(network)
    chunks = run(network, held, task.preprocessing, chunk, task.confidence)
    row = summarise(chunks, task.energy, usable=not failure)
    names = layer_names(task.config.stepwise)
    spikes = np.zeros((len(names), task.config.steps))
    for name, values in zip(sorted(chunks[0][1].spikes), row["layer_spikes"], strict=True):
        spikes[names.index(name)] = values
    return row | {"layer_spikes": spikes, "failure": np.asarray(failure or str(row["failure"]))}


def first_batches(samples: Samples, size: int, count: int, owner: str) -> list[Samples]:
    """The first samples in at most `count` batches of `size`.

    Raises
    ------
    UsageError
        If there are not enough for one batch.
    """
    images, labels = samples
    if len(images) < size:
        raise UsageError(f"{owner}: score_batch={size}, but there are {len(images)} images")
    pairs = zip(images.split(size)[:count], labels.split(size), strict=False)
    return [(pixels, own) for pixels, own in pairs if len(pixels) == size]


def layer_names(backward: bool) -> list[str]:
    """The neuron layers that a cell's network can have, in the order in which evaluations record their spikes."""
    pairs = [(i, j) for i in range(NODES) for j in range(NODES) if i < j or (backward and i > j)]
    return sorted([f"cell{k}.{i}-{j}" for k in (1, 2) for i, j in pairs] + ["down", "hidden", "last"])


def blank_row(config: SNASConfig) -> Row:
    """The metrics of `train_cell` without values: of a cell that cannot be trained."""
    layers = np.full((len(layer_names(config.stepwise)), config.steps), np.nan)
    arrays = {"accuracy": np.zeros(config.steps), "layer_spikes": layers}
    return {name: np.asarray(np.nan) for name in METRICS} | arrays


def apart(row: Row) -> Row:
    """A row of `train_cell` under names of its own, ``trained_error`` and so on, without the arrays."""
    return {f"trained_{name}": row[name] for name in METRICS}
