"""Scrambled Sobol points: quasi-random search."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, State, Task
from snnbench.parameters import param

LARGEST_DESIGN = 50


@dataclass(frozen=True)
class SobolParameters:
    """Parameters of `SobolSearch`."""

    batch: int = param(64, "candidates at once", low=1, source="ours: a power of 2")
    scramble: bool = param(True, "whether points are scrambled, differently for every seed", source="Owen 1998")


class SobolSearch(Algorithm):
    """The initial design, then scrambled Sobol points of the box.

    Evaluates up to 50 points of the problem's initial design first, then one scrambled Sobol sequence, which fills
    the box more evenly than `random` does; integers and categories are relaxed coordinates of it. After every power
    of 2 of its points the sequence is balanced. In a box of network weights it is as worthless as `random`.
    Unscrambled, all seeds give the same points.

    The limit of 21,201 dimensions is that of the published direction numbers (Joe and Kuo).
    """

    family: ClassVar[str] = "sampling"
    capabilities: ClassVar[Capabilities] = Capabilities(
        objectives=None, constraints=True, discrete=True, max_dimension=21201, asynchronous=True
    )
    Parameters: ClassVar[type] = SobolParameters
    state: ClassVar[tuple[str, ...]] = ("begun", "drawn", "seed")
    reference: ClassVar[str] = (
        "A. B. Owen, Scrambling Sobol' and Niederreiter-Xing Points, Journal of Complexity 14(4):466-489, 1998; "
        "S. Joe and F. Y. Kuo, Constructing Sobol Sequences with Better Two-Dimensional Projections, SIAM Journal on "
        "Scientific Computing 30(5):2635-2654, 2008"
    )

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.seed = seed
        self.begun = False
        self.drawn = 0
        self.sequence: torch.quasirandom.SobolEngine | None = None

    def ask(self) -> torch.Tensor:
        if not self.begun:
            self.begun = True
            design = self.task.initial(LARGEST_DESIGN)
            if len(design):
                return design.to(self.task.device, self.task.dtype, copy=True)
        space = self.task.space
        if self.sequence is None:
            # Scrambled by a generator of its own; given a seed, it leaves the global one alone.
            self.sequence = torch.quasirandom.SobolEngine(space.dimension, self.parameters.scramble, self.seed)
            self.sequence.fast_forward(self.drawn)
        points = self.sequence.draw(self.parameters.batch, dtype=torch.float64)
        self.drawn += len(points)
        points.mul_(space.upper.double() - space.lower.double()).add_(space.lower.double())
        return space.clip_(points.to(self.task.device, self.task.dtype))

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        return None

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.sequence = None
