"""Convolutions in less than float32, the same on a CPU as on a GPU's tensor cores.

Weights are rounded where sums are exact already (`snnbench.snn.grid`). A weight that loses bits stays on its grid, and
a tensor core multiplies without rounding and adds in float32, so that its sums are exact, too. What is left is the type
that sums are stored in: float32, or rounded once to that of the weights. A CPU does the same in float32.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_TF32_DROPS = 13
"""Bits of float32's 23 behind the point."""


def rounded(weight: torch.Tensor, precision: Precision) -> torch.Tensor:
    """Weights to the nearest that a precision holds, ties to even; float32 all the same.

    Examples
    --------
    >>> third = torch.tensor([1 / 3])
    >>> [round(float(1 / 3 - rounded(third, p)[0]), 6) for p in PRECISIONS]
    [0.0, 8.1e-05, -0.000651, 8.1e-05]
    """
    if precision == "float32":
        return weight
    if precision != "tf32":
        return weight.to(_HALVES[precision]).to(weight.dtype)
    bits = weight.contiguous().view(torch.int32)
    odd = (bits >> _TF32_DROPS) & 1
    near = ((bits + ((1 << (_TF32_DROPS - 1)) - 1) + odd) >> _TF32_DROPS) << _TF32_DROPS
    return torch.where(weight.isfinite(), near.view(torch.float32), weight)


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    precision: Precision,
) -> torch.Tensor:
    """A convolution whose sums are stored in a precision; the bias is added in float32.

    Parameters
    ----------
    x
        (N, C, H, W) counts of spikes, whole numbers up to 2^8, which every precision holds.
    weight, bias
        (C', C, K, K), `rounded`, and (C',).
    stride, padding
        Of the convolution.
    precision
        Not float32.

    Returns
    -------
    torch.Tensor
        (N, C', H', W') float32.
    """
    half = _HALVES.get(precision)
    if x.device.type != "cuda":
        y = F.conv2d(x, weight, None, stride, padding)
        y = y if half is None else y.to(half).to(y.dtype)
    elif half is not None:
        y = F.conv2d(x.to(half), weight.to(half), None, stride, padding).to(x.dtype)
    else:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=True):
            y = F.conv2d(x, weight, None, stride, padding)
    return y if bias is None else y.add_(bias[:, None, None])
