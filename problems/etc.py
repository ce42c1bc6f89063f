"""`etc-*`: how to train a spiking network whose steps agree, so that it may stop early.

Training with the loss of ETC (Zhao, Shen, Li, Zeng, Improving Stability and Performance of Spiking Neural Networks
through Enhancing Temporal Consistency, arXiv 2305.14174): its weight and temperature, the neuron, the surrogate, the
learning rate and the number of steps in training and in inference are the variables.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.catalog import CATALOG
from snnbench.data.images import DataSet
from snnbench.errors import UsageError
from snnbench.parameters import param
from snnbench.problem import Context, Estimate, Objective, Problem, Split
from snnbench.problems.standard import (
    CONFIDENCE,
    CONSTRAINTS,
    ENERGY,
    OBJECTIVES,
    data_to_time,
    describe_data,
    how_measured,
    learn_and_held,
    load_data,
    parse_blocks,
    stacked,
)
from snnbench.snn.candidate import Preprocessing, fit, fold, run, seconds, seeded
from snnbench.snn.metrics import summarise
from snnbench.snn.neuron import NeuronConfig
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.tally import Tally, dense_operations
from snnbench.snn.temporal_consistency import etc_loss
from snnbench.snn.threads import run_all
from snnbench.snn.training import TrainingRecipe
from snnbench.snn.vgg_snn import VGG_SNN, VGGSNN, VGGSNNConfig, merge_frames
from snnbench.space import Integer, Real, SearchSpace

RELEASED = {
    "etc_weight": 1.0, "etc_temperature": 4.0, "threshold": 0.5, "membrane_tau": 2.0, "surrogate_alpha": 2.0,
}  # fmt: skip
"""What the released code sets."""


@dataclass(frozen=True)
class ETCParameters:
    """Parameters of `etc-digits`; the other members change the defaults."""

    network: str = param("1-1", "residual blocks per stage", source="ours")
    width: int = param(8, "channels of the first stage", low=1, source="ours")
    max_steps: int = param(10, "largest number of steps in training", low=3, high=100, source="ours")
    epochs: int = param(4, "epochs of a training", low=1, source="ours")
    batch: int = param(32, "samples per training step", low=2, source="ours")
    train_samples: int = param(0, "search samples a training uses; 0 for all", low=0, source="ours")
    held_samples: int = param(0, "search samples that are scored; 0 for all", low=0, source="ours")
    chunk: int = param(250, "samples per pass", low=1, source="ours")
    instance: int = param(0, "seed of weights and order: another instance", low=0, source="ours")


@dataclass(frozen=True)
class ETCCifarParameters(ETCParameters):
    """Parameters of `etc-cifar10`: the published network."""

    network: str = param("2-2-2-2", "residual blocks per stage", source="released code: SEW-ResNet-18")
    width: int = param(64, "channels of the first stage", low=1, source="released code")
    epochs: int = param(100, "epochs of a training", low=1, source="ours")
    batch: int = param(128, "samples per training step", low=2, source="released code")


@dataclass(frozen=True)
class ETCEventsParameters(ETCParameters):
    """Parameters of `etc-events`."""

    network: str = param("8p-16p-16p", "convolutions; p: average pooling follows", source="ours")
    width: int = param(0, "not used by this network", low=0, high=0, source="ours")
    max_steps: int = param(6, "largest number of steps in training", low=3, high=100, source="ours: the frames")
    epochs: int = param(6, "epochs of a training", low=1, source="ours")


@dataclass(frozen=True)
class ETCRecordedParameters(ETCEventsParameters):
    """Parameters of `etc-dvscifar10` and `etc-ncaltech101`: the published network."""

    network: str = param(VGG_SNN, "convolutions; p: average pooling follows", source="released code")
    max_steps: int = param(10, "largest number of steps in training", low=3, high=100, source="released code")
    epochs: int = param(100, "epochs of a training", low=1, source="ours")
    batch: int = param(128, "samples per training step", low=2, source="released code")
    chunk: int = param(64, "samples per pass", low=1, source="ours")


class ETCProblem(Problem):
    """Base of the `etc-*` family: x is the loss, the neuron, the learning rate and the steps of a training.

    A candidate with more steps in inference than in training uses those of training: metric ``steps`` is what it used.
    """

    version = 1
    objectives: ClassVar = OBJECTIVES | {
        "steps": Objective("steps in inference", "steps"),
        "inconsistency": Objective("mean divergence between the answers of two steps in inference", "nats"),
        "etc_loss": Objective("loss plus the consistency term, weight 1, temperature 4", "nats"),
    }
    optional_constraints = CONSTRAINTS
    parameters: ETCParameters
    data_name: ClassVar[str]
    lr: ClassVar[float] = 0.1  # of the initial design
    augmentation: ClassVar[AugmentationRecipe] = AugmentationRecipe()

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parameters, objectives, context, constraints)
        self._samples: dict[Split, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def default_steps(self) -> int:
        """T of the published setting, or the largest there is: 4 for images, 10 for events."""
        return min(4 if self.frames is None else 10, self.parameters.max_steps)

    @property
    def frames(self) -> int | None:
        """Frames per sample of event data."""
        framing = CATALOG[self.data_name].framing
        return framing.steps if framing else None

    @cached_property
    def space(self) -> SearchSpace:
        """Eight variables."""
        most = self.parameters.max_steps
        if self.frames is not None and most > self.frames:
            raise UsageError(f"{self.name}: max_steps={most}, but a sample has {self.frames} frames")
        return SearchSpace(
            [
                Real("etc_weight", 0.0, 4.0),
                Real("etc_temperature", 1.0, 10.0, log=True),
                Real("threshold", 0.25, 1.5),
                Real("membrane_tau", 1.1, 4.0),
                Real("surrogate_alpha", 0.5, 5.0, log=True),
                Real("lr", 1e-3, 1.0, log=True),
                Integer("steps_train", 2, most),
                Integer("steps_inference", 1, most),
            ]
        )

    @property
    def dimension(self) -> int:
        """Eight."""
        return 8

    def prepare(self) -> None:
        """Load the data."""
        self._use(load_data(self.data_name, self.context))

    def initial(self, n: int) -> torch.Tensor:
        """The setting of the released code, with a learning rate of our own: (1, 8)."""
        steps = self.default_steps
        values = RELEASED | {"lr": self.lr, "steps_train": steps, "steps_inference": steps}
        return self.space.encode({name: [value] for name, value in values.items()})[:n].to(self.context.device)

    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """Train every candidate on four fifths of the search split, and read it on another split or the last fifth.

        Metrics of `snnbench.snn.metrics.summarise` after and over the steps of inference, and ``steps``. Where a
        candidate takes fewer steps than others may, ``accuracy`` stays what it is and ``layer_spikes`` are 0.
        """
        values = self.space.decode(x)
        settings = [{name: float(column[i]) for name, column in values.items()} for i in range(len(x))]
        rows = run_all(self.context.device, [partial(self._row, setting, self._samples[split]) for setting in settings])
        return stacked(rows)

    def describe(self) -> dict[str, Any]:
        """Data, splits, network, recipe and energy model."""
        return {
            "family": "etc",
            "network": {
                "type": "SEW-ResNet, ADD" if self.frames is None else "VGG-SNN",
                "layout": self.parameters.network,
                "width": self.parameters.width,
                "layers": list(self._layers),
                "neuron": self._neuron(RELEASED).describe(),
            },
            "recipe": self._recipe(self.lr).describe(),
            **describe_data(self.data, self._samples),
            "training_samples": len(self._learn[1]),
            "variables": self.space.describe(),
            **how_measured(self),
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Ideal and worst values: chance for the losses, every neuron firing at all of the most steps for the rest."""
        info, most = CATALOG[self.data_name], self.parameters.max_steps
        with torch.no_grad():
            operations = dense_operations(self._network(RELEASED, 1), self._blank, most)
        chance = math.log(info.classes)
        return {
            "error": (0.0, 1.0),
            "loss": (0.0, chance),
            "energy": (0.0, ENERGY.energy(0.0, operations)),
            "latency": (1.0, float(most)),
            "synops": (0.0, operations),
            "spikes": (0.0, float(sum(self._layers.values()) * most)),
            "steps": (1.0, float(most)),
            "inconsistency": (0.0, chance),
            "etc_loss": (0.0, chance),
        }

    def estimate(self) -> Estimate:
        """Timed on a few samples in the released setting with the mean number of steps, and extrapolated."""
        _ = self.space  # which says what is wrong with max_steps
        data = data_to_time(self.data_name, self.context)
        p = self.parameters
        probe = type(self)(p, self.selected, self.context)
        probe._use(data)
        every, scored = len(probe._learn[1]), len(probe._samples["search"][1])
        few = min(16 if CATALOG[self.data_name].embedded else 2, p.batch, every)
        probe._learn = (probe._learn[0][:few], probe._learn[1][:few])
        probe.parameters = replace(p, epochs=1, batch=few)
        steps = (2 + p.max_steps) // 2
        setting = RELEASED | {"lr": self.lr, "steps_train": steps, "steps_inference": steps}
        once = seconds(self.context.device, lambda: probe._row(setting, probe._learn))
        # A pass without gradients is about a third of one with them.
        work = (3 * every * p.epochs + scored) / (4 * few)
        memory = 20 * 4 * p.max_steps * p.batch * max(p.width, 16) * CATALOG[self.data_name].shape[1] ** 2
        return Estimate(0.0, once * work, memory, self.dimension)

    def _use(self, data: DataSet) -> None:
        p = self.parameters
        self.data = data
        limits = (p.train_samples, p.held_samples)
        self._learn, self._samples = learn_and_held(data, self.context.device, limits, self.name)

    def _row(self, setting: dict[str, float], samples: tuple[torch.Tensor, torch.Tensor]) -> dict[str, np.ndarray]:
        learnt = int(setting["steps_train"])
        steps = min(int(setting["steps_inference"]), learnt)
        p, device = self.parameters, self.context.device
        network = self._network(setting, learnt).to(device)
        criterion = partial(etc_loss, weight=setting["etc_weight"], temperature=setting["etc_temperature"])
        seed = 1_000_003 * p.instance
        failure = fit(
            network, self._learn, self._recipe(setting["lr"]), seed + 1, self._input(learnt, learnt), criterion
        )
        if isinstance(network, SEWResNet):
            network.config = replace(network.config, steps=steps)
        fold(network)
        row = summarise(run(network, samples, self._input(learnt, steps), p.chunk, CONFIDENCE), ENERGY, not failure)
        most = p.max_steps
        trained = float(learnt * p.epochs * len(self._learn[1]))
        return row | {
            "accuracy": np.pad(row["accuracy"], (0, most - steps), mode="edge"),
            "layer_spikes": np.pad(row["layer_spikes"], ((0, 0), (0, most - steps))),
            "steps": np.asarray(float(steps)),
            "cost": row["cost"] + trained,
            "failure": np.asarray(failure or str(row["failure"])),
        }

    def _neuron(self, setting: dict[str, float]) -> NeuronConfig:
        tau = setting["membrane_tau"]
        return NeuronConfig(
            decay=1.0 - 1.0 / tau,
            input_scale=1.0 / tau,
            threshold=setting["threshold"],
            at_threshold=False,
            surrogate="triangle",
            steepness=setting["surrogate_alpha"],
        )

    def _network(self, setting: dict[str, float], steps: int) -> nn.Module:
        info, p, neuron = CATALOG[self.data_name], self.parameters, self._neuron(setting)
        build: Callable[[], nn.Module]
        if self.frames is None:
            blocks = parse_blocks(p.network, info.shape[1], f"{self.name}: network")
            build = partial(SEWResNet, SEWConfig(blocks, p.width, info.shape[0], info.classes, steps, neuron))
        else:
            config = VGGSNNConfig(p.network, info.shape[0], info.shape[1], info.classes, neuron)
            try:
                config.layers()
            except UsageError as error:
                raise UsageError(f"{self.name}: network: {error}") from None
            build = partial(VGGSNN, config)
        return seeded(build, 1_000_003 * p.instance)

    def _input(self, learnt: int, steps: int) -> Preprocessing:
        """Images as they are; of events the first frames of as many as training had, each the sum of a few."""
        data = self.data
        if self.frames is None:
            return Preprocessing(data.to_unit, data.standardize)
        return Preprocessing(data.to_unit, lambda counts: merge_frames(data.standardize(counts), learnt)[:steps])

    def _recipe(self, lr: float) -> TrainingRecipe:
        return TrainingRecipe(self.parameters.epochs, self.parameters.batch, lr=lr, augmentation=self.augmentation)

    @cached_property
    def _layers(self) -> dict[str, int]:
        """Neuron layers in the order of the record, with their numbers of neurons."""
        network, tally = self._network(RELEASED, 1).eval(), Tally()
        with torch.no_grad():
            network(self._blank, tally)
        return {name: tally.neurons[name] for name in sorted(tally.neurons)}

    @property
    def _blank(self) -> torch.Tensor:
        """One black image, or one step of one sample without events."""
        shape = CATALOG[self.data_name].shape
        return torch.zeros((1, *shape) if self.frames is None else (1, 1, *shape))


