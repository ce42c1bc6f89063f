"""Mixtures of networks: weights averaged layer by layer, and the ensemble that averages answers instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from snnbench.snn.metrics import metrics_of
from snnbench.snn.population import PopulationEvaluator
from snnbench.snn.readings import read
from snnbench.snn.tally import Tally


def layers_of(network: nn.Module) -> dict[str, int]:
    """Layer to its number of weights, in the order of ``parameters()``: a convolution with its normalisation is one."""
    sizes: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        layer = name.rsplit(".", 2)[0]
        sizes[layer] = sizes.get(layer, 0) + parameter.numel()
    return sizes


@dataclass(frozen=True)
class SoupCodec:
    """Mixing coordinates to weights: in every layer the members' weights, averaged with softmax weights.

    Attributes
    ----------
    members
        (M, D) float32 weights of the members.
    sizes
        Weights of every layer, in order; they add up to D.
    """

    members: torch.Tensor
    sizes: tuple[int, ...]

    @property
    def centre(self) -> torch.Tensor:
        """(D,) One member: what tells the shape and place of a weight vector."""
        return self.members[0]

    def decode(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Coordinates (layers * M,), layer by layer, to weights, written into `out` (D,)."""
        shares = x.view(len(self.sizes), -1).softmax(dim=1)
        start = 0
        for share, size in zip(shares, self.sizes, strict=True):
            torch.mv(self.members[:, start : start + size].t(), share, out=out[start : start + size])
            start += size
        return out


def ensemble(
    evaluator: PopulationEvaluator, rows: torch.Tensor, images: torch.Tensor, labels: torch.Tensor
) -> dict[str, np.ndarray]:
    """Metrics of the ensemble that averages its members' logits at every step.

    Parameters
    ----------
    evaluator
        Runs the members, their normalisation re-estimated as for any candidate.
    rows
        (M, d) coordinates of the members.
    images, labels
        As `PopulationEvaluator.evaluate` takes them.

    Returns
    -------
    dict of str to numpy.ndarray
        As `snnbench.snn.metrics.summarise` returns them; spikes and operations are the sums of all members, and a
        sample is silent if it is for every member.
    """
    logits, silent, tallies, usable = zip(*evaluator.answers(rows, images), strict=True)
    total = Tally()
    for tally in tallies:
        total.add(tally)
    operations = np.sum([tally.operations() for tally in tallies], axis=0)
    readings = read(torch.stack(logits).mean(dim=0), labels, torch.stack(silent).all(dim=0), evaluator.confidence)
    spikes = torch.stack([total.spikes[name] for name in sorted(total.spikes)]).cpu()
    neurons = len(rows) * sum(total.neurons.values())
    acs, macs = operations.tolist()
    metrics = metrics_of(readings.cpu(), spikes, neurons, acs, macs, evaluator.energy, all(usable))
    return metrics | {"cost": metrics["cost"] * len(rows)}


def greedy(errors: Sequence[float], error_of: Callable[[list[int]], float]) -> list[int]:
    """Members of the greedy soup (Wortsman et al. 2022, arXiv 2203.05482, Recipe 1).

    Parameters
    ----------
    errors
        Each member's own error, which sets the order in which they are tried.
    error_of
        Error of the plain average of a subset; a member is kept if that does not rise.

    Examples
    --------
    >>> greedy([0.3, 0.1, 0.2], lambda chosen: 0.1 if 0 not in chosen else 0.5)
    [1, 2]
    """
    order = sorted(range(len(errors)), key=lambda i: (errors[i], i))
    chosen, best = order[:1], errors[order[0]]
    for candidate in order[1:]:
        error = error_of([*chosen, candidate])
        if error <= best:
            chosen, best = [*chosen, candidate], error
    return chosen
