"""`sew-*`: the weights of a spiking ResNet around transfer-learned members.

The task of CADE (cosine annealing differential evolution, arXiv 2406.02349): SEW-ResNets that were fine-tuned from
one source model with different recipes are the initial population, and an optimizer searches their weight space.
"""

import math
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.catalog import CATALOG
from snnbench.data.images import DataSet
from snnbench.errors import DataError, UsageError
from snnbench.problem import Context, Estimate, Objective, Problem, Split
from snnbench.problems.sew_parameters import SEWCifarParameters, SEWDVSParameters, SEWEventsParameters, SEWParameters
from snnbench.problems.standard import (
    CONFIDENCE,
    CONSTRAINTS,
    ENERGY,
    OBJECTIVES,
    how_measured,
    load_data,
    parse_blocks,
    samples_of,
)
from snnbench.snn.arrivals import arriving, network_input
from snnbench.snn.gradient import WeightGradient
from snnbench.snn.population import Decoder, PopulationEvaluator
from snnbench.snn.rejection import LOOKS, Order, evaluate_bounded, hardest_first
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet, layer_names
from snnbench.snn.tally import dense_operations
from snnbench.snn.threads import run_all, workers
from snnbench.snn.training import TrainingRecipe
from snnbench.snn.transfer import TransferTask, checkpoint_paths, make_members, seconds_of, training_seconds
from snnbench.snn.weights import Codec, box_radius
from snnbench.space import RealVector, SearchSpace


def require_calibration(problem: Problem, data: DataSet) -> None:
    """Fail if the search split has fewer samples than normalisation is to be re-estimated on: `UsageError`."""
    wanted, there = problem.parameters.calibration, data.size("search")
    if wanted > there:
        raise UsageError(f"{problem.name}: calibration={wanted:,}, but the search split has {there:,} samples")


