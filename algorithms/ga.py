"""A real-coded genetic algorithm made of DEAP's operators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from snnbench.algorithm import Algorithm, Capabilities, Evaluations, State, Task
from snnbench.algorithms.initial_design import fill, first_members, usual_size
from snnbench.errors import UsageError
from snnbench.parameters import param


@dataclass(frozen=True)
class GAParameters:
    """Parameters of `GA`."""

    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=4,
        source="ours",
    )
    crossover: float = param(0.9, "probability that two parents cross", low=0, high=1, source="Deb et al. 2002")
    crossover_eta: float = param(20.0, "crowding of the crossover", low=0, source="Deb et al. 2002")
    mutation: float | None = param(
        None, "probability that a coordinate mutates; by default 1/d", low=0, high=1, source="Deb et al. 2002"
    )
    mutation_eta: float = param(20.0, "crowding of the mutation", low=0, source="Deb et al. 2002")
    tournament: int = param(2, "members that compete to be a parent", low=1, source="Deb et al. 2002: binary")
    elite: int = param(1, "best members that stay", low=0, source="ours: the least elitism")


class Parent(list):
    """A member as DEAP's operators take it: a list of genes with a `fitness`, larger for the better."""

    def __init__(self, genes: list[float], fitness: float) -> None:
        super().__init__(genes)
        self.fitness = fitness


class GA(Algorithm):
    """Genetic algorithm: tournaments, simulated binary crossover, elitism (DEAP).

    Parents win tournaments (``selTournament``); two of them cross (``cxSimulatedBinaryBounded``) and mutate
    (``mutPolynomialBounded``), and their children are the next generation, beside the `elite` best members, which are
    not evaluated again. With the default elite of 1, a generation is N - 1 evaluations.

    DEAP works gene by gene in Python, on copies of the members (its operators write in place): about 1 microsecond a
    gene and candidate, hence the limit of 100,000 dimensions, where a candidate costs 0.1 s. DEAP draws from the
    global generator of `random`, which is borrowed for the time and put back as it was (`borrowed_random`).
    """

    family: ClassVar[str] = "genetic"
    capabilities: ClassVar[Capabilities] = Capabilities(max_dimension=100_000, horizon=True)
    Parameters: ClassVar[type] = GAParameters
    state: ClassVar[tuple[str, ...]] = ("evaluated",)
    reference: ClassVar[str] = (
        "K. Deb and R. B. Agrawal, Simulated Binary Crossover for Continuous Search Space, Complex Systems "
        "9(2):115-148, 1995; K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, A Fast and Elitist Multiobjective Genetic "
        "Algorithm: NSGA-II, IEEE TEVC 6(2):182-197, 2002 (settings); F.-A. Fortin et al., DEAP: Evolutionary "
        "Algorithms Made Easy, JMLR 13:2171-2175, 2012"
    )

    def __init__(self, task: Task, parameters: Any = None, seed: int = 0) -> None:
        super().__init__(task, parameters, seed)
        self.random = random.Random(seed)
        self.evaluated = False
        self.population = torch.empty(0, task.space.dimension, device=task.device, dtype=task.dtype)
        self.fitness = torch.empty(0, dtype=torch.float64)
        p = self.parameters
        if p.population is not None and p.elite >= p.population:
            raise UsageError(f"ga: elite={p.elite} leaves no room for children in a population of {p.population}")

    def ask(self) -> torch.Tensor:
        p = self.parameters
        if not len(self.population):
            usual = usual_size(self.task.space.dimension, self.task.budget)
            design, size = first_members(self.task, p.population, p.elite + 1, usual)
            self.population = fill(self.task, design, size, self.generator)
        return self._children() if self.evaluated else self.population.clone()

    def tell(self, x: torch.Tensor, evaluations: Evaluations) -> None:
        fitness = evaluations.fitness
        if not self.evaluated:
            self.evaluated = True
            self.fitness = torch.full((len(self.population),), torch.inf, dtype=torch.float64)
            self.fitness[: len(fitness)] = fitness
            return
        elite = self.fitness.argsort(stable=True)[: len(self.population) - len(x)]
        self.population = torch.cat([self.population[elite.to(x.device)], x])
        self.fitness = torch.cat([self.fitness[elite], fitness])

    def state_dict(self) -> State:
        version, words, _ = self.random.getstate()
        return super().state_dict() | {
            "random": [version, list(words)],
            "population": self.population,
            "fitness": self.fitness,
        }

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        version, words = state["random"]
        self.random.setstate((version, tuple(words), None))
        self.population = state["population"].to(self.task.device)
        self.fitness = state["fitness"].cpu()

    def _children(self) -> torch.Tensor:
        from deap import tools

        p, space = self.parameters, self.task.space
        n, d = self.population.shape
        lower, upper = (bound.double().expand(d).tolist() for bound in (space.lower, space.upper))
        rate = 1 / d if p.mutation is None else p.mutation
        # A failed candidate loses against every other one.
        members = [
            Parent(row, -value) for row, value in zip(self.population.tolist(), self.fitness.tolist(), strict=True)
        ]
        children: list[list[float]] = []
        with borrowed_random(self.random):
            while len(children) < n - p.elite:
                pair = [list(parent) for parent in tools.selTournament(members, 2, p.tournament)]
                if random.random() < p.crossover:
                    tools.cxSimulatedBinaryBounded(*pair, p.crossover_eta, lower, upper)
                for child in pair:
                    tools.mutPolynomialBounded(child, p.mutation_eta, lower, upper, rate)
                children += pair
        return torch.tensor(children[: n - p.elite], dtype=torch.float64).to(self.task.device, self.task.dtype)


@contextmanager
def borrowed_random(own: random.Random) -> Iterator[None]:
    """Let `random`, which DEAP draws from, continue a stream of our own for a while, and then where it was."""
    before = random.getstate()
    random.setstate(own.getstate())
    try:
        yield
    finally:
        own.setstate(random.getstate())
        random.setstate(before)
