"""Cosine annealing differential evolution (CADE) with the textbook operator.

R. Jiang et al., "CADE: Cosine Annealing Differential Evolution for Spiking Neural Network", IJCNN 2024,
arXiv:2406.02349. The configuration of the authors' released code, which differs in many ways, is
`snnbench.algorithms.cade_released`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from snnbench.algorithm import Capabilities
from snnbench.algorithms.code import CoDE, CoDEParameters
from snnbench.algorithms.differential_evolution import (
    BOUNDS,
    CROSSOVERS,
    STRATEGIES,
    Control,
    CosineAnnealing,
    DifferentialEvolution,
    Parts,
    Scaled,
)
from snnbench.algorithms.differential_evolution.control import SCHEDULES, Annealed
from snnbench.algorithms.jade import JADE, JADEParameters
from snnbench.algorithms.jde import JDE, JDEParameters
from snnbench.algorithms.lshade import LSHADE, LSHADEParameters
from snnbench.algorithms.sade import SADE, SaDEParameters
from snnbench.algorithms.shade import SHADE, SHADEParameters
from snnbench.errors import UsageError
from snnbench.parameters import param

OSCILLATION_PERIOD = 5

ADAPTIVE: dict[str, Callable[[], Parts]] = {
    "jde": lambda: JDE.parts_for(JDEParameters()),
    "jade": lambda: JADE.parts_for(JADEParameters()),
    "sade": lambda: SADE.parts_for(SaDEParameters()),
    "code": lambda: CoDE.parts_for(CoDEParameters()),
    "shade": lambda: SHADE.parts_for(SHADEParameters()),
    "lshade": lambda: LSHADE.parts_for(LSHADEParameters()),
}
"""Operators and control of each adaptive variant, with its own defaults."""


@dataclass(frozen=True)
class CADEParameters:
    """Parameters of `CADE`."""

    base: str = param(
        "de",
        "whose operators the schedule drives; of an adaptive one it scales F and CR",
        choices=("de", *ADAPTIVE),
        source="ours",
    )
    f: float = param(0.5, "initial mutation factor F", low=0, high=2, source="ours: where `de` stays")
    f_min: float = param(0.1, "floor of F", low=0, high=2, source="ours")
    cr: float = param(0.9, "initial crossover rate CR", low=0, high=1, source="ours: where `de` stays")
    cr_min: float = param(0.1, "floor of CR", low=0, high=1, source="ours, tuned on sew-digits, seeds 1-2")
    schedule: str = param("plain", "how F and CR fall", choices=SCHEDULES, source="released code has all four")
    period: int | None = param(
        None, "T in generations; by default all of the budget (5 if oscillating)", low=1, source="ours (released: 40)"
    )
    strategy: str | None = param(
        None, "mutation; by default the base's, rand/1 of de", choices=tuple(STRATEGIES), source="released code: rand/1"
    )
    crossover: str = param(
        "bin", "binomial or exponential crossover", choices=tuple(CROSSOVERS), source="released code"
    )
    bounds: str | None = param(
        None, "mutants outside the box; by default as the base, clip of de", choices=tuple(BOUNDS), source="ours"
    )
    archive: float | None = param(
        None, "replaced members kept, per member; by default as the base, 0 of de", low=0, high=10, source="ours"
    )
    population: int | None = param(
        None,
        "members; by default as many as the initial design has, else 10 d, 50, or a tenth of the budget",
        low=4,
        source="ours",
    )
    p: float = param(0.1, "share of best members in current-to-pbest/1", low=0, high=1, source="ours")
    asynchronous: bool = param(False, "a trial replaces its target before the next trial is made", source="ours")


class CADE(DifferentialEvolution):
    """Cosine annealing DE (CADE): F and CR follow a cosine, textbook operator.

    The paper's idea, cosine annealing of F and CR from an initial population of transfer-learned members, on
    textbook differential evolution: at least one coordinate crosses, a trial replaces its target if it is no worse,
    generations are synchronous, and F and CR are moved into [floor, initial value].

    What is the paper's and what is ours: the four schedules are those of the released code (see
    `CosineAnnealing`); one fall over the whole budget, the initial values F = 0.5 and CR = 0.9, which are
    those of `de`, and the floors of 0.1 are ours. (With the released floor of 1e-9 for CR the last generations change
    hardly more than one coordinate.) `cade-released` has the released constants.

    With an adaptive `base`, F and CR of every trial are what that variant proposes, multiplied by X / X0 of the
    schedule: it goes on learning from what it proposed, and the schedule takes its steps from large to small.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(horizon=True, asynchronous=True)
    Parameters: ClassVar[type] = CADEParameters
    reference: ClassVar[str] = (
        "R. Jiang, G. Du, S. Yu, Y. Guo, S. K. Goh and H.-K. Tang, CADE: Cosine Annealing Differential Evolution for "
        "Spiking Neural Network, IJCNN 2024, arXiv:2406.02349"
    )

    def make_parts(self) -> Parts:
        """Cosine schedules of F and CR, over the operators of the base; strategy and crossover as named."""
        p = self.parameters
        for name, initial, floor in (("f", p.f, p.f_min), ("cr", p.cr, p.cr_min)):
            if floor > initial:
                raise UsageError(f"cade: {name}_min={floor:g} is above {name}={initial:g}")
        period = p.period or (OSCILLATION_PERIOD if p.schedule == "oscillating" else None)
        schedule = CosineAnnealing(Annealed(p.f, p.f_min), Annealed(p.cr, p.cr_min), p.schedule, period)
        control: Control = schedule
        if p.base == "de":
            parts = Parts((STRATEGIES["rand/1"],), CROSSOVERS[p.crossover], control)
        else:
            parts = ADAPTIVE[p.base]()
            control = Scaled(schedule, parts.control)
        strategies = parts.strategies
        if p.strategy is not None:
            # A base with several strategies keeps its way of choosing F and CR and mutates by this one throughout.
            strategies = tuple(STRATEGIES[p.strategy] for _ in strategies)
        return replace(
            parts,
            strategies=strategies,
            crossover=CROSSOVERS[p.crossover],
            control=control,
            repair=parts.repair if p.bounds is None else BOUNDS[p.bounds],
            population=p.population,
            best_share=p.p,
            asynchronous=p.asynchronous,
            archive=parts.archive if p.archive is None else p.archive,
        )
