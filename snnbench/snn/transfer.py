"""Members by transfer learning: one source model, then the same network fine-tuned with different recipes.

The initial population of CADE (arXiv 2406.02349) consists of networks that were fine-tuned from one CIFAR-10 model
with different label smoothing, mixup, RandAugment strength and random erasing.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnbench.data.images import DataSet
from snnbench.errors import SnnbenchError
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.threads import run_all, workers
from snnbench.snn.training import TrainingRecipe, train
from snnbench.snn.weights import content_key, load_tensors, require_writable, save_tensors, tensor_hash

RECIPE_VERSION = 1  # raise it when anything below changes what is trained: cached checkpoints are then made anew

# Layers draw their initial weights from torch's global generator, which all threads share.
_INITIALISATION = threading.Lock()


@dataclass(frozen=True)
class TransferTask:
    """All that determines the members.

    Attributes
    ----------
    network
        The target network; the source has the same shape with its own number of classes.
    source, target
        Data sets; only their search splits are used.
    source_recipe, recipe
        Training of the source, and the base recipe of the members.
    members
        How many. The i-th takes one of the 2^3 combinations of label smoothing {0, 0.1}, mixup {0, 0.1} and random
        erasing {0, 0.25}; every further eight double the strength of the geometric augmentation.
    samples
        Train on the first so many samples of the search splits only; 0 for all.
    instance
        Seeds the source and the members: another instance of the same problem.
    """

    network: SEWConfig
    source: DataSet
    target: DataSet
    source_recipe: TrainingRecipe
    recipe: TrainingRecipe
    members: int
    samples: int = 0
    instance: int = 0

    def recipes(self) -> list[TrainingRecipe]:
        """The recipe of every member."""
        combinations = list(product((0.0, 0.1), (0.0, 0.1), (0.0, 0.25)))
        recipes = []
        for i in range(self.members):
            smoothing, mixing, erasing = combinations[i % len(combinations)]
            base = self.recipe.augmentation
            strength = min(1.0, base.strength * 2 ** (i // len(combinations)))
            augmentation = replace(base, mixup=mixing, erasing=erasing, strength=strength)
            recipes.append(replace(self.recipe, label_smoothing=smoothing, augmentation=augmentation))
        return recipes

    def describe(self) -> dict[str, Any]:
        """Plain data that names the content of every checkpoint."""
        return {
            "version": RECIPE_VERSION,
            "blocks": list(self.network.blocks),
            "width": self.network.width,
            "steps": self.network.steps,
            "neuron": self.network.neuron.describe(),
            "source": {"data": self.source.name, "sha256": self.source.provenance["sha256"]},
            "target": {"data": self.target.name, "sha256": self.target.provenance["sha256"]},
            "source_classes": list(self.source.class_names),
            "source_recipe": self.source_recipe.describe(),
            "samples": self.samples,
            "instance": self.instance,
        }


def make_members(
    task: TransferTask,
    folder: Path,
    device: torch.device,
    progress: Callable[[str, int, int], None],
) -> tuple[torch.Tensor, list[dict[str, Any]]]:
    """Train the members, or read them from the cache.

    Parameters
    ----------
    task
        What to train.
    folder
        Where checkpoints are kept, named by their content: the task, the member's recipe, torch's version and the
        type of device.
    device
        Where to train. On a CPU every network trains on one core, several at a time, so that the result does not
        depend on the number of cores.
    progress
        Called with (stage, epochs done, epochs in all).

    Returns
    -------
    members : torch.Tensor
        (n, d) float32 weights on the device.
    records : list of dict
        Recipe, SHA-256 and file name of every checkpoint, the source first.
    """
    require_writable(folder)
    recipes = task.recipes()
    source_path, paths = checkpoint_paths(task, folder, device)
    found = [load_tensors(path) for path in paths]
    source = load_tensors(source_path)
    if source is None:
        network = _new_network(task.network, task.source.classes, _seed(task, 0)).to(device)
        total = task.source_recipe.epochs
        progress(f"training the source model on {task.source.name}", 0, total)
        report = partial(_report, progress, f"training the source model on {task.source.name}", total)
        run_all(
            device, [partial(_train, network, task.source, task.samples, task.source_recipe, _seed(task, 1), report)]
        )
        source = _trained(network, "the source model")
        save_tensors(source_path, source)
    missing = [i for i, tensors in enumerate(found) if tensors is None]
    if missing:
        stage = f"fine-tuning {len(missing)} members on {task.target.name}"
        total = sum(recipes[i].epochs for i in missing)
        done = [0]
        progress(stage, 0, total)

        def fine_tune(i: int) -> dict[str, torch.Tensor]:
            network = _transferred(task, source, i).to(device)

            def on_epoch(_: int) -> None:
                done[0] += 1
                progress(stage, done[0], total)

            _train(network, task.target, task.samples, recipes[i], _seed(task, 100 + i), on_epoch)
            tensors = _trained(network, f"member {i}")
            save_tensors(paths[i], tensors)
            return tensors

        for i, made in zip(missing, run_all(device, [partial(fine_tune, i) for i in missing]), strict=True):
            found[i] = made
    names = [name for name, _ in _new_network(task.network, task.network.classes, 0).named_parameters()]
    vectors = [torch.cat([tensors[name].flatten() for name in names]) for tensors in found if tensors is not None]
    records = [{"file": source_path.name, "sha256": tensor_hash(source), "recipe": task.source_recipe.describe()}]
    for path, recipe, tensors in zip(paths, recipes, found, strict=True):
        assert tensors is not None
        records.append({"file": path.name, "sha256": tensor_hash(tensors), "recipe": recipe.describe()})
    return torch.stack(vectors).to(device), records


def checkpoint_paths(task: TransferTask, folder: Path, device: torch.device) -> tuple[Path, list[Path]]:
    """Where the source's and the members' checkpoints are kept."""
    common = task.describe() | {"torch": torch.__version__, "device": device.type}
    source = folder / f"source-{content_key(common)}.safetensors"
    keys = [content_key(common | {"recipe": r.describe(), "member": i}) for i, r in enumerate(task.recipes())]
    return source, [folder / f"member-{key}.safetensors" for key in keys]


def training_seconds(task: TransferTask, device: torch.device) -> tuple[float, float]:
    """Seconds to train the source and all members, from timing a few samples: an estimate within a factor of two."""
    images, labels = task.target.split("search", device)
    network = _new_network(task.network, task.network.classes, 0).to(device)

    def epoch(few: int) -> None:
        recipe = replace(task.recipe, epochs=1, batch=few)
        train(network, images[:few], labels[:few], recipe, 0, task.target.to_unit, task.target.standardize)

    few, seconds, limit = 0, 0.0, min(len(images), 32)
    while seconds < 0.5 and few < limit:  # a large network on a CPU takes seconds for a single sample
        few = min(max(2, 4 * few), limit)
        seconds = seconds_of(partial(run_all, device, [partial(epoch, few)]), device)
    per_sample = seconds / few
    learnt = [min(data.size("search"), task.samples or math.inf) for data in (task.source, task.target)]
    source = per_sample * task.source_recipe.epochs * learnt[0]
    members = per_sample * task.recipe.epochs * learnt[1] * task.members
    return source, members / min(workers(device.type), task.members)


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Seconds that something takes: the least of three times, for whatever else a machine does only adds to it."""
    fastest = math.inf
    for number in range(3):
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
        fastest = min(fastest, seconds)
        if number and seconds > 2.0:  # the first time may import or compile something
            break
    return fastest


