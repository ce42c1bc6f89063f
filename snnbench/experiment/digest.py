"""Fingerprints of candidates, computed where the candidates are, and a check that they are numbers."""

from collections.abc import Iterator

import numpy as np
import torch

# Coordinates at a time. Temporaries stay small whatever the population: in the caches of a CPU (4 times faster than
# with 2^20), and few kernels on a GPU.
_BLOCK = {"cpu": 1 << 17, "cuda": 1 << 22}
_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16}
# Odd 64-bit constants of MurmurHash3's finalizer and of the golden ratio, as signed integers.
_A, _B, _C = -0x00AE502812AA7333, -0x3B314601E57A13AD, -0x61C8864680B583EB


def digests(x: torch.Tensor) -> np.ndarray:
    """A 64-bit fingerprint of the bits of each row.

    Every coordinate's bits are mixed with its position and the results are added modulo 2^64. Addition does not
    depend on the order, so neither blocks, threads nor the device change the result.

    Parameters
    ----------
    x
        (n, d), any floating type.

    Returns
    -------
    numpy.ndarray
        (n,) int64.
    """
    total = torch.zeros(len(x), dtype=torch.int64, device=x.device)
    for start, block in _blocks(x):
        position = torch.arange(start, start + block.shape[1], device=x.device).mul_(_C)
        bits = block.contiguous().view(_BITS[x.element_size()]).to(torch.int64)
        mixed = bits + position  # not in place: of 64-bit candidates `bits` is no copy
        mixed.mul_(_A).bitwise_xor_(mixed >> 31).mul_(_B)
        total.add_(mixed.bitwise_xor_(mixed >> 29).sum(dim=1))
    return total.cpu().numpy()


def finite(x: torch.Tensor) -> bool:
    """Whether every coordinate of (n, d) is a finite number, without a temporary as large as ``x``."""
    return all(bool(torch.isfinite(block).all()) for _, block in _blocks(x))


def _blocks(x: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    width = max(1, _BLOCK.get(x.device.type, 1 << 20) // max(1, len(x)))
    for start in range(0, x.shape[1], width):
        yield start, x[:, start : start + width]
