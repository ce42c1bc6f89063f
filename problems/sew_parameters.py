"""Parameters of the `sew-*` problems."""

from dataclasses import dataclass
from typing import Literal

from snnbench.parameters import param
from snnbench.snn.precision import PRECISIONS


@dataclass(frozen=True)
class SEWParameters:
    """Parameters of `sew-digits`; the larger members change the defaults."""

    blocks: str = param("1-1-1", "residual blocks per stage", source="ours")
    width: int = param(8, "channels of the first stage", low=1, source="ours")
    steps: int = param(4, "time steps T", low=1, source="released code of CADE")
    members: int = param(8, "networks in the initial design", low=2, high=64, source="released code of CADE")
    source_epochs: int = param(15, "epochs of the source model", low=1, source="ours")
    epochs: int = param(3, "epochs of every member", low=1, source="ours")
    batch: int = param(64, "samples per training step", low=2, source="ours")
    strength: float = param(0.1, "strength of the members' geometric augmentation", low=0, high=1, source="ours")
    train_samples: int = param(0, "search samples that source and members learn from; 0 for all", low=0, source="ours")
    search_samples: int = param(0, "samples of the search split an evaluation uses; 0 for all", low=0, source="ours")
    calibration: int = param(128, "search samples that batch normalisation is re-estimated on", low=2, source="ours")
    chunk: int = param(500, "samples per pass", low=1, source="ours")
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = param(
        "float32", "what convolutions behind the first one compute in", choices=PRECISIONS, source="ours"
    )
    instance: int = param(0, "seed of source and members: another instance of the problem", low=0, source="ours")


@dataclass(frozen=True)
class SEWCifarParameters(SEWParameters):
    """Parameters of the CIFAR members: the released code's network and training."""

    blocks: str = param(
        "3-4-6-3", "residual blocks per stage (2-2-2-2 is SEW-ResNet-18)", source="released code of CADE"
    )
    width: int = param(64, "channels of the first stage", low=1, source="released code of CADE")
    source_epochs: int = param(200, "epochs of the source model", low=1, source="ours: as many as a member")
    epochs: int = param(200, "epochs of every member", low=1, source="released code of CADE")
    batch: int = param(128, "samples per training step", low=2, source="released code of CADE")
    strength: float = param(0.3, "strength of the members' geometric augmentation", low=0, high=1, source="ours")
    calibration: int = param(256, "search samples that batch normalisation is re-estimated on", low=2, source="ours")
    chunk: int = param(250, "samples per pass", low=1, source="ours")


@dataclass(frozen=True)
class SEWEventsParameters(SEWParameters):
    """Parameters of `sew-events`."""

    steps: int = param(4, "time steps T: so many frames of every sample, the first ones", low=1, high=6, source="ours")
    search_samples: int = param(
        256, "samples of the search split an evaluation uses; 0 for all", low=0, source="ours: 0.1 s per evaluation"
    )
    source_epochs: int = param(12, "epochs of the source model", low=1, source="ours")
    batch: int = param(32, "samples per training step", low=2, source="ours")
    calibration: int = param(64, "search samples that batch normalisation is re-estimated on", low=2, source="ours")


@dataclass(frozen=True)
class SEWDVSParameters(SEWCifarParameters):
    """Parameters of `sew-dvscifar10`."""

    blocks: str = param(
        "2-2-2-2", "residual blocks per stage (SEW-ResNet-18)", source="released code of ETC, for images"
    )
    steps: int = param(
        10,
        "time steps T: so many frames of every sample, the first ones",
        low=1,
        high=10,
        source="released code of ETC",
    )
    source_epochs: int = param(100, "epochs of the source model", low=1, source="ours")
    epochs: int = param(100, "epochs of every member", low=1, source="ours")
    batch: int = param(64, "samples per training step", low=2, source="ours")
    chunk: int = param(100, "samples per pass", low=1, source="ours")
