"""`snas-*`: the cell of a spiking network, searched by a training-free score or by training.

The task of SNASNet (Kim et al., Neural Architecture Search for Spiking Neural Networks, ECCV 2022, arXiv 2201.10355):
six edges between four nodes, forward only or forward and backward, in a network whose other layers are fixed.
"""

import math
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.catalog import CATALOG
from snnbench.data.images import DataSet
from snnbench.errors import UsageError
from snnbench.problem import Context, Estimate, Objective, Problem, Split
from snnbench.problems.snas_parameters import (
    SNASCifar10Parameters,
    SNASCifar100Parameters,
    SNASDigitsBackwardParameters,
    SNASParameters,
    SNASTinyImageNetParameters,
)
from snnbench.problems.standard import (
    CONFIDENCE,
    CONSTRAINTS,
    ENERGY,
    HELD,
    OBJECTIVES,
    data_to_time,
    describe_data,
    how_measured,
    learn_and_held,
    load_data,
    stacked,
)
from snnbench.problems.tables.snas import ScoreTable, load
from snnbench.snn.architecture_score import FLOOR
from snnbench.snn.candidate import Preprocessing, Samples, seconds
from snnbench.snn.snas_candidate import (
    METRICS,
    SCORES,
    CellTask,
    Row,
    apart,
    blank_row,
    first_batches,
    layer_names,
    score_cell,
    train_cell,
)
from snnbench.snn.snas_cell import PAIRS, README_CELLS, Encoding, accepted, parse, repair, text
from snnbench.snn.snas_network import SNASConfig, SNASNet
from snnbench.snn.tally import dense_operations
from snnbench.snn.threads import run_all
from snnbench.snn.training import TrainingRecipe
from snnbench.snn.weights import content_key
from snnbench.space import Categorical, SearchSpace

REJECTED = "rejected: the cell has no forward edge from its input to its output"
DENSEST = parse("0333 0033 0003 0000")
SCORE_VERSION = 1  # raise it when scores change: the shipped table is then ignored until it is made anew


