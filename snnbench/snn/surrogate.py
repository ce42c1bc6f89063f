"""Surrogate gradients: snntorch's and one more, with the spike condition of our neuron.

snntorch's functions fire where the membrane is above the threshold; the neuron of this project can also fire at
the threshold (as SpikingJelly's does). The backward pass is snntorch's in both cases.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from snnbench.errors import UsageError

Spike = Callable[[torch.Tensor], torch.Tensor]

# Name -> (class in snntorch.surrogate, default steepness). The sigmoid's 4 is SpikingJelly's default, which the
# released code of CADE uses; the triangle's 2 is that of the released code of ETC; the others are snntorch's own.
SURROGATES = {
    "sigmoid": ("Sigmoid", 4.0),
    "atan": ("ATan", 2.0),
    "fast_sigmoid": ("FastSigmoid", 25.0),
    "triangular": ("Triangular", 1.0),
    "triangle": ("Triangle", 2.0),
}

# snntorch's sigmoid computes exp(-slope x) and overflows to NaN for x << 0, where the gradient is nil anyway.
_EXPONENT_LIMIT = 40.0


def surrogate(name: str, steepness: float | None = None, at_threshold: bool = True) -> Spike:
    """The spike function s(x) of x = membrane - threshold, with a surrogate gradient.

    Parameters
    ----------
    name
        One of `SURROGATES`. snntorch 1.0's ``triangular`` has a negative gradient above the threshold; ``triangle``
        is ours, with the derivative a max(0, 1 - a |x|), which integrates to 1 and is 0 from |x| = 1 / a on.
    steepness
        The parameter of the surrogate (slope, alpha or threshold in snntorch, a of the triangle); its default if
        ``None``.
    at_threshold
        Whether x = 0 is a spike.

    Returns
    -------
    callable
        Maps a tensor of any shape to spikes {0, 1} of the same shape and dtype.

    Raises
    ------
    UsageError
        For an unknown surrogate.

    Examples
    --------
    >>> x = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
    >>> surrogate("sigmoid")(x).sum().backward()
    >>> [round(float(g), 4) for g in x.grad]
    [0.42, 1.0, 0.42]
    """
    class_name, steepness, limit = _chosen(name, steepness)
    function = _function(class_name, at_threshold)

    def spike(x: torch.Tensor) -> torch.Tensor:
        spikes: torch.Tensor = function.apply(x, steepness, limit)
        return spikes

    return spike


def surrogate_gradient(
    name: str, steepness: float | None = None
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The backward pass of `surrogate` by itself: from x and dL/ds to dL/dx, without the spikes.

    Parameters and errors are those of `surrogate`.
    """
    class_name, steepness, limit = _chosen(name, steepness)
    base: Any = _base(class_name)

    def gradient(x: torch.Tensor, arriving: torch.Tensor) -> torch.Tensor:
        context = _Context()
        base.forward(context, x.new_zeros(1), steepness)  # keeps the steepness, under a name of its own
        context.saved_tensors = (x if limit == float("inf") else x.clamp(min=-limit),)
        found: torch.Tensor = base.backward(context, arriving)[0]
        return found

    return gradient


def _chosen(name: str, steepness: float | None) -> tuple[str, float, float]:
    """Class, steepness and the largest -x that it takes."""
    if name not in SURROGATES:
        raise UsageError(f"unknown surrogate {name!r}; known: {', '.join(SURROGATES)}")
    class_name, default = SURROGATES[name]
    steepness = default if steepness is None else steepness
    return class_name, steepness, _EXPONENT_LIMIT / steepness if name == "sigmoid" else float("inf")


class _Context:
    """What a backward pass reads of its forward pass."""

    def __init__(self) -> None:
        self.saved_tensors: tuple[torch.Tensor, ...] = ()

    def save_for_backward(self, *tensors: torch.Tensor) -> None:
        self.saved_tensors = tensors


class _Triangle(torch.autograd.Function):
    """Derivative a max(0, 1 - a |x|), as in the released code of ETC (arXiv 2305.14174)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, steepness: float) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.steepness = steepness
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * (1.0 - ctx.steepness * x.abs()).clamp_(min=0.0) * ctx.steepness, None


def _base(class_name: str) -> Any:
    if class_name == "Triangle":
        return _Triangle
    from snntorch import surrogate as snntorch_surrogate

    return getattr(snntorch_surrogate, class_name)


@cache
def _function(class_name: str, at_threshold: bool) -> Any:
    base: Any = _base(class_name)

    class AtThreshold(base):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, steepness: float, limit: float) -> torch.Tensor:
            base.forward(ctx, x.clamp(min=-limit), steepness)
            return (x >= 0 if at_threshold else x > 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
            return base.backward(ctx, gradient)[0], None, None

    return AtThreshold
