"""Random search: the yardstick."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations
from snnbench.parameters import param

LARGEST_DESIGN = 50
COORDINATES = 1 << 24


@dataclass(frozen=True)
class RandomSearchParameters:
    """Parameters of `RandomSearch`."""

    batch: int | None = param(
        None, "candidates at once; by default 64, fewer where they would hold over 2^24 numbers", low=1, source="ours"
    )


class RandomSearch(Algorithm):
    """The initial design, then points drawn uniformly from the box.

    Evaluates up to 50 points of the problem's initial design first. In a box of network weights, uniform points are
    worthless beside the initial design: there this algorithm shows what the design alone is worth.
    """

    family: ClassVar[str] = "sampling"
    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, constraints=True, discrete=True, asynchronous=True
    )
    Parameters: ClassVar[type] = RandomSearchParameters
    state: ClassVar[tuple[str, ...]] = ("begun",)
    reference: ClassVar[str] = (
        "J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization, "
        "Journal of Machine Learning Research 13:281-305, 2012"
    )
    begun = False

    def ask(self) -> torch.Tensor:
        if not self.begun:
            self.begun = True  # here and not when told: in an asynchronous run the design may still be pending
            design = self.task.initial(LARGEST_DESIGN)
            if len(design):
                return design.to(self.task.device, self.task.dtype, copy=True)
        batch = self.parameters.batch or max(1, min(64, COORDINATES // self.task.space.dimension))
        return self.task.space.sample(batch, self.generator).to(self.task.dtype)

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        return None
