"""What the source network itself is worth, counted as its conversions are."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from snnbench.snn.energy import EnergyModel
from snnbench.snn.folded import fan_out
from snnbench.snn.threads import run_all
from snnbench.snn.vgg import VGG


def source_metrics(
    network: VGG,
    images: torch.Tensor,
    labels: torch.Tensor,
    span: int,
    energy: EnergyModel,
    network_input: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
) -> dict[str, float]:
    """Error, loss and effective operations of one pass.

    Parameters
    ----------
    network
        In evaluation mode.
    images, labels
        (N, C, H, W), and (N,) on the network's device.
    span
        Samples per pass.
    energy
        The energy model; every operation is a MAC, as activations are real numbers.
    network_input
        From a span of the images to what the network takes, on its device.

    Returns
    -------
    dict of str to float
        ``error`` (a tie for the largest logit is wrong), ``loss`` (nats), ``macs``, ``synops`` (the same: non-zero
        input times non-zero weight), ``energy`` (nJ); per sample.
    """
    pieces = [slice(a, a + span) for a in range(0, len(images), span)]
    jobs = [partial(_sums, network, images[s], labels[s], network_input) for s in pieces]
    sums = run_all(labels.device, jobs)
    wrong, loss, macs = (sum(part) / len(images) for part in zip(*sums, strict=True))
    return {"error": wrong, "loss": loss, "macs": macs, "synops": macs, "energy": energy.energy(0.0, macs)}


@torch.inference_mode()
def _sums(
    network: VGG,
    images: torch.Tensor,
    labels: torch.Tensor,
    network_input: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[float, float, float]:
    images = network_input(images)
    *hidden, logits = network.run(images)
    own = logits.gather(1, labels[:, None])
    wrong = logits.scatter(1, labels[:, None], float("-inf")).amax(dim=1, keepdim=True) >= own
    macs = 0.0
    arriving = [images, *(F.relu(layer) for layer in hidden)]
    for x, weight, layer in zip(arriving, network.weights, [*network.plan, None], strict=True):
        shape = layer.source if layer is not None else network.plan[-1].shape
        present = x.ne(0.0).sum(dim=0, dtype=torch.float64).view(shape).permute(1, 2, 0).flatten()
        macs += float(present @ fan_out(weight, shape, layer))
    loss = F.cross_entropy(logits, labels, reduction="none").sum(dtype=torch.float64)
    return float(wrong.sum()), float(loss), macs
