"""`soup-*`: mixtures of the members of `sew-*`, layer by layer.

Where `sew-*` searches all weights, here the members' weights are averaged, and an optimizer searches the coefficients:
the learned soup of Wortsman et al. (2022, arXiv 2203.05482), by layer. Tens to hundreds of variables instead of
millions.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.parameters import param
from snnbench.problem import Context, Estimate, Problem, Split
from snnbench.problems.sew import SEWCifar10, SEWCifar100, SEWDigits, SEWProblem, require_calibration
from snnbench.problems.sew_parameters import SEWCifarParameters, SEWParameters
from snnbench.problems.standard import CONSTRAINTS, OBJECTIVES, how_measured, samples_of
from snnbench.snn.sew_resnet import SEWResNet, layer_names
from snnbench.snn.soup import SoupCodec, ensemble, greedy, layers_of
from snnbench.snn.transfer import make_members
from snnbench.space import RealVector, SearchSpace

LARGEST = 8.0
"""A member whose logit is this, while all others' are its negative, has a share of 1 - 8e-7 among eight."""


@dataclass(frozen=True)
class SoupParameters(SEWParameters):
    """Parameters of `soup-digits`: those of `sew-digits`, on fewer samples."""

    search_samples: int = param(
        400, "samples of the search split an evaluation uses; 0 for all", low=0, source="ours: 0.1 s per evaluation"
    )


