"""A labelled set of images, or of event frames, with its splits and its provenance.

Event data arrives as frames: per sample T counts of events, (T, c, h, w), one channel per polarity. Everything that
works on batches of images (n, c, h, w), augmentation first of all, meets the frames of a sample as channels of one
image, (n, T c, h, w), so that all steps are moved, mirrored, erased alike; `DataSet.standardize` unfolds them to what
a network takes as a sequence, (T, n, c, h, w).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import torch

from snnbench.errors import UsageError

Split = Literal["search", "validation", "test"]


@cache
@torch.inference_mode(False)  # attacks want gradients through it
def _per_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(C, 1, 1) Made once: a copy to a GPU for every batch makes it wait, and can be no part of a CUDA graph."""
    return torch.tensor(values, dtype=dtype, device=device).view(-1, 1, 1)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Images or event frames, labels and splits of one data set.

    Attributes
    ----------
    name
        The data set's name.
    class_names
        One name per class.
    images
        (n, c, h, w) uint8, values 0..scale; of event data frames (n, T, c, h, w) uint8, numbers of events per pixel,
        255 standing for 255 and more. Every split together.
    labels
        (n,) int64, 0..classes-1.
    indices
        Split to the indices of its samples.
    scale
        Pixel value that stands for 1.0: 16 for digits, 255 for photographs, 1 for event frames.
    mean, std
        Frozen per-channel moments of the pixels divided by `scale`; 0 and 1 for event frames, which stay counts.
    provenance
        For the record: ``official`` (bool), ``source`` (path, or "scikit-learn"), ``sha256`` (of the decoded pixels
        and labels), ``files`` (name to MD5), ``split`` (the manifest's name, or "derived" if the manifest's rule
        was applied to other data), ``counts`` (samples per split) and ``note`` ("" or a warning, one line).
    """

    name: str
    class_names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    indices: Mapping[Split, np.ndarray]
    scale: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    provenance: Mapping[str, Any]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        c, h, w = self.images.shape[-3:]
        return c, h, w

    @property
    def steps(self) -> int | None:
        """T, frames per sample of event data; None for images."""
        return self.images.shape[1] if self.images.ndim == 5 else None

    def size(self, split: Split) -> int:
        """Number of samples in a split."""
        return len(self.indices[split])

    def split(self, split: Split, device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (n, c, h, w) or (n, T, c, h, w) uint8 and labels (n,) int64 of one split, copied to a device.

        A split that is one piece of a memory map (photographs) is not copied to the CPU: it is read where it is used.
        """
        index = self.indices[split]
        lazy = isinstance(self.images, np.memmap) or not self.images.strides[0]
        whole = len(index) > 0 and index[-1] - index[0] + 1 == len(index)
        images = self.images[index[0] : index[-1] + 1] if lazy and whole else self.images[index]
        return torch.from_numpy(images).to(device), torch.from_numpy(self.labels[index]).to(device)

    def to_unit(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (n, c, h, w) uint8 to float32 in [0, 1], event frames to counts (n, T c, h, w): for augmentation."""
        if pixels.ndim == 5:
            return pixels.flatten(1, 2).to(torch.float32)
        return pixels.to(torch.float32) / self.scale

    def standardize(self, images: torch.Tensor) -> torch.Tensor:
        """What `to_unit` gave, augmented or not, to what networks are fed with.

        Images (n, c, h, w) get zero mean and unit variance per channel. Event frames (n, T c, h, w) stay the counts
        they are and become a sequence (T, n, c, h, w), contiguous: with channels last in memory, the weight gradient
        of a 1x1 convolution of stride 2 writes beyond its memory where it has few channels (torch 2.13 on a CPU).
        """
        if self.steps is not None:
            c = self.shape[0]
            return images.unflatten(1, (-1, c)).transpose(0, 1).contiguous()
        mean, std = (_per_channel(tuple(v), images.dtype, images.device) for v in (self.mean, self.std))
        return (images - mean) / std

    def first_steps(self, steps: int) -> "DataSet":
        """Event data cut to the first so many frames of every sample; the provenance says so.

        Raises
        ------
        UsageError
            If it holds images, or fewer frames.
        """
        if self.steps is None or not 1 <= steps <= self.steps:
            has = "images" if self.steps is None else f"{self.steps} frames per sample"
            raise UsageError(f"{self.name}: {steps} steps of {has}")
        if steps == self.steps:
            return self
        return replace(self, images=self.images[:, :steps], provenance={**self.provenance, "steps": steps})

    def subset(self, classes: Sequence[int]) -> "DataSet":
        """Only the samples of some classes; the i-th of these becomes label i. Splits are kept.

        Raises
        ------
        UsageError
            For a class that does not exist or is named twice.
        """
        if len(set(classes)) != len(classes) or not all(0 <= c < self.classes for c in classes):
            raise UsageError(f"{self.name}: {list(classes)} are not distinct classes of 0..{self.classes - 1}")
        renumbered = np.full(self.classes, -1, np.int64)
        renumbered[list(classes)] = np.arange(len(classes))
        labels = renumbered[self.labels]
        indices = {split: index[labels[index] >= 0] for split, index in self.indices.items()}
        counts = {split: len(index) for split, index in indices.items()}
        return replace(
            self,
            class_names=tuple(self.class_names[c] for c in classes),
            labels=labels,
            indices=indices,
            provenance={**self.provenance, "subset": list(classes), "counts": counts},
        )
