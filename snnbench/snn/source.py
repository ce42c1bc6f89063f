"""The source of a conversion: a VGG network trained once, cached by content, its weights moved to exact grids."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from snnbench.data.images import DataSet
from snnbench.errors import SnnbenchError
from snnbench.snn.conversion import round_image, round_weights
from snnbench.snn.threads import run_all
from snnbench.snn.training import TrainingRecipe, train
from snnbench.snn.vgg import VGG, VGGConfig
from snnbench.snn.weights import content_key, load_tensors, require_writable, save_tensors, tensor_hash

RECIPE_VERSION = 1  # raise it when anything below changes what is trained: cached checkpoints are then made anew


@dataclass(frozen=True)
class SourceTask:
    """All that determines a source network.

    Attributes
    ----------
    network
        Its shape.
    data
        The data set; only the samples that are passed to `make_source` are used.
    recipe
        How it is trained.
    samples
        Names the training samples, for the key of the checkpoint.
    instance
        Seed of initial weights, dropout, order of samples and augmentation.
    """

    network: VGGConfig
    data: DataSet
    recipe: TrainingRecipe
    samples: str
    instance: int = 0

    def describe(self) -> dict[str, Any]:
        """Plain data that names the content of the checkpoint."""
        return {
            "version": RECIPE_VERSION,
            "layout": self.network.layout,
            "dropout": self.network.dropout,
            "data": {"data": self.data.name, "sha256": self.data.provenance["sha256"]},
            "samples": self.samples,
            "recipe": self.recipe.describe(),
            "instance": self.instance,
        }

    def path(self, folder: Path, device: torch.device) -> Path:
        """Where the checkpoint is kept."""
        key = self.describe() | {"torch": torch.__version__, "device": device.type}
        return folder / f"source-{content_key(key)}.safetensors"

    def network_input(self, units: torch.Tensor) -> torch.Tensor:
        """Images in [0, 1] to what the network is fed with, on the grid of exact sums."""
        return round_image(self.data.standardize(units))

    @property
    def largest(self) -> float:
        """Largest absolute value that `network_input` can return."""
        ends = [
            (abs(mean / std), abs((1 - mean) / std)) for mean, std in zip(self.data.mean, self.data.std, strict=True)
        ]
        return max(max(pair) for pair in ends) + 1 / 256


def make_source(
    task: SourceTask,
    images: torch.Tensor,
    labels: torch.Tensor,
    folder: Path,
    progress: Callable[[str, int, int], None],
    device: torch.device | None = None,
) -> tuple[VGG, dict[str, Any]]:
    """Train the source, or read it from the cache.

    Parameters
    ----------
    task
        What to train.
    images, labels
        (N, C, H, W) uint8 and (N,): the training samples.
    folder
        Where checkpoints are kept.
    progress
        Called with (stage, epochs done, epochs in all).
    device
        Where to train; where the samples are if ``None``. On a CPU it trains on one core, so that the result does not
        depend on the number of cores.

    Returns
    -------
    VGG, dict
        The network in evaluation mode, its weights on exact grids; file name, SHA-256 and recipe.

    Raises
    ------
    SnnbenchError
        If training diverges.
    """
    device = device or images.device
    path = task.path(folder, device)
    network = VGG(task.network, task.instance).to(device)
    tensors = load_tensors(path)
    if tensors is None:
        require_writable(folder)
        stage, total = f"training the source network on {task.data.name}", task.recipe.epochs
        progress(stage, 0, total)
        report = partial(_report, progress, stage, total)
        job = partial(train, network, images, labels, task.recipe, task.instance, task.data.to_unit, task.network_input)
        run_all(device, [partial(job, on_epoch=report)])
        try:
            rounded = round_weights(list(network.weights), task.network, task.largest)
        except SnnbenchError:
            raise SnnbenchError(
                "training of the source network diverged; a smaller problem.lr is more stable"
            ) from None
        tensors = {f"weights.{i}": weight.cpu() for i, weight in enumerate(rounded)}
        save_tensors(path, tensors)
    network.load_state_dict(tensors)
    record = {"file": path.name, "sha256": tensor_hash(tensors), "recipe": task.recipe.describe()}
    return network.eval().requires_grad_(False), record


def source_seconds(task: SourceTask, samples: int, device: torch.device) -> float:
    """Seconds to train the source on so many samples, from timing a few; within a factor of two or so."""
    network = VGG(task.network, 0).to(device)

    def epoch(few: int) -> None:
        images = torch.zeros(few, *task.network.shape, dtype=torch.uint8, device=device)
        labels = torch.zeros(few, dtype=torch.int64, device=device)
        recipe = TrainingRecipe(1, few, lr=1e-3, augmentation=task.recipe.augmentation)
        train(network, images, labels, recipe, 0, task.data.to_unit, task.network_input)

    def job(few: int) -> None:
        run_all(device, [partial(epoch, few)])

    return seconds_per_sample(job, min(samples, task.recipe.batch)) * samples * task.recipe.epochs


def seconds_per_sample(job: Callable[[int], object], limit: int) -> float:
    """Time a job on more and more samples, at most `limit`, until it takes a quarter of a second."""
    few = 1
    job(few)  # makes buffers and kernels
    while True:
        start = time.perf_counter()
        job(few)
        seconds = time.perf_counter() - start
        if seconds > 0.25 or few == limit:
            return seconds / few
        few = min(4 * few, limit)


def _report(progress: Callable[[str, int, int], None], stage: str, total: int, epoch: int) -> None:
    progress(stage, epoch, total)
