"""`silent-*-stdp`: a Diehl and Cook network that learns without labels, with eighteen hyperparameters.

The space is that of Firmin, Boulet and Talbi (2024, arXiv 2403.00450) for MNIST; see `snnbench.problems.silent` for the
constraint and `snnbench.snn.diehl_cook` for the network. Inputs are Poisson spike trains, the same ones for every
candidate.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from snnbench.parameters import param
from snnbench.problem import Estimate, Split
from snnbench.problems.silent import LEVELS, Score, SilentParameters, SilentProblem, Values
from snnbench.problems.standard import CONFIDENCE, ENERGY, Samples, data_to_time
from snnbench.snn.decoders import EVIDENCE, Decoder, logits, table
from snnbench.snn.diehl_cook import DiehlCook, DiehlCookConfig, poisson
from snnbench.snn.metrics import metrics_of
from snnbench.snn.readings import Readings, read
from snnbench.snn.silence import SilentMonitor
from snnbench.snn.threads import run_all
from snnbench.space import Categorical, Integer, Real, ReversedReal, Variable

_STREAMS = {"train": 1, "labels": 2, "search": 3, "validation": 4, "test": 5}
_NETWORK = (
    *("nu_pre", "nu_post", "strength_exc", "strength_inh", "norm", "e_thresh", "e_rest", "e_refrac", "theta_plus"),
    *("tc_theta_decay", "e_tc_decay", "i_thresh", "i_rest", "i_refrac", "i_tc_decay"),
)


@dataclass(frozen=True)
class STDPParameters(SilentParameters):
    """Parameters of `silent-digits-stdp`."""

    held: float = param(0.5, "share of the search split that scores and does not train", low=0.01, high=0.9)
    steps: int = param(32, "time steps T of 1 ms", low=2, source="ours")
    rate: float = param(0.5, "probability of an input spike per step at full brightness", low=0, high=1, source="ours")
    labelled: int = param(500, "training samples whose labels tell what neurons stand for", low=1, source="ours")
    chunk: int = param(100, "samples shown side by side when scoring", low=1, source="ours")


@dataclass(frozen=True)
class PublishedSTDPParameters(STDPParameters):
    """Parameters of `silent-mnist-stdp`: as published, where known."""

    level: str = param(
        "hard", "width of the space: hard is the published one", choices=LEVELS, source="ours; hard as published"
    )
    update_interval: int = param(100, "samples between two checks of the constraint", low=1, source="ours")
    held: float = param(1 / 6, "share of the search split that scores and does not train", low=0.01, high=0.9)
    steps: int = param(100, "time steps T of 1 ms", low=2, source="published")
    rate: float = param(0.128, "probability of an input spike per step at full brightness", source="published: 128 Hz")
    labelled: int = param(10_000, "training samples whose labels tell what neurons stand for", low=1, source="ours")


class STDPProblem(SilentProblem):
    """Base of the members that learn by spike-timing-dependent plasticity. They run on the CPU."""

    Parameters: ClassVar[type] = STDPParameters
    parameters: STDPParameters

    def evaluate_one(self, values: Values, split: Split) -> Score:
        """Learn from the training part, find out what neurons stand for, score."""
        p = self.parameters
        network = DiehlCook(self._config(values), p.instance)
        chosen = self.training_samples(1.0).cpu().numpy()
        pixels, labels = self._arrays(self._train)
        pixels, labels = pixels[chosen], labels[chosen]
        monitor, trained = self.monitor(len(chosen)), 0
        for epoch in range(int(values["epochs"])):
            monitor.start_epoch()
            trained += self._epoch(network, pixels, epoch, monitor)
            if monitor.stopped:
                break
        decoder: Decoder = values["decoder"]
        few = slice(p.labelled)
        fired = [self._respond(network, spikes)[0] for _, spikes in self._trains(pixels[few], "labels")]
        meaning = table(decoder, np.concatenate(fired, axis=1), labels[few], network.config.neurons, self.info.classes)
        measured = self._measured(network, decoder, meaning, split)
        return self.score(measured, monitor, trained, p.steps, "")

    def _epoch(self, network: DiehlCook, pixels: np.ndarray, epoch: int, monitor: SilentMonitor) -> int:
        """Show every sample once, or until the monitor stops it; how many were shown."""
        shown = 0
        for _, spikes in self._trains(pixels, "train", epoch):
            for i in range(spikes.shape[1]):
                shown += 1
                if monitor.see([int((network.learn(spikes[:, i]) >= 0).sum())]):
                    return shown
        return shown

    def network_description(self) -> dict[str, Any]:
        """Network, coding and decoding."""
        p = self.parameters
        return {
            "type": "Diehl and Cook: excitatory layer with adaptive thresholds, one-to-one inhibitory layer",
            "steps": p.steps,
            "coding": f"Poisson, {p.rate:g} spikes per step at full brightness, frozen",
            "learning": "trace STDP, one sample at a time, weights normalised after each",
            "decoding": f"from the labels of the first {p.labelled} training samples; {EVIDENCE:g} per spike",
            "fixed": {"e_reset": -60, "i_reset": -45, "weights": [0, 1], "tc_trace": 20},
        }

    def reference_points(self) -> dict[str, tuple[float, float]]:
        """Ideal and worst values: chance for the loss, a spike of every input and layer at every step for the rest."""
        p, classes = self.parameters, self.info.classes
        neurons = next(v.high for v in self.space.variables if v.name == "map_size" and isinstance(v, Integer))
        epochs = next(v.high for v in self.space.variables if v.name == "epochs" and isinstance(v, Integer))
        operations = float(p.steps * neurons * (math.prod(self.info.shape) + 1))
        train, scored = self.sizes
        return {
            "error": (0.0, 1.0),
            "loss": (0.0, math.log(classes)),
            "energy": (0.0, ENERGY.energy(operations, 0.0)),
            "latency": (1.0, float(p.steps)),
            "synops": (0.0, operations),
            "spikes": (0.0, float(2 * p.steps)),
            "cost": (0.0, float(p.steps * (train * epochs + scored))),
        }

    def estimate(self) -> Estimate:
        """The centre of the space, taught a few samples: what a training takes that is not stopped."""
        data = self._data or data_to_time(self.data_name, self.context)
        centre = {k: v[0] for k, v in self.space.decode(torch.full((1, self.dimension), 0.5)).items()}
        config, p = self._config(centre), self.parameters
        few = data.images[data.indices["search"][:20]].reshape(20, -1) / data.scale

        def job() -> float:
            network, spikes = DiehlCook(config, 0), poisson(few, p.steps, p.rate, [0])
            began = time.perf_counter()
            for i in range(len(few)):
                network.learn(spikes[:, i])
            return (time.perf_counter() - began) / len(few)

        (per_sample,) = run_all(self.device, [job])
        samples = self.sizes[0] * int(centre["epochs"])
        memory = 4 * (config.inputs * config.neurons + 6 * p.chunk * (p.steps * config.inputs + config.neurons))
        return Estimate(0.0, per_sample * samples, memory, self.dimension)

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    def _config(self, values: Values) -> DiehlCookConfig:
        named = {name: values[name].item() for name in _NETWORK}
        return DiehlCookConfig(math.prod(self.info.shape), int(values["map_size"]), **named)

    def _arrays(self, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        pixels, labels = (part.cpu().numpy() for part in samples)
        return pixels.reshape(len(pixels), -1), labels

    def _trains(self, pixels: np.ndarray, stream: str, epoch: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Spike trains (T, n, inputs) of samples, chunk by chunk; frozen by stream, epoch and position."""
        p = self.parameters
        for start in range(0, len(pixels), p.chunk):
            part = pixels[start : start + p.chunk] / self.data.scale
            yield start, poisson(part, p.steps, p.rate, [p.instance, _STREAMS[stream], epoch, start])

    @staticmethod
    def _respond(network: DiehlCook, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flat = torch.from_numpy(spikes.reshape(-1, spikes.shape[2]).astype(np.float32))
        drive = (flat @ torch.from_numpy(network.weights)).numpy()
        return network.respond(drive.reshape(*spikes.shape[:2], -1))

    def _measured(self, network: DiehlCook, decoder: Decoder, meaning: np.ndarray, split: Split) -> Score:
        pixels, labels = self._arrays(self._samples[split])
        neurons, readings = network.config.neurons, None
        spikes_of = np.zeros((2, self.parameters.steps))
        fan_out = (network.weights != 0).sum(axis=1)
        operations = 0.0
        for start, spikes in self._trains(pixels, split):
            excitatory, inhibitory = self._respond(network, spikes)
            truth = torch.from_numpy(labels[start : start + spikes.shape[1]])
            scores = torch.from_numpy(logits(decoder, meaning, excitatory))
            silent = torch.from_numpy((excitatory < 0).all(axis=0))
            part = read(scores, truth, silent, CONFIDENCE)
            readings = part if readings is None else readings.add(part)
            spikes_of += [(excitatory >= 0).sum(axis=1), (inhibitory >= 0).sum(axis=1)]
            operations += float(spikes.sum(axis=(0, 1)) @ fan_out)
        assert isinstance(readings, Readings)
        # One connection from each excitatory neuron, and one from each inhibitory neuron to all others.
        operations += float(spikes_of[0].sum() + (neurons - 1) * spikes_of[1].sum())
        return metrics_of(readings, torch.from_numpy(spikes_of), 2 * neurons, operations, 0.0, ENERGY)


class SilentDigitsSTDP(STDPProblem):
    """Hyperparameters of an STDP network on 8x8 digits; most are silent.

    The published space with ranges for 64 inputs, 32 steps and 500 samples.
    """

    name = "silent-digits-stdp"
    data_name = "digits"

    def variables(self) -> list[Variable]:
        """Eighteen hyperparameters; the level sets the range of what a spike adds to a threshold."""
        theta_plus = {"easy": (0.002, 0.02), "medium": (0.01, 0.2), "hard": (0.03, 1.0)}[self.parameters.level]
        return [
            *_head(Integer("map_size", 10, 60), Real("nu_pre", 1e-4, 1e-3, log=True)),
            ReversedReal("nu_post", 5e-3, 5e-2),
            ReversedReal("norm", 6.4, 40.0),
            Real("theta_plus", *theta_plus, log=True),
            *_tail(),
        ]


class SilentMnistSTDP(STDPProblem):
    """Hyperparameters of an STDP network on MNIST; silent is infeasible."""

    name = "silent-mnist-stdp"
    data_name = "mnist"
    default_budget = 200
    Parameters = PublishedSTDPParameters
    parameters: PublishedSTDPParameters

    def variables(self) -> list[Variable]:
        """Eighteen hyperparameters; at level hard the published ranges."""
        theta_plus = {"easy": (0.001, 0.01), "medium": (0.003, 0.03), "hard": (0.01, 0.1)}[self.parameters.level]
        return [
            *_head(Integer("map_size", 10, 1000), Real("nu_pre", 1e-4, 1e-3, log=True)),
            ReversedReal("nu_post", 1e-3, 1e-2),
            ReversedReal("norm", 78.4, 200.0),
            Real("theta_plus", *theta_plus, log=True),
            *_tail(),
        ]


def _head(*sizes: Variable) -> list[Variable]:
    return [Categorical("decoder", ("all", "vote", "2gram")), Integer("epochs", 1, 3), *sizes]


def _tail() -> list[Variable]:
    """Ranges as published."""
    return [
        ReversedReal("strength_exc", 50.0, 500.0),
        ReversedReal("strength_inh", 60.0, 600.0),
        Real("e_thresh", -70.0, -50.0),
        Real("e_rest", -65.0, -55.0),
        Integer("e_refrac", 1, 10),
        ReversedReal("tc_theta_decay", 1e6, 1e7),
        ReversedReal("e_tc_decay", 1000.0, 5000.0),
        Real("i_thresh", -30.0, -10.0),
        Real("i_rest", -60.0, -40.0),
        Integer("i_refrac", 15, 35),
        Real("i_tc_decay", 1000.0, 5000.0, log=True),
    ]
