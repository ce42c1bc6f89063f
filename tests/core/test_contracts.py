"""What `Problem` and `Algorithm` do for those who implement them."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from snnbench.algorithm import Algorithm, Capabilities, Task
from snnbench.errors import UsageError
from snnbench.evaluations import Evaluations
from snnbench.problem import Context, Estimate, Objective, Problem
from snnbench.space import Real, SearchSpace


class Fixed(Problem):
    """Returns the metrics it is given."""

    name = "fixed"
    version = 1
    objectives: ClassVar = {"error": Objective("e"), "energy": Objective("e", "nJ")}
    metrics: ClassVar[dict[str, np.ndarray]] = {}

    space = SearchSpace([Real("a", 0, 1)])  # type: ignore[assignment]
    dimension = 1

    def prepare(self):
        pass

    def initial(self, n):
        return torch.zeros(0, 1)

    def measure(self, x, split):
        return {name: value.copy() for name, value in self.metrics.items()}

    def describe(self):
        return {}

    def reference_points(self):
        return {}

    def estimate(self):
        return Estimate(0, 0, 0, 1)


def evaluate(objectives=("error",), **metrics) -> Evaluations:
    problem = Fixed(objectives=objectives)
    problem.metrics = metrics  # type: ignore[misc]
    return problem.evaluate(torch.zeros(len(next(iter(metrics.values()))), 1))


def test_a_candidate_without_a_finite_value_is_infinite_with_a_reason():
    result = evaluate(
        ("error", "energy"),
        error=np.array([0.5, np.nan, 0.25, 0.125]),
        energy=np.array([1.0, 2.0, -np.inf, np.inf]),
        failure=np.array(["", "", "", "the network melted"]),
    )
    assert result.objectives.tolist() == [[0.5, 1.0]] + [[np.inf, np.inf]] * 3
    assert result.failures == ("", "not finite: error", "not finite: energy", "the network melted")
    assert result.objectives.dtype == torch.float64
    assert len(result) == 4


def test_a_declared_failure_is_infinite_even_where_the_number_is_not():
    result = evaluate(error=np.array([0.5, 0.1]), failure=np.array(["", "out of memory"]))
    assert result.fitness.tolist() == [0.5, np.inf]


def test_no_metric_keeps_nan():
    result = evaluate(
        error=np.array([0.5, 0.5]),
        accuracy=np.array([[np.nan, 0.1], [0.2, np.inf]], np.float32),
        rate=np.array([-np.inf, 0.0]),
        count=np.array([1, 2]),
        energy=np.array([np.nan, 1.0]),
    )
    assert result.failures == ("", "")
    assert not any(np.isnan(v).any() for v in result.metrics.values() if v.dtype.kind == "f")
    assert result.metrics["count"].tolist() == [1, 2]
    assert result.metrics["accuracy"][1, 0] == np.float32(0.2)


def test_constraints_are_picked_out_and_hold_no_nan():
    result = evaluate(error=np.array([0.5, 0.5]), constraints=np.array([[np.nan, -1.0], [0.0, 2.0]]))
    assert result.constraints.tolist() == [[np.inf, -1.0], [0.0, 2.0]]
    assert "constraints" not in result.metrics
    assert evaluate(error=np.array([0.5])).constraints.shape == (1, 0)


def test_objectives_are_checked():
    with pytest.raises(UsageError, match=r"unknown objective of fixed 'eror'; did you mean error\?"):
        Fixed(objectives=("eror",))
    with pytest.raises(UsageError, match="twice"):
        Fixed(objectives=("error", "error"))
    assert Fixed().selected == ("error",)
    assert Fixed(context=Context()).standard


def test_objectives_keep_the_order_they_were_asked_in():
    result = evaluate(("energy", "error"), error=np.array([0.5]), energy=np.array([7.0]))
    assert result.objectives.tolist() == [[7.0, 0.5]]
    assert result.fitness.tolist() == [7.0]


@pytest.mark.parametrize(
    ("capabilities", "shape", "words"),
    [
        (Capabilities(), (5, 1), None),
        (Capabilities(), (5, 2), "handles 1 objective, not 2"),
        (Capabilities(objectives=2), (5, 3), "handles 2 objectives, not 3"),
        (Capabilities(objectives=None), (5, 9), None),
        (Capabilities(), (5, 1, 1), "does not handle constraints"),
        (Capabilities(constraints=True), (5, 1, 1), None),
        (Capabilities(max_dimension=1000), (20_000, 1), "is limited to 1,000 dimensions, the problem has 20,000"),
        (Capabilities(min_dimension=2), (1, 1), "needs at least 2 dimensions, the problem has 1"),
    ],
)
def test_capabilities_name_the_obstacle(capabilities, shape, words):
    assert capabilities.obstacle(*shape) == words


class Drift(Algorithm):
    state = ("mean", "steps")

    def __init__(self, task, parameters=None, seed=0):
        super().__init__(task, parameters, seed)
        self.mean, self.steps = torch.zeros(1, 1), 0

    def ask(self):
        return (self.mean + torch.rand(2, 1, generator=self.generator)) / 2

    def tell(self, x, evaluations):
        self.mean, self.steps = x[evaluations.fitness.argmin()][None].clone(), self.steps + 1


def test_an_algorithm_continues_exactly_from_its_state(tmp_path):
    task = Task(Fixed.space, ("error",), 100, lambda n: torch.zeros(0, 1))

    def go(algorithm: Algorithm, steps: int) -> list[torch.Tensor]:
        seen = []
        for _ in range(steps):
            x = algorithm.ask()
            seen.append(x)
            algorithm.tell(x, Evaluations(x.double(), torch.zeros(2, 0), {}, ("", "")))
        return seen

    straight = go(Drift(task, seed=3), 6)
    first = Drift(task, seed=3)
    go(first, 4)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second = Drift(task, seed=9)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert second.steps == 4
    assert all(torch.equal(a, b) for a, b in zip(go(second, 2), straight[4:], strict=True))
    assert not torch.equal(go(Drift(task, seed=4), 1)[0], straight[0])
    assert second.recommend() is None
    assert second.annotations() == {}
