"""`silent-*` by surrogate gradient: a voting network of PLIF neurons with fifteen hyperparameters.

Space and network are the "most portable" ones of Firmin, Boulet and Talbi (2024, arXiv 2403.00450), from the thesis
version; see `snnbench.problems.silent` for the constraint and for what all members share.
"""

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.data.images import DataSet
from snnbench.errors import UsageError
from snnbench.parameters import param
from snnbench.problem import Estimate, Objective, Split
from snnbench.problems.silent import LEVELS, OWN_OBJECTIVES, Score, SilentParameters, SilentProblem, Values
from snnbench.problems.standard import CONFIDENCE, ENERGY, OBJECTIVES, data_to_time
from snnbench.snn.metrics import summarise
from snnbench.snn.plif import PLIFConfig
from snnbench.snn.plif_network import PLIFNetworkConfig, make_network
from snnbench.snn.silence import SilentCriterion, SilentMonitor
from snnbench.snn.tally import dense_operations
from snnbench.snn.threads import run_all
from snnbench.snn.vote_training import VoteRecipe, calibrate, rebin, score_votes, train_votes
from snnbench.space import Integer, Real, ReversedInteger, ReversedReal, Variable


@dataclass(frozen=True)
class SurrogateParameters(SilentParameters):
    """Parameters of `silent-digits`."""

    alpha: float = param(
        2.0, "output spikes below which a sample is silent", low=0, source="ours: 5, scaled to fewer steps"
    )
    calibration: int = param(256, "training samples that batch normalisation is re-estimated on", low=2, source="ours")


@dataclass(frozen=True)
class PublishedParameters(SurrogateParameters):
    """Parameters of the members with the published space: as published, where known."""

    level: str = param(
        "hard", "width of the space: hard is the published one", choices=LEVELS, source="ours; hard as published"
    )
    alpha: float = param(5.0, "output spikes below which a sample is silent", low=0, source="published")
    update_interval: int = param(100, "samples between two checks of the constraint", low=1, source="ours")
    held: float = param(1 / 6, "share of the search split that scores and does not train", low=0.01, high=0.9)
    chunk: int = param(100, "samples per pass when scoring", low=1, source="ours")


@dataclass(frozen=True)
class GestureParameters(PublishedParameters):
    """Parameters of `silent-dvsgesture`."""

    update_interval: int = param(20, "samples between two checks of the constraint", low=1, source="ours")
    calibration: int = param(32, "training samples that batch normalisation is re-estimated on", low=2, source="ours")
    chunk: int = param(16, "samples per pass when scoring", low=1, source="ours")


