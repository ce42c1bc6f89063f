"""Particle swarm optimization with constriction."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, State, Task
from snnbench.algorithms.initial_design import fill, first_members, usual_size
from snnbench.parameters import param

BLOCK = {"cpu": 1 << 16, "cuda": 1 << 23}
"""Coordinates handled at once, as in the other kernels."""


@dataclass(frozen=True)
class PSOParameters:
    """Parameters of `PSO`."""

    population: int | None = param(
        None,
        "particles; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=2,
        source="ours",
    )
    phi: float = param(4.1, "sum of both accelerations, each phi / 2", low=4.000001, source="Clerc and Kennedy 2002")
    topology: str = param(
        "ring",
        "whose best attracts a particle: its own and its two neighbours', or all",
        choices=("ring", "global"),
        source="Bratton and Kennedy 2007",
    )


class PSO(Algorithm):
    """Particle swarm optimization with constriction, local or global best.

    v = chi (v + phi/2 r1 (p - x) + phi/2 r2 (g - x)), then x = x + v; r1 and r2 uniform in [0, 1], apart for every
    coordinate; p the particle's best point, g the best one among its neighbours; chi = 2/(phi - 2 + sqrt(phi^2 - 4
    phi)), 0.73 for 4.1. This is the standard of Bratton and Kennedy 2007, but for the box: where a coordinate would
    leave it, it is set to the bound and its velocity to 0 (there: not evaluated outside). A particle's first
    velocity is half the way to another random one, which in a uniform swarm is the half-difference rule of the
    standard PSO 2007, and in a space of weights keeps to the scale of the initial design.

    Positions, velocities and best points are three populations (n, d); beyond these only blocks are allocated.
    """

    family: ClassVar[str] = "swarm"
    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True)
    Parameters: ClassVar[type] = PSOParameters
    state: ClassVar[tuple[str, ...]] = ("evaluated",)
    reference: ClassVar[str] = (
        "M. Clerc and J. Kennedy, The Particle Swarm - Explosion, Stability, and Convergence in a Multidimensional "
        "Complex Space, IEEE TEVC 6(1):58-73, 2002; D. Bratton and J. Kennedy, Defining a Standard for Particle Swarm "
        "Optimization, IEEE Swarm Intelligence Symposium, 120-127, 2007"
    )
    swarm: ClassVar[tuple[str, ...]] = ("x", "v", "best", "fitness")

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.evaluated = False
        empty = torch.empty(0, 0, device=task.device, dtype=task.dtype)
        self.x, self.v, self.best = empty, empty, empty
        self.fitness = torch.empty(0, dtype=torch.float64)

    def ask(self) -> torch.Tensor:
        if not len(self.x):
            usual = usual_size(self.task.space.dimension, self.task.budget)
            design, size = first_members(self.task, self.parameters.population, 2, usual)
            self.x = fill(self.task, design, size, self.generator)
        elif self.evaluated:
            self._move()
        return self.x

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        fitness = evaluations.fitness
        if not self.evaluated:
            self.evaluated = True
            self.best, self.v = self.x.clone(), self._half_differences()
            self.fitness = torch.full((len(self.x),), torch.inf, dtype=torch.float64)
            self.fitness[: len(fitness)] = fitness
            return
        for row in (fitness < self.fitness[: len(fitness)]).nonzero().flatten().tolist():
            self.best[row].copy_(x[row])
            self.fitness[row] = fitness[row]

    def state_dict(self) -> State:
        return super().state_dict() | {name: getattr(self, name) for name in self.swarm}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        for name in self.swarm:  # copied, since they are changed in place and others may hold the same state
            setattr(self, name, state[name].to(getattr(self, name).device, copy=True))

    def leaders(self) -> list[int]:
        """The row whose best point attracts each particle: the first best one among its neighbours and itself."""
        n = len(self.fitness)
        if self.parameters.topology == "global":
            return [int(self.fitness.argmin())] * n
        return [min((i, (i - 1) % n, (i + 1) % n), key=lambda row: float(self.fitness[row])) for i in range(n)]

    def _half_differences(self) -> torch.Tensor:
        n = len(self.x)
        steps = torch.randint(1, n, (n,), generator=self.generator, device=self.task.device).tolist()
        v = torch.empty_like(self.x)
        for row, step in enumerate(steps):
            torch.sub(self.x[(row + step) % n], self.x[row], out=v[row]).mul_(0.5)
        return v

    def _move(self) -> None:
        (n, d), space, phi = self.x.shape, self.task.space, self.parameters.phi
        chi = 2 / (phi - 2 + math.sqrt(phi * phi - 4 * phi))
        block = BLOCK.get(self.x.device.type, BLOCK["cpu"])
        height, width = max(1, block // d), min(d, block)
        leaders = torch.tensor(self.leaders(), device=self.x.device)
        lower, upper = (bound.to(self.x).expand(d) for bound in (space.lower, space.upper))
        for top in range(0, n, height):
            rows = slice(top, min(top + height, n))
            for left in range(0, d, width):
                columns = slice(left, min(left + width, d))
                x, v = self.x[rows, columns], self.v[rows, columns]
                towards = self.best[:, columns].index_select(0, leaders[rows]).sub_(x)
                random = torch.empty_like(towards)
                v.addcmul_(towards, random.uniform_(generator=self.generator), value=phi / 2)
                torch.sub(self.best[rows, columns], x, out=towards)
                v.addcmul_(towards, random.uniform_(generator=self.generator), value=phi / 2).mul_(chi)
                x.add_(v)
                low, high = lower[columns], upper[columns]
                v.mul_(torch.logical_and(x >= low, x <= high))
                torch.minimum(torch.maximum(x, low, out=x), high, out=x)
