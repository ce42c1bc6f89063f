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


NO_CONSTRAINTS = "does not handle constraints"


@dataclass(frozen=True)
class Capabilities:
    """What an algorithm can be asked to do. The experiment refuses the rest before anything runs.

    Attributes
    ----------
    objectives, min_objectives
        Largest (``None`` for any) and smallest number of objectives.
    constraints
        Whether `tell` uses constraint values.
    discrete
        Whether integers and categories are handled better than as relaxed coordinates.
    max_dimension, min_dimension
        Range of dimensions in which the algorithm is usable; ``None`` for no limit.
    horizon
        Whether its behaviour depends on the budget it was told (then it is compared at that budget only).
    asynchronous
        Whether `ask` may be called while earlier candidates are still being evaluated, and `tell` with candidates as
        they complete.
    gradient
        Whether it uses the problem's gradients: a reference, never ranked among the gradient-free.
    batches
        Whether it proposes one candidate at a time unless its parameter ``batch`` says otherwise, and learns from each:
        a run with several evaluation workers then has ``batch`` set to their number, as part of its parameters.
    """

    objectives: int | None = 1
    constraints: bool = False
    discrete: bool = False
    max_dimension: int | None = None
    min_dimension: int = 1
    horizon: bool = False
    asynchronous: bool = False
    gradient: bool = False
    min_objectives: int = 1
    batches: bool = False

    def obstacle(
        self,
        dimension: int,
        objectives: int,
        constraints: int = 0,
        *,
        asynchronous: bool = False,
        gradient: bool = True,
    ) -> str | None:
        """Why a task of this shape does not fit, in a few words, or ``None`` if it does.

        Parameters
        ----------
        dimension, objectives, constraints
            Of the problem.
        asynchronous
            Whether the run is.
        gradient
            Whether the problem has gradients.
        """
        if asynchronous and not self.asynchronous:
            return "cannot run asynchronously"
        if self.gradient and not gradient:
            return "needs gradients, which the problem does not offer"
        if objectives < self.min_objectives:
            return f"needs at least {self.min_objectives} objectives, not {objectives}"
        if self.objectives is not None and objectives > self.objectives:
            return f"handles {self.objectives} objective{'s'[: self.objectives > 1]}, not {objectives}"
        if constraints and not self.constraints:
            return NO_CONSTRAINTS
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
    workers
        How many candidates are evaluated at once.
    asynchronous
        Whether candidates are told as they complete, one by one, with others pending (`Algorithm.tell`). Only
        algorithms that declare it meet this.
    gradient
        Gradients of the problem, for algorithms that declare to use them; else ``None``.
    """

    space: SearchSpace
    objectives: tuple[str, ...]
    budget: int
    initial: Callable[[int], torch.Tensor]
    constraints: int = 0
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32
    noisy: bool = False
    workers: int = 1
    asynchronous: bool = False
    gradient: "Gradient | None" = None


@dataclass(frozen=True)
class Gradient:
    """A problem's gradient, for reference algorithms.

    Attributes
    ----------
    evaluate
        ``evaluate(x, batch, generator)`` draws ``batch`` samples of the search split with the generator (on the CPU)
        and gives the mean training loss at x (d,) on them and its gradient (d,) on the task's device. The samples are
        charged to the budget: `samples` of them cost one evaluation.
    samples
        Samples that one evaluation uses.
    """

    evaluate: Callable[[torch.Tensor, int, torch.Generator], tuple[float, torch.Tensor]]
    samples: int


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

    Attributes
    ----------
    capabilities
        What it can be asked to do. Write it as ``Capabilities(...)`` with literal values in the class body:
        ``snnbench list`` reads it without importing the module.
    Parameters
        Frozen dataclass of its parameters (`snnbench.parameters.param`).
    state
        Names of the attributes that `state_dict` saves.
    reference
        Full citation.
    requires, extra
        Modules beyond the core that it imports, where it uses them; and the extra of snnbench that brings them.
    family
        Kind of algorithm under which ``snnbench list`` shows it: "differential evolution", "evolution strategy",
        "swarm", "genetic", "multi-objective", "Bayesian", "sampling", "gradient reference", or one of your own.

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
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    family: ClassVar[str] = ""
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
        """Learn what candidates are worth.

        ``x`` is the tensor that the last `ask` returned. Only when the budget ends within a generation is it shorter
        than that: then it holds the first rows, and no further `ask` follows.

        In an asynchronous run (`Task.asynchronous`), `ask` is called whenever a worker has nothing to do, so that
        earlier candidates may be pending, and `tell` for single candidates in the order in which they complete:
        ``x`` is a copy (1, d) of that row as it was evaluated, and ``evaluations.candidates`` its running number,
        counted from 0 over all rows that `ask` has returned. What the algorithm needs to remember of pending
        candidates belongs to its state; the tensor that `ask` returned may be reused.
        """

    def recommend(self) -> torch.Tensor | None:
        """Candidates (k, d) the algorithm stands for at the end, best first if it knows.

        The experiment adds the few best candidates it has seen, and picks among them on the validation split.
        ``None`` leaves it at those.
        """
        return None

    def bounds(self) -> np.ndarray | None:
        """What the candidates of the last `ask` will be compared with, if exact values beyond that do not matter.

        Returns
        -------
        numpy.ndarray or None
            (n,) the largest fitness at which each candidate can still matter; +inf where any value does. A candidate
            whose fitness is certainly larger may be told with any larger value. ``None``, the default, where
            all values are needed.
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
