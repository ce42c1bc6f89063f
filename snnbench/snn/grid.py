"""Weights on a grid on which no sum needs rounding.

Float32 holds 24 bits. If all weights of an output are multiples of one power of two, its inputs whole numbers (counts
of spikes) or multiples of another, and no sum can be larger than 2^24 of these units, then every partial sum is exact,
in whatever order it is made: by a convolution, a matrix product, or spike by spike; on one core, several, or a GPU. So
a candidate is worth the same wherever and however it is evaluated. Grids are chosen for each output, as fine as that
allows. The exceptions are convolutions that do not sum products, after Winograd or by FFT.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

BITS = 23
"""Of a sum; float32's last bit is left for what rounding the weights adds."""


def on_grid(
    weight: torch.Tensor,
    bias: torch.Tensor,
    largest: float,
    step: float = 1.0,
    signed: bool = False,
    spare: int = 0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Move weights and biases to the nearest points of their grids.

    Parameters
    ----------
    weight
        (O, ...) float32, the weights of one output after the other.
    bias
        (O,).
    largest
        Largest magnitude of an input.
    step
        Inputs are multiples of it; a power of two.
    signed
        Whether inputs can be negative.
    spare
        Bits that sums of outputs need beyond.

    Returns
    -------
    torch.Tensor, torch.Tensor, torch.Tensor
        Weights, biases, and the unit (O,) that all sums of an output are multiples of. What is not finite stays so.

    Examples
    --------
    >>> weight, bias, _ = on_grid(torch.tensor([[0.1, 0.2]]), torch.tensor([0.3]), largest=1.0)
    >>> (weight * 2**23).frac().any(), (weight[0, 0] + weight[0, 1]) + bias == (bias + weight[0, 1]) + weight[0, 0]
    (tensor(False), tensor([True]))
    """
    flat = weight.flatten(1).double()
    reach = flat.abs().sum(dim=1)
    if not signed:  # the positive weights alone, or the negative ones
        reach = (reach + flat.sum(dim=1).abs()) / 2
    reach = reach * largest + bias.double().abs()
    # reach < 2^exponent; what is not finite is left to be found out by the values themselves.
    exponent = torch.frexp(torch.nan_to_num(reach, nan=1.0, posinf=1.0).clamp(2.0**-60, 2.0**60)).exponent
    unit = _power(exponent - BITS + spare)
    grid = (unit / step).view(-1, *[1] * (weight.ndim - 1))
    return (weight / grid).round_().mul_(grid), (bias / unit).round_().mul_(unit), unit


def moments(rows: torch.Tensor, unit: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums of columns, and of their squares, in units; exact but for one rounding of the latter.

    A value of 24 bits has a square of 48, and 32 of these have a sum of 53, which float64 holds. Such sums are added up
    in two parts, above and below 2^26. So these do not depend on any order, either.

    Parameters
    ----------
    rows
        (R, C) float32, multiples of their column's unit.
    unit
        (C,) powers of two.

    Returns
    -------
    torch.Tensor, torch.Tensor
        (C,) float64 each.
    """
    values = rows.double() / unit
    squares = values.square()
    rest = -len(rows) % 32
    if rest:
        squares = torch.cat([squares, squares.new_zeros(rest, squares.shape[1])])
    blocks = squares.view(-1, 32, squares.shape[1]).sum(dim=1)
    high = (blocks * 2.0**-26).floor()
    return values.sum(dim=0), high.sum(dim=0) * 2.0**26 + (blocks - high * 2.0**26).sum(dim=0)


def exact_convolutions(device: torch.device) -> AbstractContextManager[None]:
    """Convolutions that sum products, in full float32: no NNPACK on a CPU (for good), no TF32 on a GPU.

    cuDNN may choose Winograd's algorithm all the same.
    """
    if device.type == "cpu":
        torch.backends.nnpack.set_flags(False)  # not for a while: threads share it
        return nullcontext()
    context: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return context


def _power(exponent: torch.Tensor) -> torch.Tensor:
    """2^exponent in float32, exactly; exponents within +-126."""
    return ((exponent.to(torch.int32) + 127) << 23).view(torch.float32)
