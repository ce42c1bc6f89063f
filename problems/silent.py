"""`silent-*`: hyperparameters of spiking networks, trained in every evaluation, with the silent-network constraint.

The task of Firmin, Boulet and Talbi, Parallel Hyperparameter Optimization of Spiking Neural Networks (2024, arXiv
2403.00450): most points of the space give networks that hardly spike, and their training is stopped as soon as that
is certain. Here is what the members share; `snnbench.problems.silent_surrogate` has those that train by surrogate
gradient, `snnbench.problems.silent_stdp` those that learn by spike-timing-dependent plasticity.
"""

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.data.catalog import info_of
from snnbench.data.entry import DataSetInfo
from snnbench.data.images import DataSet
from snnbench.data.splits import stratified
from snnbench.parameters import param
from snnbench.problem import Context, Objective, Problem, Split
from snnbench.problems.standard import CONSTRAINTS, OBJECTIVES, Samples, how_measured, load_data, samples_of
from snnbench.snn.silence import SilentCriterion, SilentMonitor
from snnbench.snn.threads import run_all
from snnbench.space import SearchSpace, Variable

Values = Mapping[str, Any]
Score = dict[str, np.ndarray]
LEVELS = ("easy", "medium", "hard")
OWN_OBJECTIVES = {
    "cost": Objective("samples x steps of training and scoring: smaller the earlier a training stops"),
}


@dataclass(frozen=True)
class SilentParameters:
    """Parameters of `silent-digits`; the larger members change the defaults."""

    level: str = param(
        "medium", "width of the space: the harder, the fewer points are feasible", choices=LEVELS, source="ours"
    )
    alpha: float = param(5.0, "output spikes below which a sample is silent", low=0, source="published")
    beta: float = param(0.03, "largest share of silent samples in an epoch", low=0, high=1, source="published")
    update_interval: int = param(20, "samples between two checks of the constraint", low=1, source="ours")
    held: float = param(0.3, "share of the search split that scores and does not train", low=0.01, high=0.9)
    chunk: int = param(300, "samples per pass when scoring", low=1, source="ours")
    instance: int = param(0, "seed of initial weights, order and dropout: another instance", low=0, source="ours")


