"""Connections of a spiking network: convolution with batch normalisation, and the linear readout.

Both act on sequences (T, N, ...) with time folded into the batch, and report to a `Tally` what their inputs were,
so that synaptic operations can be counted without running anything twice.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from snnbench.snn.grid import moments, on_grid
from snnbench.snn.precision import Precision, convolve, rounded
from snnbench.snn.tally import Tally

Mode = Literal["batch", "calibrate", "folded"]
SPARE = 4
"""Bits that sums of logits over up to 16 steps need beyond those of one step."""


@dataclass(frozen=True)
class Inputs:
    """What arrives at a connection, if it is on a grid: then its sums are made exact (`snnbench.snn.grid`).

    Attributes
    ----------
    largest
        Largest magnitude.
    step
        All are multiples of it; a power of two.
    signed
        Whether they can be negative.
    """

    largest: float
    step: float = 1.0
    signed: bool = False


class ConvNorm(nn.Module):
    """Convolution without bias, then batch normalisation over (T, N, H, W).

    Three ways to run, by `mode`:

    * ``"batch"``: normalise by the batch's own statistics and update the running ones (training);
    * ``"calibrate"``: normalise by the batch's own statistics and keep exactly these, then fold;
    * ``"folded"``: one convolution whose weights and bias contain the normalisation (evaluation).

    If `inputs` says what arrives, the weights of the last two are moved to a grid on which every sum is exact, and
    results do not depend on how the convolution is computed. With a `precision` other than float32 these weights, and
    with half precision the sums, are rounded to it (`snnbench.snn.precision`).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        inputs: Inputs | None = None,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        self.inputs, self.precision = inputs, precision
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.mode: Mode = "batch"
        self._weight: torch.Tensor | None = None
        self._bias: torch.Tensor | None = None
        self._unit: torch.Tensor | None = None

    def forward(self, x: torch.Tensor, tally: Tally | None = None, source: str = "") -> torch.Tensor:
        """(T, N, C, H, W) to (T, N, C', H', W'). `source` names in the tally the spikes that x consists of."""
        flat = x.flatten(0, 1)
        if tally is not None:
            tally.connection(self.conv, flat, source)
        if self.mode == "folded":
            y = self._convolve(flat, *self.folded)
        elif self.mode == "calibrate":
            weight = self.raw().contiguous(memory_format=torch.channels_last)
            y = self.normalise(self._convolve(flat, weight, None))
        else:
            y = self.norm(self.conv(flat))
        return y.unflatten(0, x.shape[:2])

    def raw(self) -> torch.Tensor:
        """(C', C, K, K) The convolution's own weights, on their grid: what is run to calibrate."""
        weight, _, self._unit = self._on_grid(self.conv.weight, torch.zeros_like(self.norm.bias))
        return weight

    def normalise(self, y: torch.Tensor) -> torch.Tensor:
        """Normalise what `raw` made, (R, C', H', W'), in place by its own statistics, keep these, and fold them in."""
        unit = self._unit
        assert unit is not None
        rows = y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])
        total, squares = (part / len(rows) for part in moments(rows, unit))
        mean, variance = total * unit, (squares - total.square()).clamp_(min=0.0) * unit.double().square()
        self.norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        self.norm.running_var.copy_(variance)  # type: ignore[union-attr]
        scale, shift = self.fold()
        return y.mul_(scale[:, None, None]).add_(shift[:, None, None])

    @torch.no_grad()
    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Fold the running statistics and the affine part into the convolution, for mode ``"folded"``.

        Returns
        -------
        torch.Tensor, torch.Tensor
            Factor and addend of the normalisation, (C',) each.
        """
        norm = self.norm
        exact = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()  # type: ignore[union-attr]
        scale = exact.to(norm.weight.dtype)
        shift = (norm.bias - norm.running_mean * exact).to(norm.weight.dtype)  # type: ignore[operator]
        weight, bias, _ = self._on_grid(self.conv.weight * scale[:, None, None, None], shift)
        # Channels last is 1.5 to 6 times faster for the small convolutions of a spiking network on a CPU.
        self.take(weight.contiguous(memory_format=torch.channels_last), bias)
        return scale, shift

    def take(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Use weights and biases that contain the normalisation, in mode ``"folded"``."""
        self._weight, self._bias = weight, bias

    @property
    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and biases that contain the normalisation; known after it was calibrated or folded."""
        if self._weight is None or self._bias is None:
            raise RuntimeError("calibrate or fold comes first")
        return self._weight, self._bias

    def _on_grid(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if self.inputs is None or weight.dtype != torch.float32:
            return weight, bias, torch.ones_like(bias)
        grid = on_grid(weight.detach(), bias.detach(), self.inputs.largest, self.inputs.step, self.inputs.signed)
        return rounded(grid[0], self.precision), *grid[1:]

    def _convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        stride, padding = self.conv.stride, self.conv.padding
        if self.precision == "float32":
            return F.conv2d(x, weight, bias, stride, padding)
        assert not isinstance(padding, str)
        return convolve(x, weight, bias, stride, padding, self.precision)


class Readout(nn.Module):
    """Global average pooling and a linear layer at every step.

    If `largest`, the largest count of spikes that arrives, is known, evaluation sums exactly, as `ConvNorm` does.
    """

    def __init__(self, channels: int, classes: int, largest: float | None = None) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, classes)
        self.largest = largest
        self.mode: Mode = "batch"

    def forward(self, x: torch.Tensor, tally: Tally | None = None) -> torch.Tensor:
        """(T, N, C, H, W) to logits (T, N, K)."""
        return self.answer(x.sum(dim=(3, 4)), x.shape[3] * x.shape[4], tally)

    def answer(self, sums: torch.Tensor, area: int, tally: Tally | None = None) -> torch.Tensor:
        """Sums over an image of `area` positions (T, N, C) to logits (T, N, K)."""
        if tally is not None:
            tally.connection(self.fc, sums.flatten(0, 1), analog=True)
            tally.silent = sums.sum(dim=(0, 2)).eq(0.0)
        if self.mode != "folded" or self.largest is None or sums.dtype != torch.float32:
            logits: torch.Tensor = self.fc(sums / area)
            return logits
        return F.linear(sums, *self.folded(area))

    def folded(self, area: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights of sums over `area` positions, and biases, on grids on which sums over up to 16 steps are exact."""
        assert self.largest is not None
        weight, bias, _ = on_grid(self.fc.weight / area, self.fc.bias, self.largest * area, spare=SPARE)
        return weight, bias


def folded_finite(network: nn.Module) -> torch.Tensor:
    """() bool on the network's device: whether what `ConvNorm.fold` made is finite in every layer.

    NaN or inf in a layer's weights shows there.
    """
    sums = []
    for layer in network.modules():
        if isinstance(layer, ConvNorm) and layer._bias is not None and layer._weight is not None:
            sums.append(layer._bias.sum())
            if layer.precision == "float16":  # whose range is small
                sums.append(layer._weight.sum())
    return torch.stack(sums).isfinite().all() if sums else torch.tensor(True)


def set_mode(network: nn.Module, mode: Mode) -> None:
    """Put every `ConvNorm` of a network into one mode, and its neurons into training or lean evaluation."""
    if network.training != (mode == "batch"):
        network.train(mode == "batch")
    for module in network.modules():
        if isinstance(module, ConvNorm | Readout):
            module.mode = mode
