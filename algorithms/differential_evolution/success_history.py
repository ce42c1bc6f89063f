"""Success-history adaptation of F and CR: what SHADE and L-SHADE share."""

from typing import Any

import numpy as np

from snnbench.algorithms.differential_evolution.control import Control, Outcome, Settings
from snnbench.algorithms.differential_evolution.sampling import cauchy_factors, lehmer, normal_rates

START = 0.5
"""Initial value of all memory entries, of F and of CR."""


class SuccessHistory(Control):
    """F and CR around entries of a memory of successful ones (Tanabe and Fukunaga 2013, section III).

    Each trial picks one of H entries at random, F from Cauchy(M_F, 0.1) and CR from N(M_CR, 0.1). After a generation
    with successes the oldest entry is replaced by their mean, weighted by gain in fitness: the Lehmer mean of F, and
    of CR the arithmetic mean (2013) or the Lehmer mean with a terminal value (2014).

    Parameters
    ----------
    size
        H.
    share
        p of current-to-pbest/1; if ``None``, every trial draws it uniformly from [2/N, 0.2] (2013, eq. 19). At least
        two members count as the best in any case.
    terminal
        Whether the memory of CR works as in L-SHADE (2014): Lehmer mean, and an entry all of whose successes had CR = 0
        stays at CR = 0 for good.
    """

    def __init__(self, size: int, share: float | None, terminal: bool) -> None:
        self.factors = [START] * size
        self.rates = [START] * size
        self.place = 0
        self.share = share
        self.terminal = terminal

    def sample(self, size: int, rng: np.random.Generator) -> Settings:
        entries = rng.integers(len(self.factors), size=size)
        factors = cauchy_factors(np.array(self.factors)[entries], rng)
        centres = np.array(self.rates)[entries]
        rates = np.where(centres < 0, 0.0, normal_rates(centres, rng))
        least = 2 / size
        if self.share is None:
            shares = rng.uniform(least, max(0.2, least), size)
        else:
            shares = np.full(size, max(self.share, least))
        return Settings(factors, rates, shares=shares)

    def learn(self, outcome: Outcome, rng: np.random.Generator) -> None:
        improved = outcome.improved
        if not improved.any():
            return
        factors, rates = outcome.factors[improved], outcome.rates[improved]
        weights = outcome.gains / outcome.gains.sum()
        self.factors[self.place] = lehmer(factors, weights)
        if not self.terminal:
            self.rates[self.place] = float(weights @ rates)
        elif self.rates[self.place] < 0 or rates.max() <= 0:
            self.rates[self.place] = -1.0  # the terminal value
        else:
            self.rates[self.place] = lehmer(rates, weights)
        self.place = (self.place + 1) % len(self.factors)

    def state_dict(self) -> dict[str, Any]:
        return {"factors": self.factors, "rates": self.rates, "place": self.place}
