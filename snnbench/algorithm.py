"""What an optimizer is to snnbench: `ask`, `tell`, `recommend`, and a state that can be saved.

The experiment does the bookkeeping once for all algorithms: it moves candidates into the box, counts the budget,
replaces failures by infinity, remembers the best candidate, records and checkpoints. An algorithm only searches.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.evaluations import Evaluations
from snnbench.parameters import NoParameters
from snnbench.space import SearchSpace

__all__ = ["Algorithm", "Capabilities", "Evaluations", "State", "Task"]


@dataclass(frozen=True)
class Capabilities:
    """What an algorithm can be asked to do. The experiment refuses the rest before anything runs.

    Attributes
    ----------
    objectives
        Largest number of objectives; ``None`` for any number.
    constraints
        Whether `tell` uses constraint values.
    discrete
        Whether integers and categories are handled better than as relaxed coordinates.
    max_dimension, min_dimension
        Range of dimensions in which the algorithm is usable; ``None`` for no limit.
    horizon
        Whether its behaviour depends on the budget it was told (then it is compared at that budget only).
    asynchronous
        Whether `ask` may be called while earlier candidates are still being evaluated.
    """

    objectives: int | None = 1
    constraints: bool = False
    discrete: bool = False
    max_dimension: int | None = None
    min_dimension: int = 1
    horizon: bool = False
    asynchronous: bool = False

    def obstacle(self, dimension: int, objectives: int, constraints: int = 0) -> str | None:
        """Why a task of this shape does not fit, in a few words, or ``None`` if it does."""
        if self.objectives is not None and objectives > self.objectives:
            return f"handles {self.objectives} objective{'s'[: self.objectives > 1]}, not {objectives}"
        if constraints and not self.constraints:
            return "does not handle constraints"
        if self.max_dimension is not None and dimension > self.max_dimension:
            return f"is limited to {self.max_dimension:,} dimensions, the problem has {dimension:,}"
        if dimension < self.min_dimension:
            return f"needs at least {self.min_dimension} dimensions, the problem has {dimension}"
        return None


@dataclass(frozen=True)
class Task:
    """All that an optimizer may see of a problem.

    Attributes
    ----------
    space
        The box and its variables.
    objectives
        Names of the objectives, all minimised; m = ``len(objectives)``.
    constraints
        Number of constraints k (feasible where <= 0).
    budget
        Evaluations in this run.
    initial
        ``initial(n)`` gives the problem's initial design, at most n points (k, d) inside the box, k possibly 0.
        The same for every algorithm; their evaluations count like any other.
    device, dtype
        Where candidates are evaluated; population algorithms keep their tensors there.
    noisy
        Whether evaluating a point twice may give two values.
    """

    space: SearchSpace
    objectives: tuple[str, ...]
    budget: int
    initial: Callable[[int], torch.Tensor]
    constraints: int = 0
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    noisy: bool = False


State = dict[str, Any]


class Algorithm(ABC):
    """Base class of every optimizer.

    A subclass sets `capabilities`, optionally `Parameters`, lists in `state` the attributes that change while it
    runs, and implements `ask` and `tell`. Randomness comes from `self.generator` (on the task's device) only.

    Parameters
    ----------
    task
        What is to be optimized.
    parameters
        An instance of `Parameters`; its defaults if omitted.
    seed
        Seeds `self.generator`.

    Examples
    --------
    >>> class Halving(Algorithm):
    ...     "Steps halfway from a random point towards the best one."
    ...     state = ("best", "value")
    ...     def __init__(self, task, parameters=None, seed=0):
    ...         super().__init__(task, parameters, seed)
    ...         self.best, self.value = task.space.sample(1, self.generator), float("inf")
    ...     def ask(self):
    ...         return (self.best + self.task.space.sample(4, self.generator)) / 2
    ...     def tell(self, x, evaluations):
    ...         value, index = evaluations.fitness.min(dim=0)
    ...         if value < self.value:
    ...             self.best, self.value = x[index : index + 1].clone(), float(value)
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    Parameters: ClassVar[type] = NoParameters
    state: ClassVar[tuple[str, ...]] = ()
    reference: ClassVar[str] = ""

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        self.task = task
        self.parameters = self.Parameters() if parameters is None else parameters
        self.generator = torch.Generator(device=task.device).manual_seed(seed)

    @abstractmethod
    def ask(self) -> torch.Tensor:
        """Candidates to evaluate next: (n, d) on the task's device, n >= 1 of the algorithm's choice.

        Points outside the box are moved to its surface, in this very tensor, before they are evaluated.
        """

    @abstractmethod
    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        """Learn what the candidates of the last `ask` are worth.

        ``x`` is the tensor that `ask` returned. Only when the budget ends within a generation is it shorter than
        that: then it holds the first rows, and no further `ask` follows.
        """

    def recommend(self) -> torch.Tensor | None:
        """Candidates (k, d) the algorithm stands for at the end, best first if it knows.

        The experiment adds the best candidate it has seen, and picks among them on the validation split. ``None``
        leaves it at that one.
        """
        return None

    def annotations(self) -> dict[str, np.ndarray]:
        """What to record beside the candidates of the last `ask`: name to (n,) numbers, such as F and CR."""
        return {}

    def state_dict(self) -> State:
        """Everything the future depends on, as tensors and plain values (the generator's state included)."""
        return {"generator": self.generator.get_state()} | {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`, exactly."""
        self.generator.set_state(state["generator"].cpu())
        for name in self.state:
            value = state[name]
            if isinstance(value, torch.Tensor):
                current = getattr(self, name)
                value = value.to(current.device) if isinstance(current, torch.Tensor) else value
            setattr(self, name, value)
