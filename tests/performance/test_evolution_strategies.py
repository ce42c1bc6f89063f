"""What a generation of the evolution strategies and of PSO costs besides evaluation; prints, and asserts no time.

``pytest -m performance -s tests/performance/test_evolution_strategies.py``
"""

import statistics
import time
from collections.abc import Callable

import pytest
import torch

from snnbench import registry
from snnbench.algorithm import Algorithm, Evaluations, Task
from snnbench.parameters import resolve
from snnbench.space import RealVector, SearchSpace

pytestmark = pytest.mark.performance

SHAPES = [(28_000_000, 8, 2), (20_000, 100, 15)]


def told(n: int) -> Evaluations:
    fitness = torch.arange(n, dtype=torch.float64)[:, None]
    return Evaluations(fitness, torch.zeros(n, 0, dtype=torch.float64), {}, ("",) * n)


def seconds(job: Callable[[], object]) -> float:
    """CPU time of all threads together: what others on the machine do hardly matters."""
    start = time.process_time()
    job()
    return time.process_time() - start


def generation(algorithm: Algorithm) -> None:
    x = algorithm.ask()
    algorithm.tell(x, told(len(x)))


def peak(job: Callable[[], object]) -> int:
    """Largest number of bytes that tensors allocated while the job ran held together."""
    with torch.profiler.profile(profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        job()
    level = highest = 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            level += event.nbytes()
            highest = max(highest, level)
    return highest


@pytest.mark.parametrize("name", ["openai-es", "pgpe", "pso"])
@pytest.mark.parametrize(("dimension", "size", "rounds"), SHAPES)
def test_generation(name, dimension, size, rounds):
    space = SearchSpace([RealVector("w", dimension, -1.0, 1.0)])

    def initial(n: int) -> torch.Tensor:
        return space.sample(min(n, 2), torch.Generator().manual_seed(0)).mul_(0.1)

    cls = registry.load("algorithm", name)
    algorithm = cls(Task(space, ("f",), 10**6, initial), resolve(cls.Parameters, {"population": size}, name), 0)
    highest = peak(lambda: [generation(algorithm) for _ in range(2)])
    population = torch.zeros(size, dimension)
    other = torch.empty_like(population)
    copies, times = [], []
    for _ in range(rounds):  # in turns, so that a busy moment hits both alike
        copies.append(seconds(lambda: other.copy_(population)))
        times.append(seconds(lambda: generation(algorithm)))
    copy, ours = statistics.median(copies), statistics.median(times)
    print(
        f"\n{name}, {dimension:,} x {size}, {torch.get_num_threads()} threads: "
        f"{1e3 * ours:.1f} ms of CPU a generation, "
        f"{ours / copy:.1f} copies of the population ({1e3 * copy:.1f} ms); "
        f"peak of the first generations {highest / population.nbytes:.2f} populations"
    )
    assert highest < 4.5 * population.nbytes
