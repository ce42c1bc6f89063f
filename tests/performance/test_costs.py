"""Prints what preparing and evaluating each embedded problem costs: the figures in docs/problems.

Processor time, which a busy machine inflates less than time on the clock; all threads together.

``OMP_NUM_THREADS=1 pytest -n 0 -s -m performance tests/performance/test_costs.py``
"""

import resource
import statistics
import time

import pytest
import torch

from snnbench import registry
from snnbench.parameters import resolve
from snnbench.problem import Context

pytestmark = pytest.mark.performance

EMBEDDED = [name for name in registry.entries("problem") if "digits" in name or "events" in name.split("-")]
POINTS = 12


@pytest.mark.parametrize("name", EMBEDDED)
def test_cost(name, tmp_path):
    cls = registry.load("problem", name)
    problem = cls(resolve(cls.Parameters, {}, name), context=Context(cache_dir=tmp_path))
    clock = time.process_time()
    problem.prepare()
    prepared = time.process_time() - clock
    drawn = problem.space.sample(POINTS, torch.Generator().manual_seed(0))
    x = torch.cat([problem.initial(POINTS // 2).cpu(), drawn])[:POINTS]
    problem.evaluate(x[:2])  # compiles, and chooses how networks are run
    spent = []
    for row in x:
        clock = time.process_time()
        problem.evaluate(row[None])
        spent.append(time.process_time() - clock)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    median, most = statistics.median(spent), max(spent)
    print(f"\n{name}: prepared in {prepared:.1f} s, evaluated in {median:.4f} s (at most {most:.4f}); {memory:.0f} MiB")
