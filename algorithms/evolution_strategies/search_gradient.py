"""Evolution strategies that follow an estimated gradient: pairs of candidates on both sides of a centre."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.algorithm import Algorithm, Evaluations, State, Task
from snnbench.algorithms.evolution_strategies.start import initial_step, sum_of_squares

BLOCK = {"cpu": 1 << 17, "cuda": 1 << 23}
"""Numbers of noise held at once: on a CPU they stay in the cache of one core, on a GPU they keep it busy."""

NUMBERS = 1 << 28
"""Largest number of coordinates that the candidates of one `ask` hold together (1 GiB in float32)."""


def centred_ranks(fitness: torch.Tensor) -> torch.Tensor:
    """Utilities (n,) between 0.5 for the best and -0.5 for the worst, evenly spaced by rank; they sum to 0.

    Equal values share their average rank, so that a plateau and failed candidates (+inf) prefer no direction.
    """
    _, place, counts = fitness.unique(return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0).double() - (counts.double() + 1) / 2
    return 0.5 - ranks[place] / max(1, len(fitness) - 1)


class SearchGradient(Algorithm):
    """Antithetic sampling around a centre; a subclass says how the centre moves.

    The initial design is evaluated first and its best point becomes the centre (a uniform point where there is no
    design). A generation is `pairs` pairs, centre + s e and centre - s e with s the step size and e standard normal.
    It is handed out in batches whose candidates hold at most 2^28 coordinates, or one pair.

    No noise is stored: each batch has a seed, from which its noise is drawn once for `ask` and a second time, block
    by block in the same order, for the update. So memory is the candidates of one batch and a few vectors (d,).

    Candidates outside the box are moved to its surface by the engine; the gradient uses the noise as it was drawn,
    which makes it the gradient of the smoothed objective, continued constantly outside the box. The centre itself is
    kept inside.

    Subclasses read from `parameters`: ``population``, ``sigma_spread`` and ``sigma_box``.
    """

    family: ClassVar[str] = "evolution strategy"

    vectors: ClassVar[tuple[str, ...]] = ("centre",)
    """Names of the vectors (d,) that are part of the state; all but the centre start at zero."""
    state: ClassVar[tuple[str, ...]] = ("step", "generation", "position", "seeds")

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        d = task.space.dimension
        size = self.parameters.population or 4 + int(3 * np.log(d))
        self.pairs = (size + 1) // 2
        self.batch = max(1, min(self.pairs, NUMBERS // (2 * d)))
        self.width = (task.space.upper - task.space.lower).to(task.device, task.dtype).expand(d)
        self.block = max(16, BLOCK.get(task.device.type, BLOCK["cpu"]) // self.batch)
        for name in self.vectors:
            setattr(self, name, torch.empty(0, device=task.device, dtype=task.dtype))
        self.fitness = torch.full((2 * self.pairs,), torch.inf, dtype=torch.float64)
        self.step = 0.0
        self.generation = 0
        self.position = 0
        self.seeds: list[int] = []
        self.candidates: torch.Tensor | None = None
        self.asked = 0
        self.centre: torch.Tensor

    def ask(self) -> torch.Tensor:
        if not len(self.centre):
            design = self.task.initial(2 * self.batch).to(self.task.device, self.task.dtype, copy=True)
            self.asked = len(design)
            if len(design):
                return self.task.space.clip_(design)
            self._begin(self.task.space.sample(1, self.generator)[0].to(self.task.dtype), self.parameters.sigma_box)
        if self.position == 0:
            seeds = torch.randint(1 << 62, (-(-self.pairs // self.batch),), generator=self.generator, device=self._at)
            self.seeds = seeds.tolist()
        if self.candidates is None:
            shape = (2 * self.batch, self.task.space.dimension)
            self.candidates = torch.empty(shape, device=self._at, dtype=self.task.dtype)
        number = self.position // (2 * self.batch)
        for columns, noise in self._noise(number):
            noise.mul_(self.width[columns])
            centre = self.centre[columns]
            torch.add(centre, noise, out=self.candidates[0 : 2 * len(noise) : 2, columns])
            torch.sub(centre, noise, out=self.candidates[1 : 2 * len(noise) : 2, columns])
        self.asked = 2 * self._pairs_of(number)
        return self.candidates[: self.asked]

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        if not len(self.centre):
            first = int(evaluations.fitness.argmin())
            self._begin(x[first], self._step(x, first))
            return
        if len(x) < self.asked:
            return  # the budget ends within this batch
        self.fitness[self.position : self.position + len(x)] = evaluations.fitness
        self.position += len(x)
        if self.position < len(self.fitness):
            return
        self.position = 0
        self.generation += 1
        better, worse = centred_ranks(self.fitness).view(-1, 2).unbind(1)
        self.update((better - worse) / 2, (better + worse) / 2)
        self.task.space.clip_(self.centre[None])

    @abstractmethod
    def scale_(self, noise: torch.Tensor, columns: slice) -> None:
        """Multiply noise (pairs, width) of these columns by the step size in widths of the box, in place."""

    @abstractmethod
    def update(self, differences: torch.Tensor, averages: torch.Tensor) -> None:
        """Move the centre uphill, and whatever else is learned.

        Parameters
        ----------
        differences, averages
            Half the difference and the average of the utilities of each pair, (pairs,) float64 on the CPU.
        """

    def begin(self) -> None:
        """Called once, when the centre and the step size are known."""
        return None

    def blocks(self) -> Iterator[tuple[slice, list[torch.Tensor]]]:
        """The noise of the finished generation a second time, as `scale_` left it: columns, and a row per pair."""
        for parts in zip(*(self._noise(number) for number in range(len(self.seeds))), strict=True):
            yield parts[0][0], [row for _, noise in parts for row in noise]

    def recommend(self) -> torch.Tensor | None:
        """The centre, which the search is about and which is not evaluated itself."""
        return self.centre[None].clone() if len(self.centre) else None

    def state_dict(self) -> State:
        names = (*self.vectors, "fitness")
        return super().state_dict() | {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self.seeds = list(state["seeds"])
        # Copied, since they are changed in place and others may hold the same state.
        for name in self.vectors:
            setattr(self, name, state[name].to(self._at, copy=True))
        self.fitness = state["fitness"].cpu().clone()

    @property
    def _at(self) -> torch.device:
        return self.task.device

    def _pairs_of(self, number: int) -> int:
        return min(self.batch, self.pairs - number * self.batch)

    def _noise(self, number: int) -> Iterator[tuple[slice, torch.Tensor]]:
        generator = torch.Generator(device=self._at).manual_seed(self.seeds[number])
        pairs, d = self._pairs_of(number), self.task.space.dimension
        buffer = torch.empty(pairs * min(d, self.block), device=self._at, dtype=self.task.dtype)
        for left in range(0, d, self.block):
            columns = slice(left, min(left + self.block, d))
            noise = buffer[: pairs * (columns.stop - left)].view(pairs, -1).normal_(generator=generator)
            self.scale_(noise, columns)
            yield columns, noise

    def _begin(self, centre: torch.Tensor, step: float) -> None:
        for name in self.vectors:
            setattr(self, name, torch.zeros_like(centre))
        self.centre.copy_(centre)
        self.step = step
        self.begin()

    def _step(self, design: torch.Tensor, first: int) -> float:
        squares = [sum_of_squares((row - design[first]).div_(self.width)) / len(row) for row in design]
        return initial_step(self.task, squares, self.parameters.sigma_spread, self.parameters.sigma_box)
