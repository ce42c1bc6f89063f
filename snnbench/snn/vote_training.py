"""Training of a voting network by surrogate gradient, with the silent-network criterion."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F

from snnbench.snn.descent import Descent
from snnbench.snn.layers import folded_finite, set_mode
from snnbench.snn.plif_network import VOTERS, PLIFNetwork
from snnbench.snn.readings import Readings, read
from snnbench.snn.silence import SilentMonitor
from snnbench.snn.tally import Tally
from snnbench.snn.threads import give_up_if_abandoned


@dataclass(frozen=True)
class VoteRecipe:
    """Stochastic gradient descent with Nesterov momentum on the squared error of the votes.

    Attributes
    ----------
    epochs, batch
        Passes over the data, samples per step.
    lr, momentum
        Learning rate and Nesterov momentum.
    lr_decay
        Factor on the learning rate after every epoch.
    """

    epochs: int
    batch: int
    lr: float
    momentum: float
    lr_decay: float


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes
    ----------
    samples
        Samples trained on, over all epochs.
    failure
        "" or why it broke off.
    """

    samples: int
    failure: str = ""


def squared_error(votes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean over samples and classes of (mean vote - one-hot)^2; votes (T, N, K) as `PLIFNetwork` returns them."""
    target = F.one_hot(labels, votes.shape[2]).to(votes)
    return F.mse_loss(votes.mean(dim=0) / VOTERS, target)


def train_votes(
    network: PLIFNetwork,
    load: Callable[[torch.Tensor], torch.Tensor],
    labels: torch.Tensor,
    recipe: VoteRecipe,
    monitor: SilentMonitor,
    seed: int,
) -> Trained:
    """Train a network in place, until all epochs are done or the monitor stops it.

    Parameters
    ----------
    network
        On the device of the data.
    load
        Sample numbers (n,) to the network's input.
    labels
        (N,) int64.
    recipe
        How.
    monitor
        Counts the output spikes of every batch as it is trained on.
    seed
        Of the order of samples and of dropout.
    """
    order_of = torch.Generator().manual_seed(seed)
    network.mask = torch.Generator().manual_seed(seed + 1)
    descent, lr = Descent(network.parameters(), recipe.momentum), recipe.lr
    set_mode(network, "batch")
    total = 0
    for _ in range(recipe.epochs):
        monitor.start_epoch()
        for index in torch.randperm(len(labels), generator=order_of).to(labels.device).split(recipe.batch):
            give_up_if_abandoned()
            votes = network(load(index))
            loss = squared_error(votes, labels[index])
            total += len(index)
            descent.forget()
            loss.backward()
            descent.step(lr)
            if monitor.see(votes.detach().sum(dim=(0, 2)).tolist()):
                return Trained(total, _broken(network, total))
        lr *= recipe.lr_decay
    return Trained(total, _broken(network, total))


def calibrate(network: PLIFNetwork, x: torch.Tensor) -> bool:
    """Re-estimate the batch normalisation on input x and fold it; whether all layers are finite."""
    set_mode(network, "calibrate")
    with torch.inference_mode():
        network(x)
    set_mode(network, "folded")
    return bool(folded_finite(network))


def _broken(network: PLIFNetwork, samples: int) -> str:
    finite = all(bool(p.isfinite().all()) for p in network.parameters())
    return "" if finite else f"training diverged: weights are not finite after {samples} samples"


@torch.inference_mode()
def score_votes(
    network: PLIFNetwork,
    load: Callable[[slice], torch.Tensor],
    labels: torch.Tensor,
    chunk: int,
    confidence: float,
) -> tuple[list[tuple[Readings, Tally]], float]:
    """Run a calibrated network over samples.

    Parameters
    ----------
    load
        Consecutive samples to the network's input.
    labels
        (N,) int64.
    chunk
        Samples per pass.
    confidence
        Softmax probability for the early exit; the logits of a step are the classes' spikes, 0 to 10.

    Returns
    -------
    list of (Readings, Tally)
        One per chunk, for `snnbench.snn.metrics.summarise`.
    float
        Mean squared error of the votes.
    """
    parts, error = [], 0.0
    for start in range(0, len(labels), chunk):
        span = slice(start, start + chunk)
        tally = Tally()
        votes = network(load(span), tally)
        assert tally.silent is not None
        parts.append((read(votes, labels[span], tally.silent, confidence), tally))
        error += float(squared_error(votes, labels[span])) * votes.shape[1]
    return parts, error / len(labels)


def rebin(frames: torch.Tensor, steps: int, binary: bool) -> torch.Tensor:
    """Merge consecutive frames (S, N, C, H, W) into `steps` <= S: counts are added, binary frames united.

    Frame i goes to step floor(i steps / S), so that steps cover equal parts of the recording up to rounding.
    """
    available = len(frames)
    if not 1 <= steps <= available:
        raise ValueError(f"{available} frames cannot be merged into {steps}")
    if steps == available:
        return frames
    starts = [-(-t * available // steps) for t in range(steps + 1)]
    parts = [frames[a:b].amax(dim=0) if binary else frames[a:b].sum(dim=0) for a, b in pairwise(starts)]
    return torch.stack(parts)
