"""Batch normalisation re-estimated and folded, as by `snnbench.snn.layers.ConvNorm` in mode "calibrate", the same bits.

For a small network that takes some 20 operations on tiny tensors for each layer, which cost more than their arithmetic.
"""

import ctypes

import torch

from snnbench.snn.layers import ConvNorm
from snnbench.snn.native.library import Arriving, Norm


class Calibration:
    """Of one layer.

    Parameters
    ----------
    library
        The compiled functions.
    connection
        On the CPU, with `ConvNorm.inputs`.
    """

    def __init__(self, library: ctypes.CDLL, connection: ConvNorm) -> None:
        conv, inputs = connection.conv, connection.inputs
        assert inputs is not None
        self.library, self.connection = library, connection
        outputs, channels, kernel, _ = conv.weight.shape
        self.arriving = Arriving(outputs, channels, kernel**2, inputs.signed, inputs.largest, inputs.step)
        self.by_tap = torch.empty(kernel, kernel, channels, outputs)
        self.plain = torch.empty(conv.weight.shape, memory_format=torch.channels_last)
        self.units = torch.empty(outputs)
        self._grid(None, None, self.by_tap, self.plain, None, self.units)

    def finish(self, y: torch.Tensor) -> torch.Tensor:
        """Normalise what the weights on their grid made, (..., C') contiguous, in place, and fold the statistics in."""
        connection, norm = self.connection, self.connection.norm
        channels = y.shape[-1]
        scale, shift = torch.empty(2, channels)
        written = (norm.running_mean, norm.running_var, scale, shift)
        constants = Norm(
            *_pointers(self.units, norm.weight, norm.bias),
            norm.eps,
            *_pointers(*written),
        )
        self.library.normalise(y.data_ptr(), y.numel() // channels, channels, constants)
        bias = torch.empty(channels)
        self._grid(scale, shift, self.by_tap, self.plain, bias, None)
        connection.take(self.plain, bias)
        return y

    def _grid(self, scale: torch.Tensor | None, shift: torch.Tensor | None, *to: torch.Tensor | None) -> None:
        weight = self.connection.conv.weight
        self.library.on_grid(self.arriving, *_pointers(weight, scale, shift, *to))


def _pointers(*tensors: torch.Tensor | None) -> list[int | None]:
    return [None if t is None else t.data_ptr() for t in tensors]
