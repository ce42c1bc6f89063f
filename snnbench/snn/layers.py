"""Connections of a spiking network: convolution with batch normalisation, and the linear readout.

Both act on sequences (T, N, ...) with time folded into the batch, and report to a `Tally` what their inputs were,
so that synaptic operations can be counted without running anything twice.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from snnbench.snn.tally import Tally

Mode = Literal["batch", "calibrate", "folded"]


class ConvNorm(nn.Module):
    """Convolution without bias, then batch normalisation over (T, N, H, W).

    Three ways to run, by `mode`:

    * ``"batch"``: normalise by the batch's own statistics and update the running ones (training);
    * ``"calibrate"``: normalise by the batch's own statistics and keep exactly these, then fold;
    * ``"folded"``: one convolution whose weights and bias contain the normalisation (evaluation).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.mode: Mode = "batch"
        self._weight: torch.Tensor | None = None
        self._bias: torch.Tensor | None = None

    def forward(self, x: torch.Tensor, tally: Tally | None = None, source: str = "") -> torch.Tensor:
        """(T, N, C, H, W) to (T, N, C', H', W'). `source` names in the tally the spikes that x consists of."""
        flat = x.flatten(0, 1)
        if tally is not None:
            tally.connection(self.conv, flat, source)
        if self.mode == "folded":
            y = F.conv2d(flat, self._weight, self._bias, self.conv.stride, self.conv.padding)  # type: ignore[arg-type]
        else:
            y = self.conv(flat)
            if self.mode == "calibrate":
                variance, mean = torch.var_mean(y, dim=(0, 2, 3), correction=0)
                self.norm.running_mean.copy_(mean)  # type: ignore[union-attr]
                self.norm.running_var.copy_(variance)  # type: ignore[union-attr]
                self.fold()
                y = F.batch_norm(y, mean, variance, self.norm.weight, self.norm.bias, False, 0.0, self.norm.eps)
            else:
                y = self.norm(y)
        return y.unflatten(0, x.shape[:2])

    @torch.no_grad()
    def fold(self) -> None:
        """Fold the running statistics and the affine part into the convolution, for mode ``"folded"``."""
        norm, weight = self.norm, self.conv.weight
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)  # type: ignore[operator, arg-type]
        # Channels last is 1.5 to 6 times faster for the small convolutions of a spiking network on a CPU.
        self._weight = (weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
        self._bias = torch.addcmul(norm.bias, norm.running_mean, scale, value=-1.0)  # type: ignore[arg-type]


class Readout(nn.Module):
    """Global average pooling and a linear layer at every step."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: torch.Tensor, tally: Tally | None = None) -> torch.Tensor:
        """(T, N, C, H, W) to logits (T, N, K)."""
        pooled = x.mean(dim=(3, 4))
        if tally is not None:
            tally.connection(self.fc, pooled.flatten(0, 1), analog=True)
            tally.silent = pooled.sum(dim=(0, 2)).eq(0.0)
        logits: torch.Tensor = self.fc(pooled)
        return logits


def folded_finite(network: nn.Module) -> bool:
    """Whether what `ConvNorm.fold` made is finite in every layer; NaN or inf in a layer's weights shows there."""
    sums = [m._bias.sum() for m in network.modules() if isinstance(m, ConvNorm) and m._bias is not None]
    return bool(torch.stack(sums).isfinite().all()) if sums else True


def set_mode(network: nn.Module, mode: Mode) -> None:
    """Put every `ConvNorm` of a network into one mode, and its neurons into training or lean evaluation."""
    network.train(mode == "batch")
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.mode = mode
