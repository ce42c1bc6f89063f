"""Prints how time grows with candidates, samples and steps, and memory with evaluations; asserts no time.

``OMP_NUM_THREADS=1 pytest -n 0 -s -m performance tests/performance/test_growth.py``
"""

import statistics
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from snnbench.bench.cases import CASES, SEWCase

pytestmark = pytest.mark.performance

SMALL = replace(CASES["sew-8x8"], samples=500, candidates=4)
ROUNDS = 5


def seconds(case: SEWCase) -> float:
    ways = case.make(torch.device("cpu")).ways
    way = ways.get(("lookup", "float32"), ways["convolution", "float32"])
    way()
    times = []
    for _ in range(ROUNDS):
        clock = time.perf_counter()
        way()
        times.append(time.perf_counter() - clock)
    return statistics.median(times)


@pytest.mark.parametrize(("what", "values"), [("candidates", (4, 16)), ("samples", (500, 2000)), ("steps", (4, 16))])
def test_time(what, values):
    times = [seconds(replace(SMALL, **{what: value})) for value in values]
    print(f"\n{what} x {values[1] / values[0]:.0f}: time x {times[1] / times[0]:.2f}")


@pytest.mark.parametrize("algorithm", ["de", "random", "cma-es"])
def test_memory(algorithm, tmp_path):
    """Of whole runs on a problem whose evaluations are read from a table."""
    peaks = {}
    for budget in (10_000, 100_000):
        command = [sys.executable, "-m", "snnbench", "run", "--algo", algorithm, "--problem", "snas-digits", "--budget"]
        command += [str(budget), "--out", str(tmp_path / f"{budget}"), "--device", "cpu"]
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        peaks[budget] = float(done.stdout) / 1024
    print(f"\n{algorithm}: " + ", ".join(f"{n:,} evaluations {peak:.0f} MiB" for n, peak in peaks.items()))


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
