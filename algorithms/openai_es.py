"""The evolution strategy of Salimans et al. 2017: Adam on a search gradient of fixed step size."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from snnbench.algorithm import Capabilities
from snnbench.algorithms.evolution_strategies import SearchGradient
from snnbench.parameters import param


@dataclass(frozen=True)
class OpenAIESParameters:
    """Parameters of `OpenAIES`."""

    population: int | None = param(
        None, "candidates per generation, in pairs; by default 4 + 3 ln d", low=2, source="Hansen 2016, as `cma-es`"
    )
    sigma_spread: float = param(
        0.3,
        "step size where weights have an initial design, as a share of its spread",
        low=1e-9,
        source="ours, tuned on sew-digits, seeds 1-2",
    )
    sigma_box: float = param(
        0.05, "step size elsewhere, as a share of the box's width", low=1e-9, high=1, source="ours"
    )
    learning_rate: float = param(0.5, "Adam's, in step sizes", low=0, source="Salimans et al. 2017: 0.01 at 0.02")
    beta1: float = param(0.9, "Adam's decay of the mean", low=0, high=0.999999, source="Kingma and Ba 2015")
    beta2: float = param(0.999, "Adam's decay of the square", low=0, high=0.999999, source="Kingma and Ba 2015")
    weight_decay: float = param(
        0.0,
        "gradient towards 0, per coordinate, of 0.5 weight_decay x^2",
        low=0,
        source="ours: 0 of a box is no special point (released code: 0.005, of raw weights)",
    )


class OpenAIES(SearchGradient):
    """Evolution strategy of OpenAI: antithetic pairs, centred ranks, Adam.

    The centre follows the estimated gradient of the expected rank, g = 1/(2 pairs) sum (u+ - u-) e, by Adam; the
    step size stays what it was at first. Moments are two vectors (d,), and no noise is stored (`SearchGradient`):
    usable up to 3e7 coordinates, with a population that need not fit in memory.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    Parameters: ClassVar[type] = OpenAIESParameters
    vectors: ClassVar[tuple[str, ...]] = ("centre", "mean", "square")
    reference: ClassVar[str] = (
        "T. Salimans, J. Ho, X. Chen, S. Sidor and I. Sutskever, Evolution Strategies as a Scalable Alternative to "
        "Reinforcement Learning, arXiv:1703.03864, 2017; D. P. Kingma and J. Ba, Adam: A Method for Stochastic "
        "Optimization, ICLR 2015, arXiv:1412.6980"
    )
    mean: torch.Tensor
    square: torch.Tensor

    def scale_(self, noise: torch.Tensor, columns: slice) -> None:
        noise.mul_(self.step)

    def update(self, differences: torch.Tensor, averages: torch.Tensor) -> None:
        p = self.parameters
        weights = (differences / (len(differences) * self.step)).tolist()
        unbias1, unbias2 = (1 - beta**self.generation for beta in (p.beta1, p.beta2))
        for columns, rows in self.blocks():
            centre, mean, square = (vector[columns] for vector in (self.centre, self.mean, self.square))
            gradient = torch.zeros_like(centre)
            for row, weight in zip(rows, weights, strict=True):
                gradient.add_(row, alpha=weight)
            gradient.sub_(centre, alpha=p.weight_decay)
            mean.lerp_(gradient, 1 - p.beta1)
            square.mul_(p.beta2).addcmul_(gradient, gradient, value=1 - p.beta2)
            root = torch.div(square, unbias2, out=gradient).sqrt_().add_(1e-8)
            change = torch.div(mean, root, out=root).mul_(self.width[columns])
            centre.add_(change, alpha=p.learning_rate * self.step / unbias1)
