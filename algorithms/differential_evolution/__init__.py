"""Differential evolution on torch tensors: one kernel with exchangeable mutation, crossover and control of F and CR."""

from snnbench.algorithms.differential_evolution.bounds import BOUNDS
from snnbench.algorithms.differential_evolution.control import (
    Constant,
    Control,
    CosineAnnealing,
    Outcome,
    Scaled,
    Settings,
)
from snnbench.algorithms.differential_evolution.crossover import CROSSOVERS, Crossover
from snnbench.algorithms.differential_evolution.kernel import DifferentialEvolution, Parts
from snnbench.algorithms.differential_evolution.mutation import STRATEGIES, Donors, Pool, Strategy

__all__ = [
    "BOUNDS",
    "CROSSOVERS",
    "STRATEGIES",
    "Constant",
    "Control",
    "CosineAnnealing",
    "Crossover",
    "DifferentialEvolution",
    "Donors",
    "Outcome",
    "Parts",
    "Pool",
    "Scaled",
    "Settings",
    "Strategy",
]