class SurrogateProblem(SilentProblem):
    """Base of the members that train a voting network of PLIF neurons by surrogate gradient."""

    Parameters = SurrogateParameters
    parameters: SurrogateParameters
    objectives = OBJECTIVES | OWN_OBJECTIVES | {"mse": Objective("squared error of the mean votes")}

    @property
    def longest(self) -> int:
        """The most steps that a candidate can have."""
        frames = next((v for v in self.space.variables if v.name == "frames"), None)
        return frames.high if isinstance(frames, Integer) else self._recorded_steps()

    def evaluate_one(self, values: Values, split: Split) -> Score:
        """Train the network, re-estimate its normalisation, score it."""
        p, config = self.parameters, self.network(values)
        seed = 1_000_003 * p.instance
        network = make_network(config, seed).to(self.context.device)
        chosen = self.training_samples(float(values.get("train_size", 1.0)))
        images, labels = self._train
        recipe = VoteRecipe(
            int(values["epochs"]),
            int(values["batch"]),
            float(values["lr"]),
            float(values["momentum"]),
            float(values["lr_decay"]),
        )
        monitor = self.monitor(len(chosen))

        def load(index: torch.Tensor) -> torch.Tensor:
            return self._input(images[chosen[index]], config.steps)

        trained = train_votes(network, load, labels[chosen], recipe, monitor, seed + 1)
        failure = trained.failure
        few = torch.arange(min(p.calibration, len(chosen)), device=chosen.device)
        if not calibrate(network, load(few)):
            failure = failure or "training diverged: the network's layers are not finite"
        scored, truth = self._samples[split]
        parts, mse = score_votes(
            network, lambda span: self._input(scored[span], config.steps), truth, p.chunk, CONFIDENCE
        )
        score = self.score(summarise(parts, ENERGY), monitor, trained.samples, self.longest, failure)
        taus = [neuron.tau for neuron in (network.neuron1, network.neuron2, network.neuron3)]
        return score | {"mse": np.asarray(mse), "taus": np.array(taus)}

    def network(self, values: Values) -> PLIFNetworkConfig:
        """The network of a candidate."""
        channels, side, _ = self.info.shape
        neuron = PLIFConfig(float(values["tau"]), float(values["threshold"]), steepness=float(values["slope"]))
        steps = int(values["frames"]) if "frames" in values else self._recorded_steps()
        return PLIFNetworkConfig(
            channels,
            side,
            self.info.classes,
            steps,
            (int(values["filters1"]), int(values["filters2"])),
            (int(values["kernel1"]), int(values["kernel2"])),
            float(values["dropout"]),
            neuron,
        )

    def network_description(self) -> dict[str, Any]:
        """The largest network's fixed parts, and how it is trained."""
        return self.network(self._corner()).describe() | {
            "training": "SGD with Nesterov momentum, squared error of the mean votes, lr times lr_decay per epoch",
            "coding": "direct" if self.info.steps is None else "frames, merged to the steps of the candidate",
            "normalisation": f"re-estimated on the first {self.parameters.calibration} training samples",
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Ideal and worst values: chance for the losses, all inputs of the largest network non-zero for the rest."""
        config, classes = self.network(self._corner()), self.info.classes
        image = torch.zeros(1, config.channels, config.side, config.side)
        operations = dense_operations(make_network(config, 0), image, config.steps)
        train, scored = self.sizes
        most = next(v.high for v in self.space.variables if v.name == "epochs" and isinstance(v, Integer))
        return {
            "error": (0.0, 1.0),
            "loss": (0.0, math.log(classes)),
            "energy": (0.0, ENERGY.energy(0.0, operations)),
            "latency": (1.0, float(config.steps)),
            "synops": (0.0, operations),
            "spikes": (0.0, float(config.neurons * config.steps)),
            "cost": (0.0, float(config.steps * (train * most + scored))),
            "mse": (0.0, 1.0 / classes),
        }

    def estimate(self) -> Estimate:
        """The centre of the space, trained for a few batches: what a training takes that is not stopped."""
        data = self._data or data_to_time(self.data_name, self.context)
        device, p = self.context.device, self.parameters
        centre = self.space.decode(torch.full((1, self.dimension), 0.5))
        values = {name: column[0] for name, column in centre.items()}
        config = self.network(values)
        batch = int(values["batch"])

        def job(count: int) -> float:
            pixels = torch.from_numpy(data.images[:count]).to(device)
            x, truth = self._framed(data, pixels, config.steps), torch.from_numpy(data.labels[:count]).to(device)
            network = make_network(config, 0).to(device)
            monitor = SilentMonitor(SilentCriterion(0.0, 1.0, 1), count)
            recipe = VoteRecipe(1, min(batch, count), 1e-3, 0.9, 1.0)
            began = time.perf_counter()
            train_votes(network, lambda index: x[index] if x.ndim == 4 else x[:, index], truth, recipe, monitor, 0)
            return time.perf_counter() - began

        run_all(device, [partial(job, 2)])  # imports, and buffers of the first call
        # A few samples first: two batches of a large network would take minutes.
        for count in (2, 16, 2 * batch):
            (seconds,) = run_all(device, [partial(job, count)])
            if seconds > 0.3:
                break
        train, scored = self.sizes
        share = float(values.get("train_size", 1.0))
        samples = share * train * int(values["epochs"]) + scored / 3  # scoring has no backward pass
        activations = 16 * 4 * config.steps * max(batch, p.chunk) * config.neurons
        return Estimate(0.0, seconds / count * samples, activations, self.dimension)

    def _corner(self) -> Values:
        """The values at the upper end of every variable: the largest network, and the longest training."""
        return {name: column[0] for name, column in self.space.decode(torch.ones(1, self.dimension)).items()}

    def _recorded_steps(self) -> int:
        if self.info.steps is None:
            raise UsageError(f"{self.name}: {self.data_name} has no frames")
        return self.info.steps

    def _input(self, pixels: torch.Tensor, steps: int) -> torch.Tensor:
        return self._framed(self.data, pixels, steps)

    def _framed(self, data: DataSet, pixels: torch.Tensor, steps: int) -> torch.Tensor:
        x = data.standardize(data.to_unit(pixels))
        return x if x.ndim == 4 else rebin(x, steps, self.info.framing is not None and self.info.framing.binary)


class SilentDigits(SurrogateProblem):
    """Hyperparameters of a PLIF network trained on 8x8 digits; many are silent.

    The published space with ranges for 8 x 8 pixels and trainings of seconds.
    """

    name = "silent-digits"
    data_name = "digits"

    def variables(self) -> list[Variable]:
        """Fifteen hyperparameters; the level sets the upper ends of threshold and tau."""
        threshold, tau = {"easy": (0.5, 5.0), "medium": (1.0, 10.0), "hard": (1.6, 20.0)}[self.parameters.level]
        return [
            Real("train_size", 0.1, 1.0, log=True),
            Integer("frames", 4, 10),
            Integer("epochs", 1, 6),
            ReversedInteger("batch", 20, 100),
            Integer("filters1", 1, 8),
            Integer("filters2", 1, 12),
            Integer("kernel1", 2, 5),
            Integer("kernel2", 2, 5),
            Real("lr", 2e-2, 2.0, log=True),
            ReversedReal("momentum", 0.8, 0.999),
            ReversedReal("lr_decay", 0.9, 1.0),
            Real("threshold", 0.1, threshold),
            Real("tau", 1.1, tau),
            Real("dropout", 0.01, 0.9, log=True),
            Real("slope", 2.0, 10.0),
        ]


class PublishedSurrogateProblem(SurrogateProblem):
    """Base of the members with the published space."""

    default_budget = 200
    Parameters = PublishedParameters
    parameters: PublishedParameters
    batches: ClassVar[tuple[int, int]] = (20, 200)
    filters: ClassVar[int] = 48

    def variables(self) -> list[Variable]:
        """Fifteen hyperparameters; fourteen where the recording fixes the frames."""
        threshold, tau = {"easy": (1.0, 10.0), "medium": (2.0, 20.0), "hard": (4.0, 40.0)}[self.parameters.level]
        return [
            Real("train_size", 0.1, 1.0, log=True),
            *self.frames(),
            Integer("epochs", 1, 20),
            ReversedInteger("batch", *self.batches),
            Integer("filters1", 1, self.filters),
            Integer("filters2", 1, self.filters),
            Integer("kernel1", 4, 12),
            Integer("kernel2", 4, 12),
            Real("lr", 1e-3, 1e-1, log=True),
            ReversedReal("momentum", 0.8, 0.999),
            ReversedReal("lr_decay", 0.9, 1.0),
            Real("threshold", 0.1, threshold),
            Real("tau", 1.1, tau),
            Real("dropout", 0.01, 0.9, log=True),
            Real("slope", 2.0, 10.0),
        ]

    def frames(self) -> list[Variable]:
        """The number of time steps as a variable, as far as recordings have so many frames."""
        most = 50 if self.info.steps is None else min(50, self.info.steps)
        return [Integer("frames", min(10, most // 2), most)]


class SilentMnist(PublishedSurrogateProblem):
    """Hyperparameters of a PLIF network on MNIST; silent is infeasible."""

    name = "silent-mnist"
    data_name = "mnist"


class SilentNMnist(PublishedSurrogateProblem):
    """Hyperparameters of a PLIF network on N-MNIST; silent is infeasible."""

    name = "silent-nmnist"
    data_name = "nmnist"
    requires = ("tonic",)
    extra = "events"


class SilentDVSGesture(PublishedSurrogateProblem):
    """Hyperparameters of a PLIF network on DVS Gesture; silent is infeasible.

    Recordings are denoised (5,000 us) and cut into 100 binary frames, as published; their number is no variable.
    Batches and filters are ours: with those of MNIST, one layer's spikes would take 64 GB.
    """

    name = "silent-dvsgesture"
    data_name = "dvsgesture"
    Parameters = GestureParameters
    parameters: GestureParameters
    batches = (4, 32)
    filters = 16
    requires = ("tonic",)
    extra = "events"

    def frames(self) -> list[Variable]:
        """None: all frames of a recording are steps."""
        return []
