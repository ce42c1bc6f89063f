"""`threshold-*`: the firing thresholds of a network converted from a trained one.

The task of "Neuroevolution guided hybrid spiking neural network training" (Lu and Sengupta 2022, Front. Neurosci.
16:838523): a network with ReLU is trained and converted; weights stay as they are, and an optimizer searches the
spiking thresholds of the layers, so that few time steps suffice.
"""

import math
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import torch

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.catalog import CATALOG
from snnbench.data.images import DataSet
from snnbench.data.splits import stratified
from snnbench.errors import UsageError
from snnbench.parameters import param
from snnbench.problem import Context, Estimate, Objective, Problem, Split
from snnbench.problems.standard import (
    CONFIDENCE,
    CONSTRAINTS,
    ENERGY,
    OBJECTIVES,
    Samples,
    data_to_time,
    describe_data,
    how_measured,
    load_data,
    stacked,
)
from snnbench.snn.conversion import Converted, convert
from snnbench.snn.folded import GROUP, Counts, FoldedNetwork, fan_out
from snnbench.snn.metrics import metrics_of
from snnbench.snn.source import SourceTask, make_source, seconds_per_sample, source_seconds
from snnbench.snn.source_metrics import source_metrics
from snnbench.snn.threads import run_all
from snnbench.snn.training import TrainingRecipe
from snnbench.snn.vgg import VGG, VGG15, VGGConfig
from snnbench.space import Real, SearchSpace

CODE = "released conversion code of Lu and Sengupta 2020"
LOWEST, HIGHEST = 0.2, 1.5
LARGEST_LEAK = 0.5
TIMED_STEPS = 8
"""Steps of an estimate: more take in proportion."""

Part = list[int] | slice


@dataclass(frozen=True)
class ThresholdParameters:
    """Parameters of `threshold-digits`; the larger members change the defaults."""

    layout: str = param(
        "16p-24p-24-24-24p|48-48-48", "channels of convolutions, p: pooled; behind | linear layers", source="ours"
    )
    steps: int = param(
        4, "time steps T", low=1, high=1000, source="ours: the untuned conversion fails, tuned ones work"
    )
    early: int = param(2, "after how many steps early_error is read, at most T", low=1, high=1000, source="ours")
    leaks: bool = param(False, "whether every layer's leak, too, is a variable", source="ours")
    percentile: float = param(
        99.7, "percentile of activations that thresholds start from", low=0, high=100, source=CODE
    )
    calibration: int = param(128, "training samples that the percentiles are taken of", low=1, source=CODE)
    held: int = param(400, "samples of the search split that are scored; the source learns from the others", low=1)
    search_samples: int = param(0, "scored samples an evaluation uses; 0 for all", low=0, source="ours")
    train_samples: int = param(0, "samples the source learns from; 0 for all", low=0, source="ours")
    epochs: int = param(60, "epochs of the source network", low=1, source="ours")
    batch: int = param(32, "samples per training step", low=2, source="ours")
    lr: float = param(0.05, "learning rate of the source network, cosine to 0", low=1e-6, high=10, source=CODE)
    weight_decay: float = param(5e-4, "weight decay of the source network", low=0, high=1, source="ours")
    dropout: float = param(0.1, "share of activations dropped in training", low=0, high=0.9, source=CODE)
    delta: float = param(
        0.01, "accuracy below the source network's that ann_latency allows", low=0, high=1, source="ours"
    )
    span: int = param(500, "samples per job", low=1, source="ours")
    instance: int = param(0, "seed of the source network: another instance of the problem", low=0, source="ours")


@dataclass(frozen=True)
class ThresholdCifarParameters(ThresholdParameters):
    """Parameters of the CIFAR members: the layout and training of the authors' earlier conversion code."""

    layout: str = param(VGG15, "channels of convolutions, p: pooled; behind | linear layers (VGG-15)", source=CODE)
    steps: int = param(80, "time steps T", low=1, high=1000, source=CODE)
    early: int = param(16, "after how many steps early_error is read, at most T", low=1, high=1000, source="ours")
    held: int = param(5000, "samples of the search split that are scored; the source learns from the others", low=1)
    epochs: int = param(200, "epochs of the source network", low=1, source=CODE)
    batch: int = param(256, "samples per training step", low=2, source=CODE)
    weight_decay: float = param(1e-4, "weight decay of the source network", low=0, high=1, source=CODE)
    span: int = param(100, "samples per job", low=1, source="ours")