class SNASProblem(Problem):
    """Base of the `snas-*` family: x is the operation on each of six edges of a cell.

    A cell is repaired (dead nodes are removed) before its network is built. One without a forward edge from input to
    output is rejected: an infinite objective with its reason.
    """

    version = 1
    objectives: ClassVar = {"negative_score": Objective("minus the training-free score, log |det K|"), **OBJECTIVES}
    default_objectives = ("negative_score",)
    optional_constraints = CONSTRAINTS
    parameters: SNASParameters
    data_name: ClassVar[str]
    backward: ClassVar[bool] = False
    gains: ClassVar[tuple[float, float]] = (0.01 * 32768**0.5, 0.01 * 1024**0.5)
    stem_stride: ClassVar[int] = 1
    augmentation: ClassVar[AugmentationRecipe] = AugmentationRecipe()

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parameters, objectives, context, constraints)
        needy = [name for name in self.selected if name in ("error", "loss", "latency")]
        if self.tier == "score" and needy:
            raise UsageError(f"{self.name}: {needy[0]} needs a trained network; choose problem.tier=short")
        self._samples: dict[Split, tuple[torch.Tensor, torch.Tensor]] = {}
        self._table: ScoreTable | None = None

    @property
    def tier(self) -> str:
        """What an evaluation does: ``"score"``, ``"short"`` or ``"full"``."""
        if self.parameters.tier != "auto":
            return str(self.parameters.tier)
        return "score" if self.selected == ("negative_score",) and not self.limits else "short"

    @cached_property
    def network(self) -> SNASConfig:
        """Shape of the network."""
        info, p = CATALOG[self.data_name], self.parameters
        return SNASConfig(
            width=p.width,
            channels=info.shape[0],
            size=info.shape[1],
            classes=info.classes,
            steps=p.steps,
            hidden=p.hidden,
            votes=p.votes,
            dropout=p.dropout,
            gains=self.gains,
            stepwise=self.backward,
            stem_stride=self.stem_stride,
        )

    @cached_property
    def space(self) -> SearchSpace:
        """One categorical variable per pair of nodes."""
        return SearchSpace([Categorical(f"edge_{i}{j}", Encoding(self.backward).choices) for i, j in PAIRS])

    @property
    def dimension(self) -> int:
        """Six."""
        return len(PAIRS)

    @property
    def recipe(self) -> TrainingRecipe:
        """Training of the tier; that of the short tier where evaluations do not train."""
        p = self.parameters
        epochs = p.full_epochs if self.tier == "full" else p.short_epochs
        return TrainingRecipe(epochs, p.batch, lr=p.lr, augmentation=self.augmentation)

    def prepare(self) -> None:
        """Load the data, and the table of scores if it holds for these parameters."""
        self._use(load_data(self.data_name, self.context))

    def initial(self, n: int) -> torch.Tensor:
        """Empty: algorithms draw cells themselves, as the publication does."""
        return torch.empty(0, self.dimension, device=self.context.device)

    def encode(self, matrix: np.ndarray) -> torch.Tensor:
        """The point (1, 6) of a cell (4, 4)."""
        chosen = Encoding(self.backward).choose(matrix)
        values = {variable.name: [choice] for variable, choice in zip(self.space.variables, chosen, strict=True)}
        return self.space.encode(values).to(self.context.device)

    def decode(self, x: torch.Tensor) -> list[np.ndarray]:
        """The repaired cells (4, 4) of points (n, 6)."""
        encoding = Encoding(self.backward)
        return [repair(encoding.matrix(chosen)) for chosen in zip(*self.space.decode(x).values(), strict=True)]

    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """Scores on images of the split, and by tier the metrics of the trained network on it.

        The network is trained on four fifths of the search split; ``search`` is the other fifth. Where evaluations do
        not train, the test split does, so that what was found is known by its error, too: metrics ``trained_*``.
        """
        jobs = [partial(self._row, matrix, split) for matrix in self.decode(x)]
        rows = run_all(self.context.device, jobs)
        return stacked(rows)

    def describe(self) -> dict[str, Any]:
        """Data, splits, network, recipe, score and energy model."""
        return {
            "family": "snas",
            "network": {"type": "SNASNet", **self.network.describe(), "layers": layer_names(self.backward)},
            "tier": self.tier,
            "score": {"variant": self.parameters.score, "key": self.score_key, "tabulated": self._table is not None},
            "recipe": self.recipe.describe(),
            **describe_data(self.data, self._samples),
            "training_samples": len(self._learn[1]),
            "variables": self.space.describe(),
            **how_measured(self),
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Ideal and worst values: bounds of a score, and what the densest cell would do if all its neurons fired."""
        c, n = self.network, self.parameters.score_batch
        with torch.no_grad():
            densest = SNASNet(replace(c, stepwise=False), DENSEST)
            operations = dense_operations(densest, torch.zeros(1, c.channels, c.size, c.size), c.steps)
        return {
            # log |det K| of a positive definite kernel is at most the sum of the logarithms of its diagonal.
            "negative_score": (-n * math.log(c.width * c.side**2), -FLOOR * n),
            "error": (0.0, 1.0),
            "loss": (0.0, math.log(c.classes)),
            "energy": (0.0, ENERGY.energy(0.0, operations)),
            "latency": (1.0, float(c.steps)),
            "synops": (0.0, operations),
            "spikes": (0.0, float(c.neurons * c.steps)),
        }

    def targets(self) -> dict[str, list[float]]:
        """Scores between 20 and 0.1 short of the table's best: its bounds are too far away to tell searches apart."""
        if self._table is None:
            return {}
        best = self._table.extremes(self._score)[1]
        return {"negative_score": [float(gap - best) for gap in np.geomspace(20.0, 0.1, 51)]}

    def reference_lines(self) -> dict[str, dict[str, float]]:
        """The best cell of the table, or the authors' cell for this data set."""
        name = README_CELLS.get(self.data_name, README_CELLS["cifar10"])
        cells = {f"cell of the authors' README, {name}": name} if self.backward else {}
        if self._table is not None:
            cells = {"best cell of the table": self._table.best(self._score)}
        lines = {}
        for label, cell in cells.items():
            metrics = self.measure(self.encode(parse(cell)), "test")
            lines[label] = {n: float(v[0]) for n, v in metrics.items() if v.ndim == 1 and v.dtype.kind == "f"}
        return lines

    def estimate(self) -> Estimate:
        """Timed on a cell with one convolution on every edge, and extrapolated."""
        data = data_to_time(self.data_name, self.context)
        probe = type(self)(self.parameters, self.selected, self.context)
        probe._use(data)
        matrix = parse("0323 0032 0002 0000")
        p, config = self.parameters, self.network
        # As many samples as take a moment, but two at least: a batch of a small network, two of a published one.
        few = max(2, min(p.batch, len(probe._learn[1]), 2_000_000 // (config.neurons * config.steps)))
        activations = 4 * 40 * config.steps * config.width * config.side**2
        if self.tier == "score":
            batch = [(probe._learn[0][:few], probe._learn[1][:few])]
            job = partial(score_cell, probe.task, matrix, batch)
            share = p.score_batch * p.score_batches / few
            if probe._table is not None:
                job, share = partial(probe._scores, matrix, "search"), 1.0
            once = seconds(self.context.device, job)
            return Estimate(0.0, once * share, activations * p.score_batch, self.dimension)
        learn, held = ((a[:few], b[:few]) for a, b in (probe._learn, probe._samples["search"]))
        recipe = TrainingRecipe(1, few, lr=p.lr)
        once = seconds(self.context.device, partial(train_cell, probe.task, matrix, recipe, learn, held, few))
        evaluation = once * self.recipe.epochs * len(probe._learn[1]) / few
        return Estimate(0.0, evaluation, 3 * activations * p.batch, self.dimension)

    def score_batches(self, split: Split) -> list[Samples]:
        """The samples of a split that scores are computed on: its first ones."""
        p, samples = self.parameters, self._learn if split == "search" else self._samples[split]
        return first_batches(samples, p.score_batch, p.score_batches, self.name)

    @property
    def score_key(self) -> str:
        """A name for everything that determines the scores on the search split."""
        p = self.parameters
        shape = {name: value for name, value in self.network.describe().items() if name != "dropout"}
        data = {"sha256": self.data.provenance["sha256"], "split": self.data.provenance["split"], "held": HELD}
        images = {"batch": p.score_batch, "batches": p.score_batches, "samples": p.train_samples}
        versions = {"version": SCORE_VERSION, "instance": p.instance}
        return content_key({"network": shape, "data": data, "images": images, **versions})

    def _use(self, data: DataSet) -> None:
        p, device = self.parameters, self.context.device
        self.data = data
        limits = (p.train_samples, p.held_samples)
        self._learn, self._samples = learn_and_held(data, device, limits, self.name)
        preprocessing = Preprocessing(data.to_unit, data.standardize)
        self.task = CellTask(self.network, preprocessing, 1_000_003 * p.instance, ENERGY, CONFIDENCE, device)
        if self.data_name == "digits" and not self.backward:
            table = load()
            self._table = table if table is not None and table.key == self.score_key else None

    def _scores(self, matrix: np.ndarray, split: Split) -> dict[str, float]:
        if self._table is not None and split == "search":
            return self._table.metrics(text(matrix))
        return score_cell(self.task, matrix, self.score_batches(split))

    def _row(self, matrix: np.ndarray, split: Split) -> Row:
        row = self._blank(split)
        row["cell"] = np.asarray(text(matrix))
        if not accepted(matrix):
            return row | {"failure": np.asarray(REJECTED)}
        row["failure"] = np.asarray("")
        if self._scored:
            found = self._scores(matrix, split)
            row["negative_score"] = np.asarray(-found[self._score])
            chosen = (*SCORES, *METRICS) if self.tier == "score" else SCORES
            row |= {name: np.asarray(found[name]) for name in chosen}
        if self._table is not None:
            best = self._table.extremes(self._score)[1]
            row["regret"] = np.asarray(best - self._table.metrics(text(matrix))[self._score])
        if self.tier == "score":
            p = self.parameters
            row["cost"] = np.asarray(float(p.steps * p.score_batch * p.score_batches))
        if self.tier != "score" or split == "test":
            recipe, chunk = self.recipe, self.parameters.chunk
            trained = train_cell(self.task, matrix, recipe, self._learn, self._samples[split], chunk)
            row |= trained if self.tier != "score" else apart(trained)
            row["cost"] = row["cost"] + self.parameters.steps * recipe.epochs * len(self._learn[1])
        return row

    @property
    def _score(self) -> str:
        """The metric that is the chosen score."""
        return str(self.parameters.score).replace("-", "_")

    @property
    def _scored(self) -> bool:
        """Whether evaluations tell the scores: they cost something where there is no table."""
        return self.tier == "score" or "negative_score" in self.selected or self._table is not None

    def _blank(self, split: Split) -> Row:
        """A row of a candidate that cannot be evaluated: the same columns, without values."""
        names = ["regret"] * (self._table is not None)
        if self._scored:
            names += ["negative_score", *SCORES, *(METRICS if self.tier == "score" else ())]
        row = {name: np.asarray(np.nan) for name in names} | {"cost": np.asarray(0.0)}
        if self.tier != "score":
            return row | blank_row(self.network)
        return row | (apart(blank_row(self.network)) if split == "test" else {})


class SNASDigits(SNASProblem):
    """Forward cells of a small SNASNet on 8x8 digits; scores from a table.

    All 7,556 cells of the space are tabulated, so the default evaluation is instant and the exact regret is known.
    """

    name = "snas-digits"
    default_budget = 500
    Parameters = SNASParameters
    data_name = "digits"
    gains = (4.0, 4.0)


class SNASDigitsBackward(SNASDigits):
    """Cells with backward edges of a small SNASNet on 8x8 digits."""

    name = "snas-digits-backward"
    Parameters = SNASDigitsBackwardParameters
    parameters: SNASDigitsBackwardParameters
    backward = True


class SNASCifar10(SNASProblem):
    """Forward cells of SNASNet on CIFAR-10; the published setting."""

    name = "snas-cifar10"
    default_budget = 5000
    Parameters = SNASCifar10Parameters
    parameters: SNASCifar10Parameters
    data_name = "cifar10"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class SNASCifar10Backward(SNASCifar10):
    """Cells with backward edges of SNASNet on CIFAR-10; the published setting."""

    name = "snas-cifar10-backward"
    backward = True


class SNASCifar100(SNASProblem):
    """Forward cells of SNASNet on CIFAR-100; the published setting."""

    name = "snas-cifar100"
    default_budget = 5000
    Parameters = SNASCifar100Parameters
    parameters: SNASCifar100Parameters
    data_name = "cifar100"
    gains = (0.01 * 16384**0.5, 0.01 * 1024**0.5)
    augmentation = AugmentationRecipe(padding=4, flip=True)


class SNASCifar100Backward(SNASCifar100):
    """Cells with backward edges of SNASNet on CIFAR-100; the published setting."""

    name = "snas-cifar100-backward"
    backward = True


class SNASTinyImageNet(SNASProblem):
    """Forward cells of SNASNet on Tiny ImageNet; the published setting."""

    name = "snas-tinyimagenet"
    default_budget = 5000
    Parameters = SNASTinyImageNetParameters
    parameters: SNASTinyImageNetParameters
    data_name = "tinyimagenet"
    gains = (0.01 * 16384**0.5, 0.01 * 4096**0.5)
    stem_stride = 2
    augmentation = AugmentationRecipe(padding=8, flip=True)


class SNASTinyImageNetBackward(SNASTinyImageNet):
    """Cells with backward edges of SNASNet on Tiny ImageNet; as published."""

    name = "snas-tinyimagenet-backward"
    backward = True
