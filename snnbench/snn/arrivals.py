"""What data sets feed to a spiking network, on a grid."""

from collections.abc import Callable

import torch

from snnbench.data.images import DataSet
from snnbench.snn.conversion import IMAGE_BITS, round_image
from snnbench.snn.layers import Inputs


def network_input(data: DataSet) -> Callable[[torch.Tensor], torch.Tensor]:
    """Maps uint8 images or frames of a data set to what networks take: standardised pixels rounded, or counts."""

    def prepared(pixels: torch.Tensor) -> torch.Tensor:
        x = data.standardize(data.to_unit(pixels))
        return x if data.steps is not None else round_image(x)

    return prepared


def arriving(data: DataSet) -> Inputs:
    """What the first layer is fed with then: counts of events in a byte, or pixels on the grid of images."""
    if data.steps is not None:
        return Inputs(255.0)
    largest = max(max(mean, 1.0 - mean) / std for mean, std in zip(data.mean, data.std, strict=True))
    return Inputs(largest + 2.0**-IMAGE_BITS, 2.0**-IMAGE_BITS, signed=True)
