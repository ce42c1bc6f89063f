"""Counting spikes and synaptic operations while a network runs.

Counted is what NeuroBench's ``SynapticOperations`` counts (Yik et al. 2025, Nature Communications 16:1545):
non-zero input times non-zero weight; bias, padding, normalisation and pooling left out. An operation is an
accumulate (AC) where the input is one spike, +-1, and a multiply-accumulate (MAC) elsewhere. The decision is made
per input element, so it does not depend on the batch; on binary inputs it is NeuroBench's.

What arrives at a connection is first summed over samples and steps into a map, (C, H, W) or (F,); operations are
then a product of that map with the number of non-zero weights behind every input, exact and independent of the
size of the data.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class _Arrivals:
    """Per input element of one connection: how many samples and steps brought a one, and how many another value."""

    ones: torch.Tensor | None = None
    others: torch.Tensor | None = None

    def include(self, ones: torch.Tensor | None, others: torch.Tensor | None) -> None:
        """Add maps."""
        self.ones, self.others = _add(self.ones, ones), _add(self.others, others)


@dataclass
class Tally:
    """Accumulates over chunks of samples what one candidate's network did.

    Attributes
    ----------
    silent : torch.Tensor
        (N,) bool of the last chunk: whether the last neurons never fired for a sample.
    spikes : dict of str to torch.Tensor
        Neuron layer to (T,) spikes, float64, summed over samples and neurons.
    neurons : dict of str to int
        Neuron layer to number of neurons.
    """

    silent: torch.Tensor | None = None
    spikes: dict[str, torch.Tensor] = field(default_factory=dict)
    neurons: dict[str, int] = field(default_factory=dict)
    _counted: tuple[float, float] = (0.0, 0.0)
    _maps: dict[str, _Arrivals] = field(default_factory=dict)
    _arrivals: dict[nn.Module, _Arrivals] = field(default_factory=dict)

    def layer(self, name: str, spikes: torch.Tensor) -> None:
        """Record the binary output (T, N, ...) of a neuron layer."""
        per_step = _sum_rows(spikes)  # (T, ...), exact in float32 up to 2^24 samples
        count = per_step.flatten(1).sum(dim=1, dtype=torch.float64)
        self.fired(name, count, per_step[0].numel())
        self._maps[name] = _Arrivals(per_step.sum(dim=0))

    def connection(self, module: nn.Module, x: torch.Tensor, source: str = "", analog: bool = False) -> None:
        """Record the input (N', ...) of a convolution or linear layer.

        Parameters
        ----------
        module
            The ``nn.Conv2d`` or ``nn.Linear``.
        x
            Its input, time folded into the batch.
        source
            The `layer` or `counts` whose unaltered output x is: its map is reused and x not read.
        analog
            Whether every operation is a MAC, whatever the value (pixels, pooled spikes).
        """
        if source:
            arrivals = self._maps[source]
        elif analog:
            arrivals = _Arrivals(None, _sum_rows(torch.ne(x, 0.0, out=torch.empty_like(x))))
        else:
            size = x.abs()
            ones = _sum_rows(torch.eq(size, 1.0, out=torch.empty_like(size)))
            arrivals = _Arrivals(ones, _sum_rows(torch.gt(size, 0.0, out=size)).sub_(ones))
        self.arrived(module, arrivals.ones, arrivals.others)

    def arrived(self, module: nn.Module, ones: torch.Tensor | None, others: torch.Tensor | None) -> None:
        """Record what arrived at a connection as maps (C, H, W) or (F,), counted elsewhere."""
        self._arrivals.setdefault(module, _Arrivals()).include(ones, others)

    def operated(self, acs: float, macs: float) -> None:
        """Record operations that were counted elsewhere, of connections that are not recorded otherwise."""
        self._counted = (self._counted[0] + acs, self._counted[1] + macs)

    def fired(self, name: str, spikes: torch.Tensor, neurons: int) -> None:
        """Record the spikes (T,) of a neuron layer, counted elsewhere."""
        self.spikes[name] = self.spikes[name] + spikes if name in self.spikes else spikes
        self.neurons[name] = neurons

    def counts(self, name: str, x: torch.Tensor) -> None:
        """Record sums of spikes (T, N, ...), whole numbers >= 0, that connections will name as their source."""
        flat = x.flatten(0, 1)
        found = torch.empty_like(flat)
        ones = _sum_rows(torch.eq(flat, 1.0, out=found))
        self._maps[name] = _Arrivals(ones, _sum_rows(torch.gt(flat, 1.0, out=found)))

    def add(self, other: "Tally") -> None:
        """Take in what another tally counted for the same network on other samples."""
        for name, spikes in other.spikes.items():
            self.spikes[name] = self.spikes[name] + spikes if name in self.spikes else spikes
        self.neurons |= other.neurons
        for module, arrivals in other._arrivals.items():
            self.arrived(module, arrivals.ones, arrivals.others)
        self.operated(*other._counted)

    def operations(self) -> tuple[float, float]:
        """Effective ACs and MACs, summed over samples and steps."""
        acs, macs = self.totals().tolist()
        return acs, macs

    def totals(self, device: torch.device | str = "cpu") -> torch.Tensor:
        """The same as (2,) float64 on a device, without a copy to the CPU."""
        found = [torch.full((), count, dtype=torch.float64, device=device) for count in self._counted]
        for module, seen in self._arrivals.items():
            fan_out = _fan_out(module)
            for kind, arrivals in enumerate((seen.ones, seen.others)):
                if arrivals is not None:
                    found[kind] = found[kind] + _operations(module, arrivals, fan_out).to(device)
        return torch.stack(found)


def dense_operations(network: nn.Module, image: torch.Tensor, steps: int) -> float:
    """Synaptic operations per sample if every input of every connection were non-zero at every step.

    Parameters
    ----------
    network
        Maps images (1, C, H, W) to logits, through convolutions and linear layers that run as modules (not folded).
    image
        (1, C, H, W).
    steps
        T; an upper bound also for a stem that runs once.
    """
    total = 0.0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal total
        ones = torch.ones(inputs[0].shape[1:] if isinstance(module, nn.Conv2d) else inputs[0].shape[-1:])
        every = torch.full_like(_fan_out(module), len(module.weight))  # type: ignore[arg-type]
        total += steps * float(_operations(module, ones.double(), every))

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_pre_hook(count) for layer in layers]
    training = network.training
    network.eval()  # one image is too little for batch statistics, and none may change
    try:
        with torch.no_grad():
            network(image)
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return total


def _sum_rows(x: torch.Tensor) -> torch.Tensor:
    """Sum (n, C, H, W) or (n, F) over n, or (T, n, ...) per step, reading memory in its own order.

    That is 5 to 15 times faster for channels-last tensors. For the same reason comparisons above write floats: sums
    of booleans are slow.
    """
    lead = x.ndim - (3 if x.ndim > 3 else 1)
    images = x.ndim > 3 and x.stride(-3) == 1
    if images:
        x = x.movedim(-3, -1)
    shape = x.shape
    total = x.reshape(*shape[:lead], -1).sum(dim=lead - 1).view(*shape[: lead - 1], *shape[lead:])
    return total.movedim(-1, -3) if images else total


def _add(total: torch.Tensor | None, part: torch.Tensor | None) -> torch.Tensor | None:
    if part is None:
        return total
    return part.double() if total is None else total + part


def _fan_out(module: nn.Module) -> torch.Tensor:
    """Non-zero weights behind each input channel and tap: (C * k * k,) of a convolution, (F,) of a linear layer."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return (weight != 0).sum(dim=0).flatten().double()


def _operations(module: nn.Module, arrivals: torch.Tensor, fan_out: torch.Tensor) -> torch.Tensor:
    if isinstance(module, nn.Conv2d):
        arrivals = _behind_taps(module, arrivals)
    return arrivals @ fan_out


def _behind_taps(module: nn.Conv2d, arrivals: torch.Tensor) -> torch.Tensor:
    """(C * k * k,) How much of a map (C, H, W) each tap of the kernel meets, over all places of the output."""
    (up, left), (down, right) = module.kernel_size, module.stride
    dilation = module.dilation
    assert not isinstance(module.padding, str)
    vertical, horizontal = module.padding
    if dilation != (1, 1):
        return F.unfold(arrivals[None], (up, left), dilation, (vertical, horizontal), (down, right))[0].sum(dim=1)
    padded = F.pad(arrivals, (horizontal, horizontal, vertical, vertical))
    # A view: F.unfold wakes all cores for maps of any size, which took ten times as long as the sums.
    return padded.unfold(1, up, down).unfold(2, left, right).sum(dim=(1, 2)).flatten()