def _train(
    network: nn.Module,
    data: DataSet,
    samples: int,
    recipe: TrainingRecipe,
    seed: int,
    on_epoch: Callable[[int], None],
) -> None:
    device = next(network.parameters()).device
    images, labels = (part[: samples or None] for part in data.split("search", device))
    try:
        train(network, images, labels, recipe, seed, data.to_unit, data.standardize, on_epoch)
    except torch.cuda.OutOfMemoryError:
        raise SnnbenchError(f"out of GPU memory while training on {data.name}; a smaller problem.batch helps") from None


def _transferred(task: TransferTask, source: dict[str, torch.Tensor], member: int) -> SEWResNet:
    network = _new_network(task.network, task.network.classes, _seed(task, 200 + member))
    body = {name: tensor for name, tensor in source.items() if not name.startswith("readout.")}
    network.load_state_dict(body, strict=False)
    return network


def _new_network(config: SEWConfig, classes: int, seed: int) -> SEWResNet:
    with _INITIALISATION, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SEWResNet(replace(config, classes=classes))


def _seed(task: TransferTask, stream: int) -> int:
    return 1_000_003 * task.instance + stream


def _trained(network: nn.Module, what: str) -> dict[str, torch.Tensor]:
    tensors = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise SnnbenchError(f"training of {what} diverged: its weights are not finite; a larger batch is more stable")
    return tensors


def _report(progress: Callable[[str, int, int], None], stage: str, total: int, epoch: int) -> None:
    progress(stage, epoch, total)
