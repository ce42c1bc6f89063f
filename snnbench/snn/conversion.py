"""From a trained network with ReLU to one with integrate-and-fire neurons.

Data-based normalisation by percentiles (Diehl et al. 2015, IJCNN; Rueckauer et al. 2017, Front. Neurosci. 11:682), as
in the released conversion code of Lu and Sengupta 2020: with lambda_l the percentile of layer l's activations, the
neurons' threshold is lambda_l / lambda_{l-1}, where lambda_0 = 1 (the real-valued image). The same as a threshold
of 1 with weights scaled by lambda_{l-1} / lambda_l. The readout has no neurons: its accumulated input is the answer.

Images and weights lie on grids of powers of two, chosen such that every sum of a convolution or linear layer is exact
in float32, whatever the order of its terms. So a candidate's spikes do not depend on batch size, number of cores or the
way its convolutions are computed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from snnbench.errors import SnnbenchError
from snnbench.snn.grid import exact_convolutions
from snnbench.snn.vgg import VGG, VGGConfig

IMAGE_BITS = 8
MANTISSA_BITS = 24


@dataclass(frozen=True)
class Converted:
    """A converted network.

    Attributes
    ----------
    config
        Its shape.
    weights
        One tensor per layer with neurons, then the readout's; on their grids.
    thresholds
        Untuned threshold of every layer with neurons.
    output_scale
        lambda of the last layer with neurons: the readout's mean input times it approximates the source's logits.
    """

    config: VGGConfig
    weights: tuple[torch.Tensor, ...]
    thresholds: tuple[float, ...]
    output_scale: float


def round_image(x: torch.Tensor) -> torch.Tensor:
    """The nearest multiples of 2^-8: as fine as the 256 levels of a photograph."""
    return (x * 2**IMAGE_BITS).round_().mul_(2.0**-IMAGE_BITS)


def round_weights(weights: Sequence[torch.Tensor], config: VGGConfig, largest: float) -> list[torch.Tensor]:
    """Weights moved to the finest grid on which no sum of a layer needs more than float32's 24 bits.

    A sum's terms are multiples of 2^-(k + b) for weights on the grid 2^-k and inputs on 2^-b, and it never exceeds
    A = max over outputs of sum |w| times the largest input. It is exact if A 2^(k + b) <= 2^24. Pooling before the
    neurons takes two more bits.

    Parameters
    ----------
    weights
        As in `Converted`.
    config
        Shape of the network.
    largest
        Largest absolute value of a standardised image.

    Raises
    ------
    SnnbenchError
        If a weight is not finite.
    """
    pooled = [layer.pooled for layer in config.layers()] + [False]
    rounded = []
    for i, (weight, pool) in enumerate(zip(weights, pooled, strict=True)):
        if not weight.isfinite().all():
            raise SnnbenchError("weights are not finite: training diverged")
        limit = 2.0 ** (MANTISSA_BITS - (IMAGE_BITS if i == 0 else 0) - 2 * pool)
        w = weight.detach().double()
        bound = largest if i == 0 else 1.0

        def reach(w: torch.Tensor, bound: float = bound) -> float:
            return float(w.abs().flatten(1).sum(dim=1).max()) * bound

        bits = math.floor(math.log2(limit / max(reach(w), 2.0**-20)))
        while reach((w * 2.0**bits).round() * 2.0**-bits) * 2.0**bits > limit:
            bits -= 1
        rounded.append(((w * 2.0**bits).round() * 2.0**-bits).float())
    return rounded


def percentiles(network: VGG, images: torch.Tensor, percentile: float) -> list[float]:
    """The percentile of every layer's activations over samples, channels and positions.

    Parameters
    ----------
    network
        The source.
    images
        (N, C, H, W), as the network takes them.
    percentile
        In [0, 100]; between two values by linear interpolation. Zeros of silent units count.

    Raises
    ------
    SnnbenchError
        If a layer's is not positive: then a threshold cannot be set by it.
    """
    with torch.no_grad(), exact_convolutions(images.device):
        layers = network.eval().run(images)[:-1]
    found = [float(np.percentile(layer.relu_().double().cpu().numpy(), percentile)) for layer in layers]
    for i, value in enumerate(found):
        if not 0.0 < value < math.inf:
            raise SnnbenchError(
                f"layer {i + 1} of the source is silent at percentile {percentile:g}; take a higher one or train longer"
            )
    return found


def convert(network: VGG, images: torch.Tensor, percentile: float) -> Converted:
    """Convert a network whose weights are on their grids; `images` as in `percentiles`."""
    levels = percentiles(network, images, percentile)
    thresholds = tuple(level / before for before, level in zip([1.0, *levels], levels, strict=False))
    weights = tuple(weight.detach() for weight in network.weights)
    return Converted(network.config, weights, thresholds, levels[-1])
