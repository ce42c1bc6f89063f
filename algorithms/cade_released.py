"""CADE as in the authors' released code, constants included (arXiv:2406.02349)."""

from dataclasses import dataclass
from typing import ClassVar

from snnbench.algorithm import Capabilities
from snnbench.algorithms.differential_evolution import (
    CROSSOVERS,
    STRATEGIES,
    CosineAnnealing,
    DifferentialEvolution,
    Parts,
)
from snnbench.algorithms.differential_evolution.control import Annealed
from snnbench.parameters import param


@dataclass(frozen=True)
class CADEReleasedParameters:
    """Parameters of `CADEReleased`; the defaults are the released constants."""

    initial: float = param(1e-5, "X0, initial value of F and of CR", low=0, high=1, source="released code")
    floor: float = param(1e-6, "m, floor of the cosine", low=0, high=1, source="released code")
    period: int = param(40, "T in generations", low=1, source="released code (run for 99 generations)")
    population: int = param(8, "members N", low=4, source="released code")


class CADEReleased(DifferentialEvolution):
    """CADE as in its released code: noisy cosine, F and CR about 1e-5.

    DE/rand/1/bin without a forced coordinate; F and CR are scalars, m + (X0 - m)(1 + cos(pi g / T)) / 2 + U(m, X0)
    with the noise drawn apart for the two, new in every generation and not clipped; a trial replaces its target at
    once, and only if strictly better. After T generations the cosine rises again.

    With these constants the difference vector is below the resolution of half precision: what works is that a few
    hundred of 2e7 coordinates are copied from another member. On smaller networks most trials cross no coordinate
    at all and cost an evaluation each all the same; that is the released algorithm, not an error here. See `cade`
    for the idea with ordinary F and CR.

    Differences to the released code: there the objective is noisy, so the target is scored anew on the same batches
    as its trial; here problems are deterministic and the target's fitness is remembered, which decides the same and
    costs half. There the number of generations is 99; here the budget decides. The loop is otherwise the same.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(asynchronous=True)
    Parameters: ClassVar[type] = CADEReleasedParameters
    reference: ClassVar[str] = (
        "R. Jiang, G. Du, S. Yu, Y. Guo, S. K. Goh and H.-K. Tang, CADE: Cosine Annealing Differential Evolution for "
        "Spiking Neural Network, IJCNN 2024, arXiv:2406.02349 (released code)"
    )

    def make_parts(self) -> Parts:
        """The released operators and schedule."""
        p = self.parameters
        curve = Annealed(p.initial, p.floor)
        return Parts(
            strategies=(STRATEGIES["rand/1"],),
            crossover=CROSSOVERS["bin"],
            control=CosineAnnealing(curve, curve, "noise", p.period, clipped=False),
            population=p.population,
            forced=False,
            strict=True,
            asynchronous=True,
        )
