"""The multi-step leaky integrate-and-fire neuron, with every convention spelled out."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn

from snnbench.errors import UsageError
from snnbench.snn.surrogate import surrogate_gradient


@dataclass(frozen=True)
class NeuronConfig:
    """Convention and constants of the neuron.

    At every step t, with V_0 = 0::

        H_t = decay * V_{t-1} + input_scale * X_t
        S_t = 1 where H_t >= threshold (or >, see `at_threshold`)
        V_t = 0 where S_t            reset = "zero"
              H_t - threshold * S_t  reset = "subtract"
              H_t                    reset = "none"

    Equal, spike for spike, to

    * snntorch ``Leaky(beta, threshold, reset_mechanism, reset_delay=False)`` with ``decay=beta, input_scale=1,
      at_threshold=False`` (under subtraction as long as H <= 2 threshold: above, snntorch 1.0 subtracts again one
      step later, without a spike);
    * SpikingJelly ``LIFNode(tau, decay_input=False, v_reset=0)`` with ``decay=1-1/tau, input_scale=1``, and with
      ``decay_input=True`` with ``input_scale=1/tau``; ``v_reset=None`` is ``reset="subtract"``.

    Attributes
    ----------
    decay
        Share of the membrane potential kept per step, in [0, 1]; 1 is the integrate-and-fire neuron.
    input_scale
        Factor on the input.
    threshold
        Firing threshold, > 0.
    reset
        What a spike does to the membrane; the surrogate gradient does not flow through it.
    at_threshold
        Whether H = threshold fires.
    surrogate, steepness
        Surrogate gradient in training (`snnbench.snn.surrogate.surrogate`).
    """

    decay: float = 0.5
    input_scale: float = 1.0
    threshold: float = 1.0
    reset: Literal["zero", "subtract", "none"] = "zero"
    at_threshold: bool = True
    surrogate: str = "sigmoid"
    steepness: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.decay <= 1.0 or self.threshold <= 0.0:
            raise UsageError(f"neuron: needs 0 <= decay <= 1 and threshold > 0, got {self.decay}, {self.threshold}")
        if self.reset not in ("zero", "subtract", "none"):
            raise UsageError(f"neuron: reset must be zero, subtract or none, got {self.reset!r}")

    def describe(self) -> dict[str, Any]:
        """Plain data for the record."""
        return asdict(self)


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons over a whole sequence, with the surrogate's gradient in training."""

    def __init__(self, config: NeuronConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Input currents (T, N, ...) to spikes (T, N, ...). A constant input may be an expanded view."""
        if torch.is_grad_enabled() and x.requires_grad:
            spikes: torch.Tensor = _MultiStep.apply(x, self.config)
            return spikes
        return _run(x, self.config)


def _run(x: torch.Tensor, config: NeuronConfig, potentials: torch.Tensor | None = None) -> torch.Tensor:
    """Spikes (T, N, ...); also writes H of every step into `potentials` if given."""
    fires = torch.ge if config.at_threshold else torch.gt
    spikes = sequence_like(x)
    v = torch.zeros_like(spikes[0])
    for t, (current, s) in enumerate(zip(x, spikes, strict=True)):
        if config.input_scale != 1.0:
            current = current * config.input_scale
        h = v if potentials is None else potentials[t]
        torch.add(current, v, alpha=config.decay, out=h)
        fires(h, config.threshold, out=s)
        if config.reset == "zero":
            torch.addcmul(h, h, s, value=-1.0, out=v)
        else:
            torch.sub(h, s, alpha=config.threshold if config.reset == "subtract" else 0.0, out=v)
    return spikes


class _MultiStep(torch.autograd.Function):
    """Backpropagation through time in one node: the reset is detached, the spike has the surrogate's derivative.

    With G_t = dL/dS_t s'(H_t - threshold), the gradient of H_t is G_t + decay k_t dL/dH_{t+1}, where k_t is what
    the reset leaves of V: 1 - S_t for a reset to zero, else 1.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, config: NeuronConfig) -> torch.Tensor:
        potentials = sequence_like(x)
        spikes = _run(x, config, potentials)
        ctx.save_for_backward(potentials, spikes)
        ctx.config = config
        return spikes

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        potentials, spikes = ctx.saved_tensors
        c: NeuronConfig = ctx.config
        total = surrogate_gradient(c.surrogate, c.steepness)(potentials - c.threshold, gradient)
        kept = 1.0 - spikes if c.reset == "zero" else torch.ones_like(spikes)
        for t in range(len(total) - 2, -1, -1):
            total[t].addcmul_(total[t + 1], kept[t], value=c.decay)
        return total * c.input_scale if c.input_scale != 1.0 else total, None


def sequence_like(x: torch.Tensor) -> torch.Tensor:
    """An uninitialised dense (T, N, ...) tensor with the inner memory layout of x[0]."""
    first = x[0]
    if first.ndim == 4 and first.is_contiguous(memory_format=torch.channels_last) and not first.is_contiguous():
        flat = torch.empty(
            (x.shape[0] * first.shape[0], *first.shape[1:]),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last,
        )
        return flat.unflatten(0, (x.shape[0], first.shape[0]))
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)
