"""What evolution strategies share: how far they step at first, and noise that is drawn twice instead of stored."""

from snnbench.algorithms.evolution_strategies.search_gradient import SearchGradient, centred_ranks
from snnbench.algorithms.evolution_strategies.start import initial_step, sum_of_squares

__all__ = ["SearchGradient", "centred_ranks", "initial_step", "sum_of_squares"]
