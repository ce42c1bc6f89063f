"""A candidate that is a recipe: its network is trained from scratch on one part of the data and read on another."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from snnbench.data.splits import by_rule
from snnbench.errors import UsageError
from snnbench.snn.layers import ConvNorm, set_mode
from snnbench.snn.readings import Readings, read
from snnbench.snn.tally import Tally
from snnbench.snn.threads import run_all
from snnbench.snn.training import TrainingRecipe, train

Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Chunks = list[tuple[Readings, Tally]]
Samples = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """From stored pixels to a network's input.

    Attributes
    ----------
    to_unit
        uint8 pixels to [0, 1]; augmentation works on the result.
    standardize
        That to the network's input.
    """

    to_unit: Callable[[torch.Tensor], torch.Tensor]
    standardize: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels to the network's input."""
        return self.standardize(self.to_unit(pixels))


def layer_generator(seed: int, name: str) -> torch.Generator:
    """Random numbers of one layer: they do not depend on which other layers there are, or on the global generator."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


@torch.no_grad()
def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network whose initial weights depend on a seed alone, on the CPU.

    Convolutions have normal weights of variance 2 / fan-out (He et al. 2015), linear layers torch's uniform ones,
    within 1 / sqrt(fan-in), normalisation its usual start.
    """
    with torch.device("meta"):
        network = build()
    network.to_empty(device="cpu")
    for name, module in network.named_modules():
        generator = layer_generator(seed, name)
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight.numel() / module.in_channels
            module.weight.normal_(0.0, math.sqrt(2.0 / fan_out), generator=generator)
        elif isinstance(module, nn.Linear):
            bound = 1.0 / math.sqrt(module.in_features)
            for tensor in module.parameters():
                tensor.uniform_(-bound, bound, generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return network


def fit(
    network: nn.Module,
    samples: Samples,
    recipe: TrainingRecipe,
    seed: int,
    preprocessing: Preprocessing,
    criterion: Criterion | None = None,
) -> str:
    """Train a network in place; "" or why the result is of no use.

    Parameters
    ----------
    network
        Maps inputs to logits (T, N, K).
    samples
        Pixels (N, ...) uint8 and labels (N,), on the network's device.
    recipe, seed, criterion
        See `snnbench.snn.training.train`.
    preprocessing
        Pixels to inputs.
    """
    with torch.enable_grad():
        loss = train(
            network, *samples, recipe, seed, preprocessing.to_unit, preprocessing.standardize, criterion=criterion
        )
    tensors = [t for t in network.state_dict().values() if t.is_floating_point()]
    finite = torch.stack([t.isfinite().all() for t in tensors]).all()
    return "" if finite and loss == loss else "training diverged: the weights are not finite"


def fold(network: nn.Module) -> None:
    """Make a trained network ready for evaluation: running statistics folded into the convolutions."""
    set_mode(network, "folded")
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.fold()


@torch.inference_mode()
def run(
    network: nn.Module,
    samples: Samples,
    preprocessing: Preprocessing,
    chunk: int,
    confidence: float,
) -> Chunks:
    """Readings and tally of a network that is ready for evaluation, chunk by chunk: see `metrics.summarise`.

    Parameters
    ----------
    network
        Called with inputs and a `Tally`, which it fills, `Tally.silent` included.
    samples
        Pixels (N, ...) uint8 and labels (N,).
    preprocessing
        Pixels to inputs.
    chunk
        Samples per pass.
    confidence
        Softmax probability for the early exit.
    """
    chunks = []
    for images, labels in zip(samples[0].split(chunk), samples[1].split(chunk), strict=True):
        tally = Tally()
        logits = network(preprocessing(images), tally)
        assert tally.silent is not None
        chunks.append((read(logits, labels, tally.silent, confidence), tally))
    return chunks


def held_out(samples: Samples, one_in: int, limits: tuple[int, int], owner: str) -> tuple[Samples, Samples]:
    """Split search samples into those that train and those that score, by the images' hashes, class by class.

    Parameters
    ----------
    samples
        Pixels (N, ...) uint8 and labels (N,).
    one_in
        One in so many of every class, rounded up, is held out; of all together where classes have one sample each.
    limits
        Use only the first so many of both parts; 0 for all.
    owner
        Whose samples these are, for messages.

    Raises
    ------
    UsageError
        If a part has fewer samples than its limit.
    """
    pixels, labels = samples
    rule = {"validation_one_in": one_in}
    stored, classes = pixels.cpu().numpy(), labels.cpu().numpy()
    learnt, held = by_rule(stored, classes, rule)
    if not len(held):  # one sample per class
        learnt, held = by_rule(stored, np.zeros_like(classes), rule)
    parts = []
    for index, limit, name in zip((learnt, held), limits, ("train_samples", "held_samples"), strict=True):
        if limit > len(index):
            raise UsageError(f"{owner}: {name}={limit}, but there are {len(index)}")
        rows = torch.from_numpy(index[: limit or None]).to(pixels.device)
        parts.append((pixels[rows], labels[rows]))
    return parts[0], parts[1]


def seconds(device: torch.device, job: Callable[[], object]) -> float:
    """How long a job takes on the device's pool, the second time."""
    run_all(device, [job])
    start = time.perf_counter()
    run_all(device, [job])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
