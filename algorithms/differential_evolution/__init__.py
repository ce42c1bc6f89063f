"""Differential evolution on torch tensors: one kernel with exchangeable mutation, crossover and control of F and CR."""

from snnbench.algorithms.differential_evolution.control import Constant, Control, CosineAnnealing
from snnbench.algorithms.differential_evolution.crossover import CROSSOVERS, Crossover
from snnbench.algorithms.differential_evolution.kernel import DifferentialEvolution, Parts
from snnbench.algorithms.differential_evolution.mutation import STRATEGIES, Donors, Strategy

__all__ = [
    "CROSSOVERS",
    "STRATEGIES",
    "Constant",
    "Control",
    "CosineAnnealing",
    "Crossover",
    "DifferentialEvolution",
    "Donors",
    "Parts",
    "Strategy",
]
