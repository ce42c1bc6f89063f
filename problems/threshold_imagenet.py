"""`threshold-imagenet`: thresholds of a converted VGG-15 on ImageNet, which the user brings.

The data is a memory map of hundreds of gigabytes: it stays where it is, and batches are moved to the device.
"""

from dataclasses import dataclass

import torch

from snnbench.data.augment import AugmentationRecipe
from snnbench.data.images import DataSet
from snnbench.parameters import param
from snnbench.problem import Split
from snnbench.problems.standard import Samples
from snnbench.problems.threshold import Part, ThresholdCifarParameters, ThresholdProblem


@dataclass(frozen=True)
class ThresholdImageNetParameters(ThresholdCifarParameters):
    """Parameters of `threshold-imagenet`: the CIFAR members' where nothing else is said.

    Of the publication's setting for ImageNet nothing but the data was available.
    """

    steps: int = param(80, "time steps T", low=1, high=1000, source="ours: as for CIFAR")
    calibration: int = param(
        128, "training samples that the percentiles are taken of", low=1, source="ours: as for CIFAR"
    )
    epochs: int = param(90, "epochs of the source network", low=1, source="ours")
    span: int = param(10, "samples per job", low=1, source="ours")


class ThresholdImageNet(ThresholdProblem):
    """Layer thresholds of a converted VGG-15 on ImageNet (your folder)."""

    name = "threshold-imagenet"
    Parameters = ThresholdImageNetParameters
    parameters: ThresholdImageNetParameters
    data_name = "imagenet"
    augmentation = AugmentationRecipe(padding=16, flip=True)

    def _samples_of(self, data: DataSet, split: Split) -> Samples:
        images, labels = data.split(split)
        return images, labels if split == "search" else labels.to(self.context.device)

    def _cut(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[Part, Part]:
        """The first samples are scored: they are a random sample, and a piece of the memory map, as the others are."""
        p = self.parameters
        learnt = len(labels) - p.held
        return slice(p.held, p.held + (p.train_samples or learnt)), slice(0, p.search_samples or p.held)