class SoupProblem(Problem):
    """Base of the `soup-*` family: x mixes the members of a `sew-*` problem, layer by layer.

    Coordinate (l, m) is the logit of member m in layer l; a softmax over members gives the shares with which their
    weights are averaged. A layer is a convolution with its normalisation, or the readout. The members are those of the
    `sew-*` problem with the same parameters, from the same cache; batch normalisation is re-estimated as there.
    """

    version = 1
    objectives = OBJECTIVES
    optional_constraints = CONSTRAINTS
    default_budget = 800
    strategies = SEWProblem.strategies
    parameters: SEWParameters
    sew_class: ClassVar[type[SEWProblem]]

    def __init__(
        self,
        parameters: Any = None,
        objectives: tuple[str, ...] = (),
        context: Context | None = None,
        constraints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(parameters, objectives, context, constraints)
        self._sew = self.sew_class(self.parameters, objectives, self.context, constraints)
        self._codec: SoupCodec | None = None
        self._lines: dict[str, dict[str, float]] = {}

    @cached_property
    def layers(self) -> dict[str, int]:
        """Layer to its number of weights, in order."""
        with torch.device("meta"):
            return layers_of(SEWResNet(self._sew.network))

    @property
    def dimension(self) -> int:
        """Layers times members."""
        return len(self.layers) * self.parameters.members

    @cached_property
    def space(self) -> SearchSpace:
        """One block of logits, all members of the first layer first."""
        return SearchSpace([RealVector("mixing", self.dimension, -LARGEST, LARGEST)])

    def prepare(self) -> None:
        """Load the data, train or load the members of the `sew-*` problem."""
        self.task = self._sew._task(download=True)  # the same task: nothing is trained twice
        require_calibration(self, self.task.target)
        folder = self.context.cache_dir / "checkpoints" / self._sew.name
        members, self._checkpoints = make_members(self.task, folder, self.context.device, self.context.progress)
        self._codec = SoupCodec(members, tuple(self.layers.values()))
        self._samples = samples_of(self.task.target, self.context.device, self.parameters.search_samples)
        calibration = self._samples["search"][0][: self.parameters.calibration]
        self._evaluator = self._sew._make_evaluator(self.task.target, self._codec, calibration)
        self._lines = {}

    @property
    def strategy(self) -> str:
        """``convolution`` or ``lookup`` (`snnbench.snn.native`)."""
        return self._evaluator.strategy

    def initial(self, n: int) -> torch.Tensor:
        """Each member alone, then the plain average of all: the first n of (M + 1, d)."""
        members = self.parameters.members
        points = [self.subset([i]) for i in range(members)] + [self.subset(list(range(members)))]
        return torch.stack(points[:n]) if n else torch.empty(0, self.dimension, device=self.context.device)

    def subset(self, chosen: list[int]) -> torch.Tensor:
        """(d,) The plain average of some members: equal logits for these in every layer, the lowest for the others."""
        logits = torch.full((self.parameters.members,), -LARGEST, device=self.context.device)
        logits[chosen] = LARGEST
        return logits.repeat(len(self.layers))

    def measure(self, x: torch.Tensor, split: Split) -> dict[str, np.ndarray]:
        """Metrics of `snnbench.snn.metrics.summarise` on one split."""
        if self._codec is None:
            raise RuntimeError(f"{self.name}: prepare() comes first")
        images, labels = self._samples[split]
        return self._evaluator.evaluate(x, images, labels)

    def reference_lines(self) -> dict[str, dict[str, float]]:
        """The best member, the plain average, the greedy soup and the ensemble of logits, on the test split.

        The best member and the greedy soup are chosen by accuracy on the validation split.
        """
        if not self._lines:
            members = self.parameters.members
            errors = self.measure(self.initial(members), "validation")["error"].tolist()

            def error_of(chosen: list[int]) -> float:
                return float(self.measure(self.subset(chosen)[None], "validation")["error"][0])

            best, kept = int(np.argmin(errors)), greedy(errors, error_of)
            points = {
                f"best member ({best + 1} of {members})": [best],
                "plain average": list(range(members)),
                f"greedy soup ({len(kept)} of {members} members)": kept,
            }
            metrics = self.measure(torch.stack([self.subset(chosen) for chosen in points.values()]), "test")
            self._lines = {name: _scalars(metrics, row) for row, name in enumerate(points)}
            together = ensemble(self._evaluator, self.initial(members), *self._samples["test"])
            self._lines["ensemble of logits"] = _scalars({k: v[None] for k, v in together.items()}, 0)
        return self._lines

    def describe(self) -> dict[str, Any]:
        """Data, splits, network, recipes and hashes of the checkpoints."""
        network = self._sew.network
        provenance = [self.task.target.provenance, self.task.source.provenance]
        return {
            "family": "soup",
            "members_of": self._sew.name,
            "network": {
                "type": "SEW-ResNet, ADD",
                "blocks": list(network.blocks),
                "width": network.width,
                "steps": network.steps,
                "neuron": network.neuron.describe(),
                "layers": layer_names(network),
                "normalisation": f"re-estimated on the first {self.parameters.calibration} search samples",
            },
            "mixed_layers": list(self.layers),
            "data": {"target": dict(provenance[0]), "source": dict(provenance[1])},
            "official": all(bool(part["official"]) for part in provenance),
            "splits": {split: len(labels) for split, (_, labels) in self._samples.items()},
            "checkpoints": self._checkpoints,
            "variables": self.space.describe(),
            **how_measured(self),
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Those of the `sew-*` problem."""
        return self._sew.reference_points()

    def estimate(self) -> Estimate:
        """That of the `sew-*` problem; mixing takes little beside running the network."""
        estimate = self._sew.estimate()
        members = 4 * self.parameters.members * estimate.dimension
        return replace(estimate, memory=estimate.memory + members, dimension=self.dimension)


def _scalars(metrics: dict[str, np.ndarray], row: int) -> dict[str, float]:
    return {k: float(v[row]) for k, v in metrics.items() if v.ndim == 1 and v.dtype.kind == "f"}


class SoupDigits(SoupProblem):
    """Layer-wise mixtures of small SEW-ResNets on 8x8 digits."""

    name = "soup-digits"
    Parameters = SoupParameters
    sew_class = SEWDigits


class SoupCifar10(SoupProblem):
    """Layer-wise mixtures of SEW-ResNet-34 on CIFAR-10."""

    name = "soup-cifar10"
    Parameters = SEWCifarParameters
    sew_class = SEWCifar10


class SoupCifar100(SoupProblem):
    """Layer-wise mixtures of SEW-ResNet-34 on CIFAR-100."""

    name = "soup-cifar100"
    Parameters = SEWCifarParameters
    sew_class = SEWCifar100
