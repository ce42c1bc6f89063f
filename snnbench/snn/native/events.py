"""Populations of integrate-and-fire networks of matrices, event by event."""

import ctypes
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from snnbench.snn.native.library import EventFound, EventNetwork, library


class EventDriven:
    """Networks that share their weights and differ in thresholds and leaks: what `snnbench.snn.folded` runs.

    Parameters
    ----------
    maps
        A matrix (F, F') on the CPU behind every layer of neurons, the readout's last; on a grid of exact sums.
    steps
        T.
    """

    def __init__(self, maps: Sequence[torch.Tensor], steps: int) -> None:
        self.steps, self.neurons, self.classes = steps, [len(m) for m in maps], maps[-1].shape[1]
        self.sizes = [_padded(size) for size in (*self.neurons, self.classes)]
        self._weights = [
            F.pad(m, (0, to - m.shape[1], 0, size - len(m))).contiguous()
            for m, size, to in zip(maps, self.sizes, self.sizes[1:], strict=False)
        ]

    def run(
        self, thresholds: torch.Tensor, decays: torch.Tensor, currents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Run candidates over samples.

        Parameters
        ----------
        thresholds, decays
            (n, L) float32: > 0, and the share of the potential kept per step.
        currents
            (N, F) of the first neurons, the same at every step.

        Returns
        -------
        tuple of torch.Tensor
            Readout of every step (T, n, N, K); silent samples (n, N); per layer a map (n, F) of spikes, summed over
            samples and steps; and spikes (L, T, n), float64, summed over samples and neurons.
        """
        found = library()
        assert found is not None
        layers, n, samples = len(self.neurons), len(thresholds), len(currents)
        first = F.pad(currents, (0, self.sizes[0] - self.neurons[0])).contiguous()
        maps = [torch.zeros(n, size, dtype=torch.int32) for size in self.sizes[:-1]]
        spikes = torch.zeros(layers, self.steps, n, dtype=torch.int64)
        answers = torch.empty(self.steps, n, samples, self.sizes[-1])
        silent = torch.empty(n, samples, dtype=torch.bool)
        sizes = (ctypes.c_int32 * len(self.sizes))(*self.sizes)
        network = EventNetwork(layers, self.steps, n, samples, ctypes.addressof(sizes), _pointers(self._weights))
        written = EventFound(_pointers(maps), spikes.data_ptr(), answers.data_ptr(), silent.data_ptr())
        limits, kept = thresholds.contiguous(), decays.contiguous()
        found.run_events(network, limits.data_ptr(), kept.data_ptr(), first.data_ptr(), written)
        counted = [m[:, :size].double() for m, size in zip(maps, self.neurons, strict=True)]
        return answers[..., : self.classes].contiguous(), silent, counted, spikes.double()


def _padded(size: int) -> int:
    return -(-size // 8) * 8


def _pointers(tensors: Sequence[torch.Tensor]) -> "ctypes.Array[ctypes.c_void_p]":
    return (ctypes.c_void_p * len(tensors))(*(t.data_ptr() for t in tensors))