class ETCDigits(ETCProblem):
    """Training a small SEW-ResNet with the ETC loss on 8x8 digits."""

    name = "etc-digits"
    default_budget = 30
    Parameters = ETCParameters
    data_name = "digits"
    lr = 0.3


class ETCCifar10(ETCProblem):
    """Training SEW-ResNet-18 with the ETC loss on CIFAR-10."""

    name = "etc-cifar10"
    default_budget = 100
    Parameters = ETCCifarParameters
    parameters: ETCCifarParameters
    data_name = "cifar10"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class ETCEvents(ETCProblem):
    """Training a small VGG-SNN with the ETC loss on simulated event data."""

    name = "etc-events"
    default_budget = 30
    Parameters = ETCEventsParameters
    parameters: ETCEventsParameters
    data_name = "events"
    lr = 0.3


class ETCDVSCifar10(ETCProblem):
    """Training VGG-SNN with the ETC loss on DVS-CIFAR10."""

    name = "etc-dvscifar10"
    default_budget = 100
    Parameters = ETCRecordedParameters
    parameters: ETCRecordedParameters
    data_name = "dvscifar10"
    requires = ("tonic", "aedat")
    extra = "events"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class ETCNCaltech101(ETCProblem):
    """Training VGG-SNN with the ETC loss on N-Caltech101."""

    name = "etc-ncaltech101"
    default_budget = 100
    Parameters = ETCRecordedParameters
    parameters: ETCRecordedParameters
    data_name = "ncaltech101"
    requires = ("tonic",)
    extra = "events"
    augmentation = AugmentationRecipe(padding=4, flip=True)
