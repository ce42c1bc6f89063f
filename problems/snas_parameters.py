"""Parameters of the `snas-*` family."""

from dataclasses import dataclass

from snnbench.parameters import param
from snnbench.snn.architecture_score import VARIANTS


@dataclass(frozen=True)
class SNASParameters:
    """Parameters of `snas-digits`; the other members change the defaults."""

    tier: str = param(
        "auto",
        "what an evaluation does; auto: score if the negative score is all that is asked for, else short",
        choices=("auto", "score", "short", "full"),
        source="ours",
    )
    score: str = param("sahd", "variant of the score", choices=VARIANTS, source="released code, newest version")
    width: int = param(6, "channels of the first cell", low=1, source="ours")
    hidden: int = param(64, "neurons of the fully connected layer", low=1, source="ours")
    votes: int = param(1, "outputs per class that are averaged", low=1, source="ours")
    steps: int = param(5, "time steps T", low=1, source="released code")
    score_batch: int = param(64, "images per batch of the score", low=2, source="ours")
    score_batches: int = param(2, "batches of the score", low=1, source="released code")
    short_epochs: int = param(4, "epochs of the short training", low=1, source="ours")
    full_epochs: int = param(60, "epochs of the full training", low=1, source="ours")
    batch: int = param(64, "samples per training step", low=2, source="released code")
    lr: float = param(0.2, "initial learning rate", low=0, source="ours")
    dropout: float = param(0.0, "dropout before the fully connected layer", low=0, high=0.9, source="ours")
    train_samples: int = param(0, "samples a training uses; 0 for all", low=0, source="ours")
    held_samples: int = param(0, "search samples that score a trained network; 0 for all", low=0, source="ours")
    chunk: int = param(250, "samples per pass", low=1, source="ours")
    instance: int = param(0, "seed of weights, order and dropout: another instance", low=0, source="ours")


@dataclass(frozen=True)
class SNASDigitsBackwardParameters(SNASParameters):
    """Parameters of `snas-digits-backward`: step by step takes longer, so training is shorter."""

    short_epochs: int = param(2, "epochs of the short training", low=1, source="ours")
    batch: int = param(32, "samples per training step", low=2, source="ours")
    train_samples: int = param(500, "samples a training uses; 0 for all", low=0, source="ours")


@dataclass(frozen=True)
class SNASCifar10Parameters(SNASParameters):
    """Parameters of `snas-cifar10`: the published network."""

    width: int = param(256, "channels of the first cell", low=1, source="paper's setting in the released code")
    hidden: int = param(1024, "neurons of the fully connected layer", low=1, source="released code")
    votes: int = param(10, "outputs per class that are averaged", low=1, source="released code")
    score_batch: int = param(256, "images per batch of the score", low=2, source="released code")
    short_epochs: int = param(5, "epochs of the short training", low=1, source="ours")
    full_epochs: int = param(300, "epochs of the full training", low=1, source="released code")
    lr: float = param(0.1, "initial learning rate", low=0, source="released code")
    dropout: float = param(0.5, "dropout before the fully connected layer", low=0, high=0.9, source="released code")


@dataclass(frozen=True)
class SNASCifar100Parameters(SNASCifar10Parameters):
    """Parameters of `snas-cifar100`."""

    width: int = param(128, "channels of the first cell", low=1, source="released code")
    votes: int = param(5, "outputs per class that are averaged", low=1, source="released code")


@dataclass(frozen=True)
class SNASTinyImageNetParameters(SNASCifar100Parameters):
    """Parameters of `snas-tinyimagenet`."""

    hidden: int = param(4096, "neurons of the fully connected layer", low=1, source="released code")