class SEWProblem(Problem):
    """Base of the `sew-*` family: x is every trainable weight of a SEW-ResNet.

    A coordinate is a weight's distance from the members' mean, in units of the members' spread in its tensor
    (`snnbench.snn.weights.Codec`). Batch normalisation statistics are no variables: those of a candidate are
    re-estimated on search samples (`snnbench.snn.population`).
    """

    version = 1
    objectives = OBJECTIVES | {
        "etc_loss": Objective("loss plus the temporal consistency term of ETC, weight 1, temperature 4", "nats")
    }
    optional_constraints = CONSTRAINTS
    differentiable = True
    strategies = ("convolution", "lookup", "graph")
    parameters: SEWParameters
    target_name: ClassVar[str]
    source_name: ClassVar[str]
    source_classes: ClassVar[tuple[int, ...] | None] = None
    augmentation: ClassVar[AugmentationRecipe] = AugmentationRecipe()

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parameters, objectives, context, constraints)
        self._space: SearchSpace | None = None
        self._codec: Codec | None = None
        self._coordinates: torch.Tensor | None = None
        self._checkpoints: list[dict[str, Any]] = []
        self._samples: dict[Split, tuple[torch.Tensor, torch.Tensor]] = {}
        self._gradient: WeightGradient | None = None
        self._order: Order | None = None

    @cached_property
    def network(self) -> SEWConfig:
        """Shape of the network."""
        info = CATALOG[self.target_name]
        blocks = parse_blocks(self.parameters.blocks, info.shape[1], f"{self.name}: blocks")
        if info.steps is not None and self.parameters.steps > info.steps:
            raise UsageError(f"{self.name}: steps={self.parameters.steps}, but {info.name} has {info.steps} frames")
        return SEWConfig(blocks, self.parameters.width, info.shape[0], info.classes, self.parameters.steps)

    @cached_property
    def dimension(self) -> int:
        """Number of trainable weights."""
        with torch.device("meta"):
            return sum(p.numel() for p in SEWResNet(self.network).parameters())

    @property
    def space(self) -> SearchSpace:
        """All weights, one block of coordinates in one box; known after `prepare`."""
        if self._space is None:
            raise RuntimeError(f"{self.name}: prepare() comes first")
        return self._space

    def prepare(self) -> None:
        """Load the data, train or load the members, fix the box."""
        task = self._task(download=True)
        require_calibration(self, task.target)
        folder = self.context.cache_dir / "checkpoints" / self.name
        members, self._checkpoints = make_members(task, folder, self.context.device, self.context.progress)
        self.target = task.target
        self.task = task
        with torch.device("meta"):
            sizes = [p.numel() for p in SEWResNet(self.network).parameters()]
        # On one core, so that the last bits of the scales do not depend on the number of cores.
        (self._codec,) = run_all(self.context.device, [partial(Codec.around, members, sizes)])
        # The members stay on the CPU: an algorithm asks for them once, and its device may be nearly full.
        self._coordinates = self._codec.encode_(members).cpu()
        radius = box_radius(self._coordinates)
        self._space = SearchSpace([RealVector("weights", self.dimension, -radius, radius)])
        self._samples = samples_of(task.target, self.context.device, self.parameters.search_samples)
        calibration = self._samples["search"][0][: self.parameters.calibration]
        self._evaluator = self._make_evaluator(task.target, self._codec, calibration)

    def initial(self, n: int) -> torch.Tensor:
        """The first n members as coordinates, (k, d) float32 on the problem's device."""
        if self._coordinates is None:
            raise RuntimeError(f"{self.name}: prepare() comes first")
        return self._coordinates[:n].to(self.context.device, copy=True)

    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """Metrics of `snnbench.snn.metrics.summarise` on one split."""
        images, labels = self._samples[split]
        return self._evaluator.evaluate(x, images, labels)

    def measure_bounded(self, x: torch.Tensor, bounds: np.ndarray) -> dict[str, np.ndarray]:
        """Samples that the members get wrong come first; of error and losses."""
        (metric,), (images, labels) = self.selected, self._samples["search"]
        if metric not in LOOKS:
            return super().measure_bounded(x, bounds)
        if self._order is None:
            self._order = hardest_first(self._evaluator, self.initial(self.parameters.members), images, labels, metric)
        return evaluate_bounded(self._evaluator, x, images, labels, bounds, metric, self._order)

    @property
    def strategy(self) -> str:
        """``convolution`` or ``lookup`` (`snnbench.snn.native`)."""
        return self._evaluator.strategy

    @property
    def samples(self) -> int:
        """Samples of the search split that one evaluation uses, calibration apart."""
        return len(self._samples["search"][1])

    def gradient(self, x: torch.Tensor, batch: int, generator: torch.Generator) -> tuple[float, torch.Tensor]:
        """Cross-entropy on samples of the search split, batch-normalised by these, and its surrogate gradient."""
        images, labels = self._samples["search"]
        chosen = torch.randperm(len(images), generator=generator)[:batch].to(images.device)
        if self._gradient is None:
            assert self._codec is not None
            self._gradient = WeightGradient(
                lambda: SEWResNet(self.network), self._codec, self._network_input, self.context.device
            )
        return self._gradient(x, images[chosen], labels[chosen])

    def describe(self) -> dict[str, Any]:
        """Data, splits, network, recipes and hashes of the checkpoints."""
        assert self._codec is not None
        precision = self.parameters.precision
        return {
            "family": "sew",
            "network": {
                "type": "SEW-ResNet, ADD",
                "blocks": list(self.network.blocks),
                "width": self.network.width,
                "steps": self.network.steps,
                "neuron": self.network.neuron.describe(),
                "layers": layer_names(self.network),
                "arithmetic": "folded weights on grids of their outputs on which no float32 sum rounds"
                + ("" if self.target.steps is not None else "; images on multiples of 2^-8")
                + ("" if precision == "float32" else f"; {precision} behind the first convolution"),
                "normalisation": f"re-estimated on the first {self.parameters.calibration} search samples",
            },
            "data": {"target": dict(self.target.provenance), "source": dict(self.task.source.provenance)},
            "official": bool(self.target.provenance["official"] and self.task.source.provenance["official"]),
            "splits": {split: len(labels) for split, (_, labels) in self._samples.items()},
            "checkpoints": self._checkpoints,
            "variables": self.space.describe(),
            "scales": list(self._codec.scales),
            **how_measured(self),
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Ideal and worst values: chance for the loss, every neuron firing at every step for the rest."""
        config = self.network
        side = CATALOG[self.target_name].shape[1]
        neurons = config.width * side**2
        for stage, count in enumerate(config.blocks):
            layers = 2 * count + (stage > 0)
            neurons += layers * config.width * 2**stage * (side // 2**stage) ** 2
        with torch.random.fork_rng(devices=[]):
            network = SEWResNet(config)
        operations = dense_operations(network, torch.zeros(1, config.channels, side, side), config.steps)
        return {
            "error": (0.0, 1.0),
            "loss": (0.0, math.log(config.classes)),
            "etc_loss": (0.0, math.log(config.classes)),
            "energy": (0.0, ENERGY.energy(0.0, operations)),
            "latency": (1.0, float(config.steps)),
            "synops": (0.0, operations),
            "spikes": (0.0, float(neurons * config.steps)),
        }

    def estimate(self) -> Estimate:
        """Timed on a few samples, with untrained weights; data that is not there yet is stood in for."""
        device, p = self.context.device, self.parameters
        try:
            task = self._task(download=False)
        except DataError:
            task = self._task(download=False, stand_in=True)
        source_path, paths = checkpoint_paths(task, self.context.cache_dir / "checkpoints" / self.name, device)
        preparation = 0.0
        if not all(path.is_file() for path in (source_path, *paths)):
            source, members = training_seconds(task, device)
            preparation = members * sum(not path.is_file() for path in paths) / len(paths)
            preparation += 0.0 if source_path.is_file() else source
        with torch.device("meta"):
            sizes = tuple(w.numel() for w in SEWResNet(self.network).parameters())
        drawn = torch.Generator(device).manual_seed(0)  # the global one is not touched
        centre = 0.01 * torch.randn(self.dimension, generator=drawn, device=device)
        codec = Codec(centre, sizes, (1.0,) * len(sizes))
        images, labels = task.target.split("search", device)
        samples = p.search_samples or len(images)
        together = workers(device.type)
        x = torch.zeros(1, self.dimension, device=device).expand(together, -1)
        few, seconds, limit = 0, 0.0, min(p.chunk, samples)
        while seconds < 0.2 and few < limit:
            few = min(max(2, 4 * few), limit)
            evaluator = self._make_evaluator(task.target, codec, images[:few])
            run = partial(evaluator.evaluate, x, images[:few], labels[:few])
            seconds = seconds_of(run, device)
        per_sample = seconds / (2 * few * together)
        side = CATALOG[self.target_name].shape[1]
        activations = 6 * 4 * p.steps * min(p.chunk, samples) * p.width * side**2
        memory = together * (activations + 3 * 4 * self.dimension) + 4 * self.dimension
        return Estimate(preparation, per_sample * (samples + p.calibration), memory, self.dimension)

    def _make_evaluator(self, data: DataSet, codec: Decoder, calibration: torch.Tensor) -> PopulationEvaluator:
        inputs = arriving(data)
        return PopulationEvaluator(
            lambda: SEWResNet(self.network, inputs, self.parameters.precision),
            codec,
            network_input(data),
            calibration,
            self.parameters.chunk,
            CONFIDENCE,
            ENERGY,
            self.context.strategy,
        )

    def _network_input(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.target.standardize(self.target.to_unit(pixels))

    def _task(self, download: bool, stand_in: bool = False) -> TransferTask:
        p = self.parameters

        def data(name: str) -> DataSet:
            found = load_data(name, self.context, download, stand_in)
            return found if found.steps is None else found.first_steps(p.steps)

        network = self.network  # refuses more steps than there are frames
        target = data(self.target_name)
        source = target if self.source_name == self.target_name else data(self.source_name)
        if self.source_classes is not None:
            source = source.subset(self.source_classes)
        base = self.augmentation
        augmentation = AugmentationRecipe(base.padding, base.flip, p.strength)
        return TransferTask(
            network=network,
            source=source,
            target=target,
            source_recipe=TrainingRecipe(p.source_epochs, p.batch, augmentation=base),
            recipe=TrainingRecipe(p.epochs, p.batch, augmentation=augmentation),
            members=p.members,
            samples=p.train_samples,
            instance=p.instance,
        )


class SEWDigits(SEWProblem):
    """Weights of a small SEW-ResNet on 8x8 digits; minutes on a laptop.

    The source model knows the digits 0-4 and is transferred to all ten.
    """

    name = "sew-digits"
    default_budget = 800
    Parameters = SEWParameters
    target_name = source_name = "digits"
    source_classes = (0, 1, 2, 3, 4)


class SEWCifar100(SEWProblem):
    """Weights of SEW-ResNet-34 on CIFAR-100 around members from CIFAR-10.

    The published setting of CADE; 21.3 million variables.
    """

    name = "sew-cifar100"
    default_budget = 800
    Parameters = SEWCifarParameters
    parameters: SEWCifarParameters
    target_name, source_name = "cifar100", "cifar10"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class SEWCifar10(SEWProblem):
    """Weights of SEW-ResNet-34 on CIFAR-10 around members from CIFAR-100.

    CIFAR-100 is the source because its classes do not overlap with CIFAR-10's, its images have the same size and
    origin, and it is the larger task: the reverse of the published direction, with no target image seen twice.
    """

    name = "sew-cifar10"
    default_budget = 800
    Parameters = SEWCifarParameters
    parameters: SEWCifarParameters
    target_name, source_name = "cifar10", "cifar100"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class SEWEvents(SEWProblem):
    """Weights of a small SEW-ResNet on simulated event data; embedded.

    The digits of `sew-digits` as an event camera sees them during saccades, as frames of event counts. The source
    model knows the digits 0-4 and is transferred to all ten.
    """

    name = "sew-events"
    default_budget = 800
    Parameters = SEWEventsParameters
    parameters: SEWEventsParameters
    target_name = source_name = "events"
    source_classes = (0, 1, 2, 3, 4)


class SEWDVSCifar10(SEWProblem):
    """Weights of SEW-ResNet-18 on DVS-CIFAR10, transferred from N-Caltech101.

    N-Caltech101 is the source because it, too, was recorded from photographs by a real event camera, at a similar
    size, and shares no image with CIFAR-10: the relation that CIFAR-100 has to CIFAR-10 in `sew-cifar10`.
    """

    name = "sew-dvscifar10"
    default_budget = 800
    Parameters = SEWDVSParameters
    parameters: SEWDVSParameters
    target_name, source_name = "dvscifar10", "ncaltech101"
    requires = ("tonic", "aedat")
    extra = "events"
    augmentation = AugmentationRecipe(padding=4, flip=True)
