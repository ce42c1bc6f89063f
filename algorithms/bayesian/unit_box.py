"""The box of a search space as a unit cube whose integers and categories stand at the centres of their bins."""

import numpy as np
import torch

from snnbench.space import Categorical, Integer, RealVector, SearchSpace


class UnitBox:
    """Coordinates of a search space scaled to [0, 1], with integers and categories moved to their bins' centres.

    What a model sees is then what is evaluated: two points of one bin are one point.

    Parameters
    ----------
    space
        The search space, of dimension d.

    Attributes
    ----------
    categories : list of int
        Coordinates of the categorical variables, in ascending order.
    ordinal : list of int
        All other coordinates.
    bins : dict of int to torch.Tensor
        Coordinate of each integer and categorical variable to the centres of its bins, ascending, float64.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.dimension = space.dimension
        self.lower = space.lower.double()
        self.width = space.upper.double() - self.lower
        self.categories: list[int] = []
        self.bins: dict[int, torch.Tensor] = {}
        self._discrete: dict[int, Integer | Categorical] = {}
        start = 0
        for variable in space.variables:
            if isinstance(variable, Categorical):
                self.categories.append(start)
                self.bins[start] = torch.from_numpy(variable.encode(variable.choices)[:, 0])
            elif isinstance(variable, Integer):
                values = np.arange(variable.low, variable.high + 1)
                self.bins[start] = torch.from_numpy(variable.encode(values)[:, 0])
            if isinstance(variable, Integer | Categorical):
                self._discrete[start] = variable
            start += variable.size
        self.ordinal = [i for i in range(self.dimension) if i not in set(self.categories)]

    @property
    def holds_weights(self) -> bool:
        """Whether the space has a block of weights."""
        return any(isinstance(variable, RealVector) for variable in self.space.variables)

    def unit(self, x: torch.Tensor) -> torch.Tensor:
        """Points (n, d) of the space to points of the unit cube, float64 on the CPU, bins at their centres."""
        return self.snap_(((x.detach().cpu().double() - self.lower) / self.width).clamp_(0, 1))

    def native(self, u: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Points (n, d) of the unit cube to points of the space, with the type and device of `like`."""
        return self.space.clip_((self.lower + self.width * u).to(like))

    def snap_(self, u: torch.Tensor) -> torch.Tensor:
        """Move integers and categories of points (n, d) of the unit cube to the centres of their bins, in place."""
        for column, variable in self._discrete.items():
            u[:, column] = self.bins[column][self.bin(u[:, column], variable)]
        return u

    @staticmethod
    def bin(u: torch.Tensor, variable: Integer | Categorical) -> torch.Tensor:
        """Number of the bin (n,), from 0, that coordinates (n,) of a variable fall into."""
        if isinstance(variable, Integer):
            return torch.from_numpy(variable.decode(u.numpy()[:, None]) - variable.low)
        count = len(variable.choices)
        return (u * count).floor().long().clamp_(0, count - 1)

    def neighbours(self, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Lower and upper neighbours (d,) of a snapped point (d,): the next bins of integers, the point elsewhere."""
        below, above = u.clone(), u.clone()
        for column, variable in self._discrete.items():
            if isinstance(variable, Integer):
                place = int(self.bin(u[column : column + 1], variable))
                centres = self.bins[column]
                below[column] = centres[max(0, place - 1)]
                above[column] = centres[min(len(centres) - 1, place + 1)]
        return below, above
