"""Prints what a generation of the DE family costs beside copying the population once, and its memory."""

import resource
import statistics
import time

import numpy as np
import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import RealVector, SearchSpace


def seconds(work, repeats):
    """Median over repeats."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def searcher(name, d, n, **overrides):
    """An algorithm past its initial population, and a function that makes and tells one generation."""
    space = SearchSpace([RealVector("w", d, -1.0, 1.0)])
    design = space.sample(n, torch.Generator().manual_seed(0)).mul_(0.3)
    task = Task(space, ("f",), 10**9, lambda k: design[:k])
    cls = registry.load("algorithm", name)
    algorithm = cls(task, resolve(cls.Parameters, {"population": n} | overrides, name), 0)
    rng = np.random.default_rng(0)

    def generation(improved=0.0):
        x = algorithm.ask()
        fitness = np.where(rng.random(len(x)) < improved, -time.perf_counter(), 1.0)
        objectives = torch.from_numpy(fitness)[:, None]
        algorithm.tell(x, Evaluations(objectives, torch.zeros(len(x), 0), {}, ("",) * len(x)))

    algorithm.tell(
        algorithm.ask(), Evaluations(torch.zeros(n, 1, dtype=torch.float64), torch.zeros(n, 0), {}, ("",) * n)
    )
    return algorithm, generation


CASES = [
    ("de", {}),
    ("de", {"cr": 0.5}),
    ("de", {"cr": 0.1}),
    ("de", {"cr": 1e-5}),
    ("de", {"cr": 1.0}),
    ("de", {"strategy": "current-to-pbest/1"}),
    ("jde", {}),
    ("jade", {}),
    ("shade", {"archive": 0.0}),
    ("sade", {}),
]


@pytest.mark.performance
@pytest.mark.parametrize(("d", "n"), [(28_000_000, 8), (20_000, 100)])
def test_generation_against_copy(d, n):
    source, target = torch.randn(n, d), torch.empty(n, d)
    print(f"\n{d:,} dimensions, {n} members, {torch.get_num_threads()} threads")
    repeats = 5 if d > 1_000_000 else 30
    for name, overrides in CASES:
        _, generation = searcher(name, d, n, **overrides)
        generation()
        copies, generations = [], []
        for _ in range(repeats):  # by turns, so that what else the machine does hits both
            copies.append(seconds(lambda: target.copy_(source), 3))
            generations.append(seconds(generation, 1))
        copy, whole = statistics.median(copies), statistics.median(generations)
        ratio = statistics.median(b / a for a, b in zip(copies, generations, strict=True))
        print(f"  {name} {overrides}: {whole * 1e3:.1f} ms, a copy {copy * 1e3:.1f} ms, ratio {ratio:.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / (4 * d * n)
    print(f"  peak of the process: {peak:.2f} populations, of which two and the design are this test's")


@pytest.mark.performance
def test_overhead_besides_arithmetic():
    """At 20,000 x 100: a whole generation, less its arithmetic alone (gathering, two passes, blending)."""
    d, n = 20_000, 100
    _, generation = searcher("de", d, n)
    population, out, weight = torch.randn(n, d), torch.empty(n, d), torch.ones(n, d)
    rows = [torch.randperm(n) for _ in range(3)]

    def arithmetic():
        for i in range(n):
            torch.sub(population[rows[0][i]], population[rows[1][i]], out=out[i])
            torch.add(population[rows[2][i]], out[i], alpha=0.5, out=out[i])
            torch.lerp(population[i], out[i], weight[i], out=out[i])

    whole, alone = seconds(generation, 50), seconds(arithmetic, 50)
    print(
        f"\na generation {whole * 1e3:.2f} ms, arithmetic alone {alone * 1e3:.2f} ms, {torch.get_num_threads()} threads"
    )
