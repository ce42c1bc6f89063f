"""Integrate-and-fire neurons of many candidates at once, each with a threshold and a leak of its own."""

import torch


def fire(
    x: torch.Tensor,
    v: torch.Tensor,
    threshold: torch.Tensor,
    decay: torch.Tensor,
    out: torch.Tensor,
    fresh: bool = True,
    leaky: bool = True,
) -> torch.Tensor:
    """Integrate-and-fire with soft reset: H = decay V + x, a spike where H >= threshold, V = H - threshold S.

    Parameters
    ----------
    x
        (T, n, M) currents.
    v
        (n, M) potentials, where those of the last step are left.
    threshold, decay
        (n, 1), one per candidate.
    out
        (T, n, M), where the spikes are written; may be ``x``.
    fresh
        Whether this is where the run begins: then the potentials are 0, whatever ``v`` holds.
    leaky
        Whether any potential decays; a GPU is not asked for that at every step.

    Returns
    -------
    torch.Tensor
        ``out``.
    """
    for current, s in zip(x, out, strict=True):
        if fresh:
            v.copy_(current)
            fresh = False
        else:
            if leaky:
                v.mul_(decay)
            v.add_(current)
        torch.ge(v, threshold, out=s)
        v.addcmul_(s, threshold, value=-1.0)
    return out