class SilentProblem(Problem):
    """Base of the `silent-*` families: training as the evaluation, stopped once it is certainly silent.

    The search split is cut once into a part that trains and a part that scores. Whatever split is measured, the
    network learns from the former only. The constraint is the informative form of the silent-network criterion,
    g = 1 - s / N - beta, with s spiking samples of the last epoch that was begun and N its samples.
    """

    version = 1
    objectives = OBJECTIVES | OWN_OBJECTIVES
    optional_constraints = CONSTRAINTS
    constraints = 1
    default_budget = 100
    Parameters: ClassVar[type] = SilentParameters
    parameters: SilentParameters
    data_name: ClassVar[str]

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parameters, objectives, context, constraints)
        self._data: DataSet | None = None
        self._samples: dict[Split, Samples] = {}

    @abstractmethod
    def variables(self) -> list[Variable]:
        """The variables at the level of `parameters`."""

    @abstractmethod
    def evaluate_one(self, values: Values, split: Split) -> Score:
        """Train and score one candidate on one core."""

    @property
    def info(self) -> DataSetInfo:
        """What the catalog says of the data."""
        return info_of(self.data_name)

    @cached_property
    def space(self) -> SearchSpace:
        """The hyperparameters."""
        return SearchSpace(self.variables())

    @cached_property
    def dimension(self) -> int:
        """Number of hyperparameters."""
        return self.space.dimension

    @property
    def data(self) -> DataSet:
        """The data set; known after `prepare`."""
        if self._data is None:
            raise RuntimeError(f"{self.name}: prepare() comes first")
        return self._data

    def prepare(self) -> None:
        """Load the data and cut the search split."""
        self._use(load_data(self.data_name, self.context))

    def initial(self, n: int) -> torch.Tensor:
        """No points, (0, d): as published, the search starts from points it draws itself."""
        return torch.empty(0, self.dimension, device=self.context.device)

    def measure(self, x: torch.Tensor, split: Split) -> Score:
        """Train every candidate and score it on one split.

        Returns
        -------
        dict of str to numpy.ndarray
            Metrics of `snnbench.snn.population.metrics_of`; ``constraints`` (n, 1); ``stopped``, 1 if the training
            was stopped; ``trained``, samples trained on; ``spiking``, share of the epoch's samples that spiked
            enough; ``cost`` with the training in it; ``candidate_seconds``, which go to the record's timings. Arrays
            over steps are as long as the longest run of the space: a run that has ended keeps its answer and spikes
            no more.
        """
        values = self.space.decode(x)
        rows = [{name: column[i] for name, column in values.items()} for i in range(len(x))]
        scores = run_all(self.device, [partial(self._timed, row, split) for row in rows])
        return {name: np.stack([score[name] for score in scores]) for name in scores[0]}

    @property
    def device(self) -> torch.device:
        """Where candidates are trained."""
        return self.context.device

    def _timed(self, values: Values, split: Split) -> Score:
        began = time.perf_counter()
        score = self.evaluate_one(values, split)
        return score | {"candidate_seconds": np.asarray(time.perf_counter() - began)}

    def describe(self) -> dict[str, Any]:
        """Data, splits, space, network, constraint and models."""
        p = self.parameters
        provenance = dict(self.data.provenance)
        return {
            "family": "silent",
            "data": provenance,
            "official": bool(provenance["official"]),
            "splits": {split: len(labels) for split, (_, labels) in self._samples.items()},
            "training": {"samples": len(self._train[1]), "rule": "stratified by pixel-sha256 within the search split"},
            "variables": self.space.describe(),
            "constraint": {"alpha": p.alpha, "beta": p.beta, "update_interval": p.update_interval},
            "network": self.network_description(),
            "instance": p.instance,
            **how_measured(self),
        }

    @abstractmethod
    def network_description(self) -> dict[str, Any]:
        """Network and learning rule as plain data."""

    def monitor(self, samples: int) -> SilentMonitor:
        """The silent-network criterion for epochs of so many samples."""
        p = self.parameters
        return SilentMonitor(SilentCriterion(p.alpha, p.beta, p.update_interval), samples)

    def training_samples(self, share: float) -> torch.Tensor:
        """Numbers of the first `share` of the training part in a frozen order, (N,): smaller shares are subsets."""
        return self._order[: max(1, round(share * len(self._order)))]

    def score(self, measured: Score, monitor: SilentMonitor, trained: int, longest: int, failure: str) -> Score:
        """What `snnbench.snn.population.metrics_of` gave for one candidate, with how its training went."""
        steps = len(measured["accuracy"])
        missing = longest - steps
        own = {
            "accuracy": np.pad(measured["accuracy"], (0, missing), mode="edge"),
            "layer_spikes": np.pad(measured["layer_spikes"], ((0, 0), (0, missing))),
            "cost": measured["cost"] + trained * steps,
            "failure": failure or str(measured["failure"]),
            "stopped": float(monitor.stopped),
            "trained": float(trained),
            "spiking": monitor.spiking / monitor.samples,
            "constraints": np.array([monitor.constraint]),
        }
        return measured | {name: np.asarray(value) for name, value in own.items()}

    @property
    def sizes(self) -> tuple[int, int]:
        """Samples of the search split that train, and that score, of the official data."""
        search = self.info.sizes["search"]
        held = self._held(search)
        return search - held, held

    def _held(self, search: int) -> int:
        return min(max(1, round(self.parameters.held * search)), search - 1)

    def _use(self, data: DataSet) -> None:
        self._data = data
        self._samples = samples_of(data, self.context.device)
        index = data.indices["search"]
        held = self._held(len(index))
        parts = stratified(data.images[index], data.labels[index], {"train": len(index) - held, "held": held})
        images, labels = self._samples["search"]
        train, scored = (torch.tensor(parts[name], device=labels.device) for name in ("train", "held"))
        self._train: Samples = images[train], labels[train]
        self._samples["search"] = images[scored], labels[scored]
        order = torch.Generator().manual_seed(1_000_003 * self.parameters.instance + 7)
        self._order = torch.randperm(len(train), generator=order).to(labels.device)