class ThresholdProblem(Problem):
    """Base of the `threshold-*` family: x is one factor on the threshold of every layer, and optionally its leak.

    The source network is trained on one part of the search split; the other part scores candidates. All candidates
    share its weights and run together (`snnbench.snn.folded`).
    """

    version = 1
    objectives = OBJECTIVES | {
        "early_error": Objective("share of samples classified wrongly after a few of the T steps (`early`)"),
        "ann_latency": Objective("first step from which accuracy stays within delta of the source's, else T", "steps"),
    }
    optional_constraints = CONSTRAINTS
    default_budget = 500
    strategies = ("convolution", "events")
    parameters: ThresholdParameters
    data_name: ClassVar[str]
    augmentation: ClassVar[AugmentationRecipe] = AugmentationRecipe()

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parameters, objectives, context, constraints)
        self._folded: FoldedNetwork | None = None
        self._samples: dict[Split, Samples] = {}
        self._source_metrics: dict[Split, dict[str, float]] = {}

    @cached_property
    def network(self) -> VGGConfig:
        """Shape of the network."""
        info = CATALOG[self.data_name]
        config = VGGConfig(self.parameters.layout, info.shape, info.classes, self.parameters.dropout)
        config.layers()
        return config

    @cached_property
    def space(self) -> SearchSpace:
        """`scale_l`, log-uniform, for every layer l with neurons; with `leaks` also `leak_l`."""
        count = len(self.network.layers())
        variables = [Real(f"scale_{i + 1}", LOWEST, HIGHEST, log=True) for i in range(count)]
        if self.parameters.leaks:
            variables += [Real(f"leak_{i + 1}", 0.0, LARGEST_LEAK) for i in range(count)]
        return SearchSpace(variables)

    @property
    def dimension(self) -> int:
        """Number of layers with neurons, twice that with leaks."""
        return self.space.dimension

    def prepare(self) -> None:
        """Load the data, train or load the source network, convert it, run it on every split."""
        self.data = load_data(self.data_name, self.context)
        self._learnt, self._samples = self._split(self.data)
        self.task = self._task(self.data)
        images, labels = self._learnt
        self._source, self._checkpoint = make_source(
            self.task, images, labels, self._folder, self.context.progress, self.context.device
        )
        images = self.network_input(self._learnt[0][: self.parameters.calibration])
        # On one core, so that the last bits of the percentiles do not depend on the number of cores.
        (self.converted,) = run_all(
            self.context.device, [partial(convert, self._source, images, self.parameters.percentile)]
        )
        self._folded = self._fold(self.converted)
        self._prepare_images()
        for split, (images, labels) in self._images.items():
            self._source_metrics[split] = source_metrics(
                self._source, images, labels, self.parameters.span, ENERGY, self.network_input
            )

    def initial(self, n: int) -> torch.Tensor:
        """The untuned conversion: every scale 1, no leak. (1, d)."""
        count = len(self.network.layers())
        values = {f"scale_{i + 1}": [1.0] for i in range(count)} | {f"leak_{i + 1}": [0.0] for i in range(count)}
        return self.space.encode({v.name: values[v.name] for v in self.space.variables})[:n]

    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """Metrics of `snnbench.snn.metrics.summarise`, ``early_error`` and ``ann_latency``."""
        folded = self._ready
        images, labels = self._images[split]
        counts = folded.evaluate(*self.neurons_of(x), images, labels, self.network_input)
        return stacked([self._row(c, split) for c in counts])

    def network_input(self, images: torch.Tensor) -> torch.Tensor:
        """Images (N, C, H, W), pixels uint8 or already in [0, 1], to what the network is fed with, on its device."""
        units = self.data.to_unit(images) if images.dtype == torch.uint8 else images
        return self.task.network_input(units).to(self.context.device)

    def neurons_of(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Thresholds and decays, (n, L) float32 each on the problem's device, of candidates (n, d)."""
        values = self.space.decode(x)
        count = len(self.network.layers())
        scales = np.column_stack([values[f"scale_{i + 1}"] for i in range(count)])
        leaks = [values.get(f"leak_{i + 1}", np.zeros(len(scales))) for i in range(count)]
        thresholds = torch.from_numpy(scales * np.array(self.converted.thresholds))
        return tuple(
            t.to(self.context.device, torch.float32)
            for t in (thresholds, torch.from_numpy(1.0 - np.column_stack(leaks)))
        )  # type: ignore[return-value]

    def reference_lines(self) -> dict[str, dict[str, float]]:
        """The source network itself, and its untuned conversion, on the test split."""
        untuned = self.measure(self.initial(1), "test")
        scalars = {k: float(v[0]) for k, v in untuned.items() if v.ndim == 1 and v.dtype.kind == "f"}
        return {"source network (ANN)": self._source_metrics["test"], "untuned conversion": scalars}

    def describe(self) -> dict[str, Any]:
        """Data, splits, network, thresholds, recipe and hash of the source network."""
        p = self.parameters
        return {
            "family": "threshold",
            "network": {
                "type": "VGG without bias and normalisation, average pooling before the neurons",
                "layout": p.layout,
                "steps": p.steps,
                "neuron": "integrate-and-fire, soft reset, fires at H >= threshold",
                "input": "the real-valued image at every step, on multiples of 2^-8",
                "readout": "accumulated input of the last layer",
                "thresholds": list(self.converted.thresholds),
                "output_scale": self.converted.output_scale,
            },
            **describe_data(self.data, self._images),
            "learnt": len(self._learnt[1]),
            "checkpoints": [self._checkpoint],
            "source": self._source_metrics,
            "variables": self.space.describe(),
            **how_measured(self),
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Ideal and worst values: chance for the loss, every neuron firing at every step for the rest."""
        steps, layers = self.parameters.steps, self.network.layers()
        classes = self.network.classes
        macs, acs = 0.0, 0.0
        for i, layer in enumerate(layers):
            shape = (layer.shape[0], layer.source[0], 3, 3)
            dense = float(layer.inputs * layer.neurons)
            if layer.kind == "conv":
                dense = float(fan_out(torch.ones(shape), layer.source, layer).sum())
            macs, acs = (dense, 0.0) if i == 0 else (macs, acs + steps * dense)
        acs += steps * layers[-1].neurons * classes
        return {
            "error": (0.0, 1.0),
            "loss": (0.0, math.log(classes)),
            "energy": (0.0, ENERGY.energy(acs, macs)),
            "latency": (1.0, float(steps)),
            "synops": (0.0, acs + macs),
            "spikes": (0.0, float(steps * sum(layer.neurons for layer in layers))),
            "early_error": (0.0, 1.0),
            "ann_latency": (1.0, float(steps)),
        }

    def estimate(self) -> Estimate:
        """Timed on one candidate and a few random images, with untrained weights; a population takes less for each."""
        device = self.context.device
        data = data_to_time(self.data_name, self.context)
        learnt, samples = self._split(data)
        task = self._task(data)
        scored = len(samples["search"][1])
        cached = task.path(self._folder, device).is_file()
        preparation = 0.0 if cached else source_seconds(task, len(learnt[1]), device)
        network = VGG(self.network).to(device)
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(min(scored, 128), *self.network.shape, generator=generator).to(device)
        (converted,) = run_all(device, [partial(convert, network, images[:1], 100.0)])
        p = self.parameters
        folded = FoldedNetwork(converted, min(p.steps, TIMED_STEPS), CONFIDENCE, p.span, self.context.strategy)
        thresholds = torch.tensor([converted.thresholds], device=device)

        def run(few: int) -> None:
            labels = torch.zeros(few, dtype=torch.int64, device=device)
            folded.evaluate(thresholds, torch.ones_like(thresholds), images[:few], labels)

        evaluation = seconds_per_sample(run, len(images)) * scored * p.steps / folded.steps
        per_sample = 4 * (math.prod(self.network.shape) + folded.layers[0].neurons)
        memory = sum(w.numel() for w in network.weights) * 8 + min(scored, p.span) * per_sample
        memory += 8 * GROUP * folded.neurons
        return Estimate(preparation, evaluation, memory, self.dimension)

    @property
    def strategy(self) -> str:
        """``convolution`` or ``events`` (`snnbench.snn.folded`)."""
        return self._ready.strategy

    @property
    def _ready(self) -> FoldedNetwork:
        if self._folded is None:
            raise RuntimeError(f"{self.name}: prepare() comes first")
        return self._folded

    @property
    def _folder(self) -> Path:
        # Members on the same data share their source network.
        return self.context.cache_dir / "checkpoints" / f"threshold-{self.data_name}"

    def _prepare_images(self) -> None:
        """What candidates are measured on: images and labels of every split."""
        self._images = self._samples

    def _row(self, counts: Counts, split: Split) -> dict[str, np.ndarray]:
        folded = self._ready
        row = metrics_of(counts.readings, counts.spikes, folded.neurons, counts.acs, counts.macs, ENERGY)
        within = row["accuracy"] >= 1.0 - self._source_metrics[split]["error"] - self.parameters.delta
        early = 1.0 - row["accuracy"][min(self.parameters.early, len(within)) - 1]
        return row | {"early_error": np.asarray(early), "ann_latency": np.asarray(float(settled(within)))}

    def _fold(self, converted: Converted) -> FoldedNetwork:
        p = self.parameters
        return FoldedNetwork(converted, p.steps, CONFIDENCE, p.span, self.context.strategy)

    def _split(self, data: DataSet) -> tuple[Samples, dict[Split, Samples]]:
        """What the source learns from, and what candidates are measured on: the search split is cut in two."""
        p = self.parameters
        found: dict[Split, Samples] = {split: self._samples_of(data, split) for split in get_args(Split)}
        images, labels = found["search"]
        if p.held >= len(labels):
            raise UsageError(f"{self.name}: held={p.held}, but the search split has {len(labels)} samples")
        if max(p.search_samples - p.held, p.train_samples - (len(labels) - p.held)) > 0:
            raise UsageError(
                f"{self.name}: search_samples={p.search_samples} and train_samples={p.train_samples}, but {p.held} "
                f"samples are scored and {len(labels) - p.held} learnt from"
            )
        train, held = self._cut(images, labels)
        found["search"] = images[held], labels[held].to(self.context.device)
        return (images[train], labels[train]), found

    def _samples_of(self, data: DataSet, split: Split) -> Samples:
        return data.split(split, self.context.device)

    def _cut(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[Part, Part]:
        """Which samples of the search split the source learns from, and which are scored."""
        p = self.parameters
        cut = stratified(images.cpu().numpy(), labels.cpu().numpy(), {"train": len(labels) - p.held, "held": p.held})
        return cut["train"][: p.train_samples or None], cut["held"][: p.search_samples or None]

    def _task(self, data: DataSet) -> SourceTask:
        p = self.parameters
        recipe = TrainingRecipe(p.epochs, p.batch, p.lr, weight_decay=p.weight_decay, augmentation=self.augmentation)
        samples = f"search, but {p.held} held; first {p.train_samples or 'all'}"
        return SourceTask(self.network, data, recipe, samples, p.instance)


def settled(within: np.ndarray) -> int:
    """The first step t = 1..T from which all of `within` (T,) holds, else T.

    Examples
    --------
    >>> settled(np.array([True, False, True, True])), settled(np.array([True, False]))
    (3, 2)
    """
    outside = np.flatnonzero(~within)
    return min(int(outside[-1]) + 2 if len(outside) else 1, len(within))


class ThresholdDigits(ThresholdProblem):
    """Layer thresholds of a small converted VGG on 8x8 digits, 4 steps."""

    name = "threshold-digits"
    Parameters = ThresholdParameters
    data_name = "digits"


class ThresholdCifar10(ThresholdProblem):
    """Layer thresholds of a converted VGG-15 on CIFAR-10, 80 steps."""

    name = "threshold-cifar10"
    Parameters = ThresholdCifarParameters
    data_name = "cifar10"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class ThresholdCifar100(ThresholdProblem):
    """Layer thresholds of a converted VGG-15 on CIFAR-100, 80 steps."""

    name = "threshold-cifar100"
    Parameters = ThresholdCifarParameters
    data_name = "cifar100"
    augmentation = AugmentationRecipe(padding=4, flip=True)
