"""Training loss and surrogate gradient of a network whose weights are a vector: what `sgd` follows."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from snnbench.snn.layers import set_mode
from snnbench.snn.threads import run_all
from snnbench.snn.weights import Codec, attach


class WeightGradient:
    """Cross-entropy of the mean logits and its surrogate gradient with respect to coordinates.

    Batch normalisation uses the statistics of the batch, as in training. On a CPU a gradient is computed on one core,
    so that it does not depend on how many there are.

    Parameters
    ----------
    build
        Makes the network (its weights are overwritten).
    codec
        Coordinates to weights.
    prepare_images
        Maps uint8 images (N, C, H, W) to the network's input.
    device
        Of weights and images.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        codec: Codec,
        prepare_images: Callable[[torch.Tensor], torch.Tensor],
        device: torch.device,
    ) -> None:
        self.codec, self.prepare_images, self.device = codec, prepare_images, device
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and overwritten at once
            self._network = build().to(device)
        self._vector = torch.empty_like(codec.centre)
        attach(self._network, self._vector)
        for p in self._network.parameters():
            p.requires_grad_(True)
        set_mode(self._network, "batch")

    def __call__(self, x: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
        """Loss and gradient (d,) at ``x`` (d,) on images (N, C, H, W) uint8 with labels (N,)."""
        (result,) = run_all(self.device, [partial(self._compute, x, images, labels)])
        return result

    def _compute(self, x: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
        with torch.no_grad():
            self.codec.decode(x, out=self._vector)
        with torch.enable_grad():
            logits = self._network(self.prepare_images(images)).mean(dim=0)
            loss = F.cross_entropy(logits, labels)
            parts = torch.autograd.grad(loss, list(self._network.parameters()))
        scaled = [part.flatten() * scale for part, scale in zip(parts, self.codec.scales, strict=True)]
        return float(loss.detach()), torch.cat(scaled)
