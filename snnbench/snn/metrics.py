"""The metrics of a candidate, from what was read and counted while its network ran."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from snnbench.snn.energy import EnergyModel
from snnbench.snn.readings import Readings
from snnbench.snn.tally import Tally
from snnbench.snn.temporal_consistency import ETC_WEIGHT


@dataclass(frozen=True)
class Measured:
    """What was measured of one candidate, still on its device.

    Attributes
    ----------
    values
        (K,) float64: sums of `Readings`, spikes (L, T) of layers in the order of their names, ACs, MACs, and whether
        the network's layers are finite.
    samples, steps, layers, neurons
        Of these samples and this network.
    """

    values: torch.Tensor
    samples: int
    steps: int
    layers: int
    neurons: int

    @classmethod
    def of(cls, chunks: Sequence[tuple[Readings, Tally]], usable: torch.Tensor | bool = True) -> "Measured":
        """From readings and tally of every chunk, and whether the network's layers are finite."""
        readings, tally = chunks[0][0], Tally()
        for other, _ in chunks[1:]:
            readings = readings.add(other)
        for _, counted in chunks:
            tally.add(counted)
        spikes = torch.stack([tally.spikes[name] for name in sorted(tally.spikes)])
        sums = readings.sums
        operations = tally.totals(sums.device)
        flag = usable.double() if isinstance(usable, torch.Tensor) else torch.full_like(operations[0], float(usable))
        values = torch.cat([sums, spikes.to(sums.device).flatten(), operations, flag[None]])
        return cls(values, readings.samples, len(spikes[0]), len(spikes), sum(tally.neurons.values()))

    def metrics(self, energy: EnergyModel) -> dict[str, np.ndarray]:
        """As `summarise`."""
        values = self.values.cpu()
        spikes = self.layers * self.steps
        readings, counted = values[: -spikes - 3], values[-spikes - 3 : -3]
        acs, macs, usable = values[-3:].tolist()
        layers = counted.view(self.layers, self.steps)
        return metrics_of(Readings(self.samples, readings), layers, self.neurons, acs, macs, energy, bool(usable))


def fetch(measured: Sequence[Measured]) -> list[Measured]:
    """The same on the CPU, by a single copy: a GPU that is asked for every candidate waits in between."""
    values = torch.stack([one.values for one in measured]).cpu()
    return [replace(one, values=row) for one, row in zip(measured, values, strict=True)]


def summarise(
    chunks: Sequence[tuple[Readings, Tally]], energy: EnergyModel, usable: bool = True
) -> dict[str, np.ndarray]:
    """The metrics of one candidate from its chunks, per sample where that makes sense.

    Parameters
    ----------
    chunks
        Readings and tally of every chunk.
    energy
        The energy model.
    usable
        Whether the network's layers were finite.

    Returns
    -------
    dict of str to numpy.ndarray
        ``error`` (after T steps), ``loss`` (nats), ``etc_loss`` (that plus the consistency term of arXiv 2305.14174,
        weight 1, temperature 4), ``inconsistency`` (mean divergence between two steps, nats), ``accuracy`` (T,) after
        every step, ``latency`` (mean steps until the confidence exit) and ``exit_error`` (error at that exit),
        ``spikes`` (all layers), ``layer_spikes`` (L, T), ``acs``, ``macs``, ``synops`` (their sum), ``energy`` (nJ),
        ``silent`` (share of samples without a spike in the last layer), ``rate`` (spikes per neuron and step),
        ``cost`` (samples x steps run), and ``failure``, "" or why the output is unusable.
    """
    return Measured.of(chunks, usable).metrics(energy)


def metrics_of(
    readings: Readings,
    spikes: torch.Tensor,
    neurons: int,
    acs: float,
    macs: float,
    energy: EnergyModel,
    usable: bool = True,
) -> dict[str, np.ndarray]:
    """The metrics that `summarise` lists, from what was read and counted.

    Parameters
    ----------
    readings
        Of all samples.
    spikes
        (L, T) of each layer at each step, summed over samples.
    neurons
        Number of neurons of all layers.
    acs, macs
        Operations, summed over samples and steps.
    energy
        The energy model.
    usable
        Whether the network's layers were finite.
    """
    n, steps = readings.samples, len(readings.correct)
    spikes = spikes / n
    finite = usable and bool(np.isfinite(readings.loss))
    values = {
        "error": 1.0 - float(readings.correct[-1]) / n,
        "loss": readings.loss / n if finite else np.inf,
        "accuracy": (readings.correct / n).numpy(),
        "etc_loss": (readings.loss + ETC_WEIGHT * readings.consistency_loss) / n if finite else np.inf,
        "inconsistency": readings.inconsistency / n if finite else np.inf,
        "latency": readings.exit_steps / n,
        "exit_error": 1.0 - readings.exit_correct / n,
        "spikes": float(spikes.sum()),
        "layer_spikes": spikes.numpy(),
        "acs": acs / n,
        "macs": macs / n,
        "synops": (acs + macs) / n,
        "energy": energy.energy(acs, macs) / n,
        "silent": readings.silent / n,
        "rate": float(spikes.sum()) / (neurons * steps),
        "cost": float(n * steps),
        "failure": "" if finite else f"the network's {'output is' if usable else 'layers are'} not finite",
    }
    return {name: np.asarray(value) for name, value in values.items()}
