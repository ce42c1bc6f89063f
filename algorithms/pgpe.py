"""Policy gradients with parameter-based exploration (Sehnke et al. 2010), with ClipUp (Toklu et al. 2020)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.evolution_strategies import SearchGradient, sum_of_squares
from snnbench.parameters import param

WIDEST = 1 / 3
"""Largest step size of a coordinate, in widths of the box: pycma's limit."""


@dataclass(frozen=True)
class PGPEParameters:
    """Parameters of `PGPE`."""

    population: int | None = param(
        None, "candidates per generation, in pairs; by default 4 + 3 ln d", low=2, source="Hansen 2016, as `cma-es`"
    )
    sigma_spread: float = param(
        0.3,
        "initial step size where weights have an initial design, as a share of its spread",
        low=1e-9,
        source="ours, tuned on sew-digits, seeds 1-2",
    )
    sigma_box: float = param(
        0.1, "initial step size elsewhere, as a share of the box's width", low=1e-9, high=1, source="ours"
    )
    max_speed: float = param(
        1 / 15,
        "largest move of the centre, as a share of sqrt(d) initial step sizes",
        low=0,
        source="Toklu et al. 2020",
    )
    learning_rate: float = param(
        0.5, "length of the normalised gradient, in largest moves", low=0, source="Toklu et al. 2020"
    )
    momentum: float = param(0.9, "share of the last move that is kept", low=0, high=1, source="Toklu et al. 2020")
    sigma_rate: float = param(0.1, "learning rate of the step sizes", low=0, source="Toklu et al. 2020")
    sigma_change: float = param(
        0.2, "largest relative change of a step size in a generation", low=0, high=0.99, source="Toklu et al. 2020"
    )


class PGPE(SearchGradient):
    """Parameter-exploring policy gradients: symmetric sampling, ClipUp.

    With e the noise of a pair in widths of the box, s the step sizes and u the centred ranks: the centre's gradient is
    1/pairs sum (u+ - u-)/2 e and that of the step sizes 1/pairs sum (u+ + u-)/2 (e^2 - s^2)/s (Sehnke et al. 2010,
    symmetric sampling). The centre moves by ClipUp: v = momentum v + learning_rate g/|g|, shortened to `max_speed`
    where longer. Step sizes change by at most `sigma_change` of themselves and stay below a third of the box.

    Centre, velocity and step sizes are three vectors (d,), the gradient a fourth while it is needed; no noise is
    stored (`SearchGradient`): usable up to 3e7 coordinates.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    Parameters: ClassVar[type] = PGPEParameters
    vectors: ClassVar[tuple[str, ...]] = ("centre", "velocity", "sigma")
    reference: ClassVar[str] = (
        "F. Sehnke, C. Osendorfer, T. Rückstieß, A. Graves, J. Peters and J. Schmidhuber, Parameter-exploring Policy "
        "Gradients, Neural Networks 23(4):551-559, 2010; N. E. Toklu, P. Liskowski and R. K. Srivastava, ClipUp: A "
        "Simple and Powerful Optimizer for Distribution-based Policy Evolution, PPSN XVI, LNCS 12270:515-527, 2020"
    )
    velocity: torch.Tensor
    sigma: torch.Tensor

    def begin(self) -> None:
        self.sigma.fill_(self.step)

    def scale_(self, noise: torch.Tensor, columns: slice) -> None:
        noise.mul_(self.sigma[columns])

    def update(self, differences: torch.Tensor, averages: torch.Tensor) -> None:
        p = self.parameters
        uphill, wider = (differences / len(differences)).tolist(), (averages / len(averages)).tolist()
        gradient = torch.zeros_like(self.centre)
        for columns, rows in self.blocks():
            part, sigma = gradient[columns], self.sigma[columns]
            change = torch.zeros_like(sigma)
            for row, along, weight in zip(rows, uphill, wider, strict=True):
                part.add_(row, alpha=along)
                change.addcmul_(row, row, value=weight)
            # The utilities of a generation sum to 0, so what is left of sum u (e^2 - s^2) is sum u e^2.
            change.div_(sigma).mul_(p.sigma_rate)
            limit = sigma * p.sigma_change
            sigma.add_(change.clamp_(-limit, limit)).clamp_(max=WIDEST)
        fastest = p.max_speed * self.step * math.sqrt(len(gradient))
        length = math.sqrt(sum_of_squares(gradient))
        self.velocity.mul_(p.momentum)
        if length > 0:
            self.velocity.add_(gradient, alpha=p.learning_rate * fastest / length)
        speed = math.sqrt(sum_of_squares(self.velocity))
        if speed > fastest:
            self.velocity.mul_(fastest / speed)
        torch.mul(self.velocity, self.width, out=gradient)
        self.centre.add_(gradient)
