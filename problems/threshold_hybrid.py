"""`threshold-*-hybrid`: thresholds are set, then the converted network learns on for a few epochs."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.catalog import CATALOG
from snnbench.parameters import param
from snnbench.problem import Estimate, Split
from snnbench.problems.standard import stacked
from snnbench.problems.threshold import ThresholdCifarParameters, ThresholdParameters, ThresholdProblem
from snnbench.snn.conversion import Converted, round_weights
from snnbench.snn.folded import Counts
from snnbench.snn.readings import Readings
from snnbench.snn.source import seconds_per_sample
from snnbench.snn.spiking_vgg import SpikingVGG
from snnbench.snn.threads import run_all, workers
from snnbench.snn.training import TrainingRecipe, train
from snnbench.snn.vgg import VGG


@dataclass(frozen=True)
class ThresholdHybridParameters(ThresholdParameters):
    """Parameters of `threshold-digits-hybrid`."""

    tune_epochs: int = param(2, "epochs of training by surrogate gradient in an evaluation", low=1, source="ours")
    tune_batch: int = param(50, "samples per step of that training", low=2, source="ours")
    tune_lr: float = param(0.002, "learning rate of that training, cosine to 0", low=1e-9, high=10, source="ours")
    tune_samples: int = param(0, "samples it learns from; 0 for all that the source learnt from", low=0, source="ours")


@dataclass(frozen=True)
class ThresholdCifarHybridParameters(ThresholdCifarParameters):
    """Parameters of the hybrid CIFAR members."""

    steps: int = param(8, "time steps T: training takes memory for every one", low=1, high=1000, source="ours")
    tune_epochs: int = param(2, "epochs of training by surrogate gradient in an evaluation", low=1, source="ours")
    tune_batch: int = param(64, "samples per step of that training", low=2, source="ours")
    tune_lr: float = param(0.001, "learning rate of that training, cosine to 0", low=1e-9, high=10, source="ours")
    tune_samples: int = param(
        5000, "samples it learns from; 0 for all that the source learnt from", low=0, source="ours"
    )


class ThresholdHybridProblem(ThresholdProblem):
    """Base of the hybrid members: an evaluation trains the converted network with the candidate's thresholds.

    Training starts from the source's weights, by surrogate gradient on the samples that the source learnt from, in an
    order that is the same for every candidate; thresholds and leaks stay as the candidate set them. Then the tuned
    network is scored like those of the other members.
    """

    version = 1
    default_budget = 100
    parameters: ThresholdHybridParameters | ThresholdCifarHybridParameters

    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """As of the other members, after training each candidate; ``failure`` where training diverged."""
        self._ready  # noqa: B018  (says that prepare() comes first)
        images, labels = self._images[split]
        thresholds, decays = self.neurons_of(x)
        rows = []
        width = workers(self.context.device.type)
        for start in range(0, len(x), width):
            group = range(start, min(start + width, len(x)))
            jobs = [partial(self._tuned, thresholds[i].tolist(), decays[i].tolist()) for i in group]
            for i, tuned in zip(group, run_all(self.context.device, jobs), strict=True):
                if tuned is None:
                    rows.append(self._diverged(len(labels), split))
                    continue
                folded = self._fold(tuned)
                folded.strategy = self._ready.strategy  # what was faster for the one before is for all
                (counts,) = folded.evaluate(
                    thresholds[i : i + 1], decays[i : i + 1], self.network_input(images), labels
                )
                self._ready.strategy = folded.strategy
                rows.append(self._row(counts, split))
        found = stacked(rows)
        learnt = len(self._learnt[1][: self.parameters.tune_samples or None])
        found["cost"] = found["cost"] + float(self.parameters.tune_epochs * learnt * self.parameters.steps)
        return found

    def describe(self) -> dict[str, Any]:
        """As of the other members, with the recipe of training in an evaluation."""
        return super().describe() | {"tuning": self._tuning.describe() | {"samples": self.parameters.tune_samples}}

    def estimate(self) -> Estimate:
        """Timed on one step of training and a few random images, with untrained weights."""
        scored = super().estimate()
        p, device = self.parameters, self.context.device
        network = self._stand_in(device)

        def step(few: int) -> None:
            images = torch.ones(few, *self.network.shape, device=device)
            run_all(device, [lambda: network(images).mean().backward()])

        learnt = p.tune_samples or p.train_samples or CATALOG[self.data_name].sizes["search"] - p.held
        seconds = seconds_per_sample(step, p.tune_batch) * learnt * p.tune_epochs
        return replace(scored, evaluation=scored.evaluation + seconds)

    @property
    def _tuning(self) -> TrainingRecipe:
        p = self.parameters
        return TrainingRecipe(p.tune_epochs, p.tune_batch, p.tune_lr, weight_decay=0.0, augmentation=self.augmentation)

    def _tuned(self, thresholds: list[float], decays: list[float]) -> Converted | None:
        """The network after training, its weights on exact grids again; ``None`` if they are not finite."""
        p, device = self.parameters, self.context.device
        network = SpikingVGG(self.converted, thresholds, decays, p.steps, device)
        images, labels = (part[: p.tune_samples or None] for part in self._learnt)
        with torch.enable_grad():
            train(network, images, labels, self._tuning, p.instance, self.data.to_unit, self.task.network_input)
        weights = [weight.detach() for weight in network.weights]
        if not all(bool(weight.isfinite().all()) for weight in weights):
            return None
        return replace(self.converted, weights=tuple(round_weights(weights, self.network, self.task.largest)))

    def _diverged(self, samples: int, split: Split) -> dict[str, np.ndarray]:
        steps = self.parameters.steps
        nothing = Readings.of_nothing(samples, steps)
        spikes = torch.zeros(len(self.network.layers()), steps, dtype=torch.float64)
        row = self._row(Counts(nothing, spikes, 0.0, 0.0), split)
        return row | {"failure": np.asarray("training diverged: weights are not finite")}

    def _stand_in(self, device: torch.device) -> SpikingVGG:
        """A network of this shape with untrained weights and thresholds of 1, to time."""
        source, count = VGG(self.network), len(self.network.layers())
        converted = Converted(self.network, tuple(w.detach() for w in source.weights), (1.0,) * count, 1.0)
        return SpikingVGG(converted, [1.0] * count, [1.0] * count, self.parameters.steps, device)


class ThresholdDigitsHybrid(ThresholdHybridProblem):
    """Layer thresholds of a converted VGG on digits, then two epochs of training."""

    name = "threshold-digits-hybrid"
    Parameters = ThresholdHybridParameters
    data_name = "digits"


class ThresholdCifar10Hybrid(ThresholdHybridProblem):
    """Thresholds of a converted VGG-15 on CIFAR-10, then two epochs of training."""

    name = "threshold-cifar10-hybrid"
    Parameters = ThresholdCifarHybridParameters
    data_name = "cifar10"
    augmentation = AugmentationRecipe(padding=4, flip=True)


class ThresholdCifar100Hybrid(ThresholdHybridProblem):
    """Thresholds of a converted VGG-15 on CIFAR-100, then two epochs of training."""

    name = "threshold-cifar100-hybrid"
    Parameters = ThresholdCifarHybridParameters
    data_name = "cifar100"
    augmentation = AugmentationRecipe(padding=4, flip=True)
