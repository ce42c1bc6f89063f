"""What asking and telling take beside an evaluation; prints ratios and asserts no time.

`snnbench bench` measures evaluations themselves.

``pytest -m performance -s tests/performance``
"""

import statistics
import time

import pytest

from snnbench import registry
from snnbench.algorithm import Task
from snnbench.parameters import resolve
from snnbench.problem import Context
from snnbench.problems.sew import SEWDigits

pytestmark = pytest.mark.performance

ROUNDS = 7


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> SEWDigits:
    settings = resolve(SEWDigits.Parameters, {"source_epochs": 1, "epochs": 1}, "sew-digits")
    problem = SEWDigits(settings, context=Context(cache_dir=tmp_path_factory.mktemp("cache")))
    problem.prepare()
    return problem


WEIGHTS = (
    "de", "jde", "jade", "sade", "code", "shade", "lshade", "cade", "cade-released", "sep-cma-es", "openai-es", "pgpe",
    "pso", "ga", "random", "sobol",
)  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_share_of_ask_and_tell(digits, name):
    cls = registry.load("algorithm", name)
    task = Task(digits.space, ("error",), 1000, digits.initial)
    algorithm = cls(task, resolve(cls.Parameters, {}, name), 0)
    spent: dict[str, list[float]] = {"ask": [], "evaluate": [], "tell": []}
    for generation in range(ROUNDS + 1):
        clock = [time.perf_counter()]
        x = algorithm.ask()
        clock.append(time.perf_counter())
        digits.space.clip_(x)
        evaluations = digits.evaluate(x)
        clock.append(time.perf_counter())
        algorithm.tell(x, evaluations)
        clock.append(time.perf_counter())
        if generation:  # the first one is the initial design
            for stage, start, end in zip(spent, clock, clock[1:], strict=False):
                spent[stage].append((end - start) / len(x))
    ask, evaluate, tell = (1e3 * statistics.median(values) for values in spent.values())
    print(
        f"\n{name} on sew-digits, per candidate: ask {ask:.3f} ms, evaluation {evaluate:.1f} ms, tell {tell:.3f} ms; "
        f"ask + tell take {100 * (ask + tell) / evaluate:.2f} % of the evaluation"
    )
