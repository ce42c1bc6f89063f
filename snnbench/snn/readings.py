"""What the logits of every step say about accuracy and latency.

The answer after t steps is the mean of the logits of the first t. Two rules make it safe for networks that hardly
spike: a tie for the largest logit is wrong, and a sample for which the last neurons never fire is wrong with
latency T, whatever a bias would answer for it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from snnbench.snn.temporal_consistency import ETC_TEMPERATURE, divergence

_SUMS = 6
"""Behind the samples that are right after 1..T steps, in the order of the properties of `Readings`."""


@dataclass(frozen=True)
class Readings:
    """Sums over samples; `add` accumulates chunks.

    They stay on the device that they were made on until one is asked for: a GPU that is asked for every number waits
    most of the time.

    Attributes
    ----------
    samples : int
        Samples seen.
    sums : torch.Tensor
        (T + 6,) float64: `correct`, and the other properties in their order.
    """

    samples: int
    sums: torch.Tensor

    @classmethod
    def of_nothing(cls, samples: int, steps: int) -> "Readings":
        """Of a network that answers nothing: all are wrong, silent and run to the end, and the loss is infinite."""
        behind = [float("inf"), samples * steps, 0.0, samples, 0.0, 0.0]
        return cls(samples, torch.tensor([0.0] * steps + behind, dtype=torch.float64))

    @property
    def correct(self) -> torch.Tensor:
        """(T,) samples classified correctly after t = 1..T steps, float64, on the CPU."""
        return self.sums[:-_SUMS].cpu()

    @property
    def loss(self) -> float:
        """Cross-entropy of the answer after T steps, nats."""
        return float(self.sums[-6])

    @property
    def exit_steps(self) -> float:
        """Steps until the softmax of the answer so far first reaches the confidence, else T."""
        return float(self.sums[-5])

    @property
    def exit_correct(self) -> float:
        """Samples classified correctly at that step."""
        return float(self.sums[-4])

    @property
    def silent(self) -> float:
        """Samples for which the last neurons never fired."""
        return float(self.sums[-3])

    @property
    def inconsistency(self) -> float:
        """Mean divergence between the answers of two steps (`snnbench.snn.temporal_consistency`), nats."""
        return float(self.sums[-2])

    @property
    def consistency_loss(self) -> float:
        """The same at the temperature of the released code of ETC, as it enters the loss there."""
        return float(self.sums[-1])

    def add(self, other: "Readings") -> "Readings":
        """The sum of two disjoint sets of samples."""
        return Readings(self.samples + other.samples, self.sums + other.sums)

    def cpu(self) -> "Readings":
        """The same on the CPU."""
        return Readings(self.samples, self.sums.cpu())


def read(logits: torch.Tensor, labels: torch.Tensor, silent: torch.Tensor, confidence: float) -> Readings:
    """Score the logits of one chunk of samples.

    Parameters
    ----------
    logits
        (T, N, K), one set per step.
    labels
        (N,) true classes.
    silent
        (N,) bool, whether the last neurons never fired for a sample.
    confidence
        Softmax probability in (0, 1] at which a sample's run may end early.

    Examples
    --------
    >>> logits = torch.tensor([[[0.0, 0.0]], [[3.0, 0.0]]])  # a tie after one step, class 0 after two
    >>> r = read(logits, torch.tensor([0]), torch.tensor([False]), confidence=0.8)
    >>> r.correct.tolist(), r.exit_steps
    ([0.0, 1.0], 2.0)
    """
    steps, samples, _ = logits.shape
    count = torch.arange(1, steps + 1, device=logits.device, dtype=logits.dtype)
    answers = logits.cumsum(dim=0) / count[:, None, None]
    index = labels.expand(steps, samples)[..., None]
    own = answers.gather(2, index)[..., 0]
    rivals = answers.scatter(2, index, float("-inf")).amax(dim=2)
    right = (own > rivals) & ~silent
    confident = F.softmax(answers, dim=2).amax(dim=2).ge(confidence)
    # The first step that is confident, else the last; argmax of bytes takes ten times as long.
    step = torch.arange(steps, device=logits.device)[:, None]
    first = torch.where(confident, step, steps - 1).amin(dim=0)
    first = torch.where(silent, steps - 1, first)
    loss = F.cross_entropy(answers[-1], labels, reduction="none")
    parts = (
        loss,
        first + 1,
        right.gather(0, first[None]),
        silent,
        # Rounding may leave a trace below 0 where steps agree.
        divergence(logits, 1.0).clamp(min=0.0),
        divergence(logits, ETC_TEMPERATURE).clamp(min=0.0),
    )
    sums = [part.sum(dtype=torch.float64) for part in parts]
    return Readings(samples, torch.cat([right.sum(dim=1, dtype=torch.float64), torch.stack(sums)]))
