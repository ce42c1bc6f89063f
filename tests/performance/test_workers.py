"""How busy evaluation workers are when evaluation times differ tenfold: generation-wise and asynchronously.

``pytest -m performance -s tests/performance/test_workers.py``
"""

from pathlib import Path

import pytest

from snnbench.experiment.loop import run
from snnbench.experiment.plan import plans
from snnbench.experiment.record import open_run

TOYS = Path(__file__).parents[1] / "experiment" / "toys.py"


@pytest.mark.performance
def test_utilisation(tmp_path):
    """Half of the candidates take 0.05 s, half 0.5 s; two workers; 60 evaluations."""
    shared = {"budget": 60, "device": "cpu", "eval_workers": 2}
    settings = ["problem.sleep=0.05"]
    found = {}
    for asynchronous in (False, True):
        (plan,) = plans(
            ["random"], [f"{TOYS}:Uneven"], settings=[*settings, "batch=2"], asynchronous=asynchronous, **shared
        )
        result = run(plan, tmp_path)
        content = open_run(result.directory).content
        found[asynchronous] = content["workers"]["utilisation"], result.timings["search"]
        kind = "asynchronous" if asynchronous else "generation-wise, 2 candidates per generation"
        print(f"\n{kind}: workers busy {found[asynchronous][0]:.1%}, search {found[asynchronous][1]:.1f} s")
    assert all(0 < share <= 1 for share, _ in found.values())
