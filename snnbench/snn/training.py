"""Training by surrogate gradient: source models and members."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from snnbench.data.augment import AugmentationRecipe
from snnbench.snn.descent import Descent, cosine
from snnbench.snn.layers import set_mode
from snnbench.snn.threads import give_up_if_abandoned


@dataclass(frozen=True)
class TrainingRecipe:
    """Stochastic gradient descent with Nesterov momentum and a cosine schedule to zero.

    Attributes
    ----------
    epochs, batch
        Passes over the data, samples per step.
    lr, momentum, weight_decay
        Optimizer constants.
    label_smoothing
        Of the cross-entropy of the mean logits.
    augmentation
        What is done to the images.
    """

    epochs: int
    batch: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)

    def describe(self) -> dict[str, Any]:
        """Plain data for the record and for the key of cached checkpoints."""
        return asdict(self)


def train(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: TrainingRecipe,
    seed: int,
    to_unit: Callable[[torch.Tensor], torch.Tensor],
    standardize: Callable[[torch.Tensor], torch.Tensor],
    on_epoch: Callable[[int], None] = lambda epoch: None,
    criterion: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
) -> float:
    """Train a network in place.

    Parameters
    ----------
    network
        Maps images (N, C, H, W) to logits (T, N, K).
    images, labels
        (N, C, H, W) uint8 and (N,) int64, both on the network's device; or both on the CPU where they are too many for
        it (a memory map), and every batch is moved.
    recipe
        How.
    seed
        Of the order of samples and of augmentation.
    to_unit, standardize
        uint8 pixels to [0, 1], and these to the network's input; augmentation works between the two.
    on_epoch
        Called with the number of epochs done.
    criterion
        Loss of logits (T, N, K) and labels (N,); if ``None`` the cross-entropy of the mean logits.

    Returns
    -------
    float
        Mean training loss of the last epoch.
    """
    generator = torch.Generator(device=images.device).manual_seed(seed)
    device = next(network.parameters()).device
    descent = Descent(network.parameters(), recipe.momentum, recipe.weight_decay)
    # A last batch of one sample has no variance to normalise by: it is left to the next epoch's order.
    batches = max(1, len(images) // recipe.batch + (len(images) % recipe.batch > 1))
    rates = cosine(recipe.lr, recipe.epochs * batches)
    over_time = criterion is not None
    if criterion is None:
        criterion = partial(F.cross_entropy, label_smoothing=recipe.label_smoothing)
    set_mode(network, "batch")
    mean_loss = float("nan")
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(images), generator=generator, device=images.device)
        total = torch.zeros((), device=device)
        for b in range(batches):
            give_up_if_abandoned()
            index = order[b * recipe.batch : (b + 1) * recipe.batch]
            pixels, (a, other, share) = recipe.augmentation.apply(to_unit(images[index]), labels[index], generator)
            logits, a, other = network(standardize(pixels).to(device)), a.to(device), other.to(device)
            if not over_time:
                logits = logits.mean(dim=0)
            loss = share * criterion(logits, a)
            if share < 1.0:
                loss = loss + (1.0 - share) * criterion(logits, other)
            descent.forget()
            loss.backward()
            descent.step(next(rates))
            total += loss.detach()
        mean_loss = float(total) / batches
        on_epoch(epoch + 1)
    return mean_loss
