"""Prints what less than float32 changes on `sew-digits`: the table in docs/problems/sew.md.

``pytest -n 0 -s -m performance tests/performance/test_precision.py``
"""

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from snnbench.problem import Context
from snnbench.problems.sew import SEWDigits
from snnbench.problems.sew_parameters import SEWParameters
from snnbench.snn.precision import PRECISIONS


def candidates(problem):
    """The members, and 56 trials of differential evolution made of them (F = 0.5, CR = 0.5)."""
    members, generator = problem.initial(8), torch.Generator().manual_seed(0)
    trials = []
    for _ in range(56):
        a, b, c = torch.randperm(8, generator=generator)[:3]
        crossed = torch.rand(members.shape[1], generator=generator) < 0.5
        trials.append(torch.where(crossed, members[a] + 0.5 * (members[b] - members[c]), members[a]))
    return torch.cat([members, torch.stack(trials)])


@pytest.mark.performance
def test_what_precision_changes():
    predictions, metrics = {}, {}
    for precision in PRECISIONS:
        problem = SEWDigits(SEWParameters(precision=precision), context=Context())
        problem.prepare()
        x, images = candidates(problem), problem._samples["search"][0]
        pairs = (problem._evaluator.answers(x[i : i + 2], images) for i in range(0, len(x), 2))
        predictions[precision] = torch.stack([found[0].mean(dim=0).argmax(dim=1) for pair in pairs for found in pair])
        metrics[precision] = problem.measure(x, "search")
    full = metrics["float32"]
    for precision in PRECISIONS[1:]:
        changed = 100 * float((predictions[precision] != predictions["float32"]).float().mean())
        found = metrics[precision]
        moved = 100 * np.abs(found["error"] - full["error"]).mean()
        taus = ", ".join(f"{k} {kendalltau(full[k], found[k]).statistic:.3f}" for k in ("error", "loss", "energy"))
        print(
            f"\n{precision}: {changed:.1f} % of predictions changed; error {100 * full['error'].mean():.2f} % -> "
            f"{100 * found['error'].mean():.2f} %, moved by {moved:.2f} points on average; Kendall's tau: {taus}"
        )
