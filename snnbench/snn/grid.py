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
) -> tuple[torch.Tensor, torch.Tensor]:
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
    torch.Tensor, torch.Tensor
        Weights and biases. What is not finite stays so.

    Examples
    --------
    >>> weight, bias = on_grid(torch.tensor([[0.1, 0.2]]), torch.tensor([0.3]), largest=1.0)
    >>> (weight * 2**23).frac().any(), (weight[0, 0] + weight[0, 1]) + bias == (bias + weight[0, 1]) + weight[0, 0]
    (tensor(False), tensor([True]))
    """
    flat = weight.flatten(1).double()
    positive, negative = flat.clamp(min=0.0).sum(dim=1), -flat.clamp(max=0.0).sum(dim=1)
    reach = (positive + negative if signed else torch.maximum(positive, negative)) * largest + bias.double().abs()
    # reach < 2^exponent; what is not finite is left to be found out by the values themselves.
    exponent = torch.frexp(torch.nan_to_num(reach, nan=1.0, posinf=1.0).clamp(2.0**-60, 2.0**60)).exponent
    unit = _power(exponent - BITS + spare)
    grid = (unit / step).view(-1, *[1] * (weight.ndim - 1))
    return (weight / grid).round_().mul_(grid), (bias / unit).round_().mul_(unit)


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
