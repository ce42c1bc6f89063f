"""What becomes of mutant coordinates outside the box, before crossover.

The engine moves whatever leaves the box to its surface. Several papers say otherwise, and it matters where optima lie
near the surface; so those rules are applied here, coordinate by coordinate.
"""

from collections.abc import Callable

import numpy as np
import torch

Repair = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, np.random.Generator], None]
"""``repair(mutant, target, lower, upper, rng)`` changes `mutant` in place; bounds broadcast to its shape."""


def clip(
    mutant: torch.Tensor, target: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor, rng: np.random.Generator
) -> None:
    """Left to the engine: the coordinate moves to the surface."""


def midpoint(
    mutant: torch.Tensor, target: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor, rng: np.random.Generator
) -> None:
    """Halfway between the bound that was crossed and the target (J. Zhang and A. C. Sanderson 2009, section III)."""
    for bound, outside in ((lower, mutant < lower), (upper, mutant > upper)):
        if outside.any():
            mutant.copy_(torch.where(outside, (target + bound) / 2, mutant))


def reflect(
    mutant: torch.Tensor, target: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor, rng: np.random.Generator
) -> None:
    """As far inside the bound as it was outside (Y. Wang, Z. Cai and Q. Zhang 2011); what is still outside is clipped.

    Clipping, by the engine, is what the released code of that paper does with a coordinate that leaves the box on
    the other side.
    """
    for bound, outside in ((lower, mutant < lower), (upper, mutant > upper)):
        if outside.any():
            mutant.copy_(torch.where(outside, 2 * bound - mutant, mutant))


def redraw(
    mutant: torch.Tensor, target: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor, rng: np.random.Generator
) -> None:
    """Anywhere in the box, uniformly (A. K. Qin, V. L. Huang and P. N. Suganthan 2009, section III)."""
    outside = (mutant < lower) | (mutant > upper)
    if outside.any():
        low, high = (bound.expand_as(mutant)[outside] for bound in (lower, upper))
        share = torch.from_numpy(rng.random(len(low))).to(mutant)
        mutant[outside] = torch.lerp(low, high, share)


BOUNDS: dict[str, Repair] = {"clip": clip, "midpoint": midpoint, "reflect": reflect, "redraw": redraw}
