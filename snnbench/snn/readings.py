"""What the logits of every step say about accuracy and latency.

The answer after t steps is the mean of the logits of the first t. Two rules make it safe for networks that hardly
spike: a tie for the largest logit is wrong, and a sample for which the last neurons never fire is wrong with
latency T, whatever a bias would answer for it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from snnbench.snn.temporal_consistency import ETC_TEMPERATURE, divergence


@dataclass
class Readings:
    """Sums over samples; `add` accumulates chunks.

    Attributes
    ----------
    samples : int
        Samples seen.
    correct : torch.Tensor
        (T,) samples classified correctly after t = 1..T steps, float64.
    loss : float
        Cross-entropy of the answer after T steps, nats.
    exit_steps : float
        Steps until the softmax of the answer so far first reaches the confidence, else T.
    exit_correct : float
        Samples classified correctly at that step.
    silent : float
        Samples for which the last neurons never fired.
    inconsistency : float
        Mean divergence between the answers of two steps (`snnbench.snn.temporal_consistency`), nats.
    consistency_loss : float
        The same at the temperature of the released code of ETC, as it enters the loss there.
    """

    samples: int
    correct: torch.Tensor
    loss: float
    exit_steps: float
    exit_correct: float
    silent: float
    inconsistency: float = 0.0
    consistency_loss: float = 0.0

    def add(self, other: "Readings") -> "Readings":
        """The sum of two disjoint sets of samples."""
        return Readings(
            self.samples + other.samples,
            self.correct + other.correct,
            self.loss + other.loss,
            self.exit_steps + other.exit_steps,
            self.exit_correct + other.exit_correct,
            self.silent + other.silent,
            self.inconsistency + other.inconsistency,
            self.consistency_loss + other.consistency_loss,
        )


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
    return Readings(
        samples,
        right.sum(dim=1, dtype=torch.float64).cpu(),
        float(loss.sum(dtype=torch.float64)),
        float((first + 1).sum(dtype=torch.float64)),
        float(right.gather(0, first[None]).sum(dtype=torch.float64)),
        float(silent.sum(dtype=torch.float64)),
        # Rounding may leave a trace below 0 where steps agree.
        float(divergence(logits, 1.0).clamp(min=0.0).sum(dtype=torch.float64)),
        float(divergence(logits, ETC_TEMPERATURE).clamp(min=0.0).sum(dtype=torch.float64)),
    )
