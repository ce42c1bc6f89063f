"""Compares our multi-objective algorithms with pymoo's own runs of the same, by hypervolume.

    python tests/algorithms/multiobjective/compare.py --algorithms nsga2 --budget 10000 --out nsga2.md

Both sides get the same population and the same number of evaluations; ours starts from uniform points and calculates
with candidates in float32, as in the benchmark, pymoo's runs are ``pymoo.optimize.minimize`` with pymoo's defaults.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import torch
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from scipy import stats

from snnbench import registry
from snnbench.algorithm import Algorithm, Task
from snnbench.evaluations import Evaluations
from snnbench.parameters import resolve
from snnbench.space import RealVector, SearchSpace

REFERENCE_POINTS = {
    "zdt1": (1.1, 1.1),
    "zdt2": (1.1, 1.1),
    "zdt3": (1.1, 1.1),
    "dtlz2": (1.1, 1.1, 1.1),
    "bnh": (150.0, 55.0),
    "srn": (250.0, 0.0),
    "osy": (0.0, 90.0),
}
CONSTRAINED = ("bnh", "srn", "osy")


def task(problem: Any, budget: int, start: torch.Tensor | None = None, dtype: torch.dtype = torch.float32) -> Task:
    """A pymoo problem as an algorithm sees it; `start` (n, d) is its initial design, none if omitted."""
    bounds = zip(problem.xl.tolist(), problem.xu.tolist(), strict=True)
    space = SearchSpace([RealVector(f"x{i}", 1, low, high) for i, (low, high) in enumerate(bounds)])
    design = torch.empty(0, problem.n_var) if start is None else start
    names = tuple(f"f{i + 1}" for i in range(problem.n_obj))
    return Task(space, names, budget, lambda n: design[:n].to(dtype), constraints=problem.n_ieq_constr, dtype=dtype)


def make(name: str, given: Task, seed: int = 0, **parameters: object) -> Algorithm:
    cls = registry.load("algorithm", name)
    algorithm: Algorithm = cls(given, resolve(cls.Parameters, parameters, name), seed)
    return algorithm


def measure(problem: Any, x: torch.Tensor) -> Evaluations:
    """What pymoo's problem makes of candidates (n, d)."""
    out = problem.evaluate(x.double().numpy(), return_as_dictionary=True)
    constraints = torch.tensor(out["G"]) if problem.n_ieq_constr else torch.zeros(len(x), 0, dtype=torch.float64)
    return Evaluations(torch.tensor(out["F"]), constraints, {}, ("",) * len(x))


def drive(algorithm: Algorithm, evaluate: Callable[[torch.Tensor], Evaluations], asks: int | None = None) -> np.ndarray:
    """Ask and tell until the budget is spent, or so many times; all candidates (n, d)."""
    left, points = algorithm.task.budget, []
    while left > 0 and asks != 0:
        x = algorithm.task.space.clip_(algorithm.ask())[:left]
        points.append(x.double().numpy().copy())
        algorithm.tell(x, evaluate(x))
        left -= len(x)
        asks = None if asks is None else asks - 1
    return np.concatenate(points)


def engine(name: str, population: int, objectives: int, **options: Any) -> Any:
    """A pymoo algorithm with pymoo's defaults, and as many members as ours has when asked for `population`."""
    from pymoo.algorithms.moo.moead import MOEAD
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.algorithms.moo.spea2 import SPEA2, SPEA2Survival
    from pymoo.util.ref_dirs import get_reference_directions
    from pymoo.util.reference_direction import get_partition_closest_to_points

    if name == "nsga2":
        return NSGA2(population, **options)
    if name == "spea2":
        return SPEA2(population, survival=SPEA2Survival(normalize=True), **options)
    partitions = get_partition_closest_to_points(population, objectives)
    directions = get_reference_directions("das-dennis", objectives, n_partitions=partitions)
    return {"nsga3": NSGA3, "moead": MOEAD}[name](directions, **options)


def hypervolume(values: np.ndarray, constraints: np.ndarray, point: tuple[float, ...]) -> float:
    """Of the feasible ones among points (n, m) with constraints (n, k), k possibly 0."""
    feasible = values[(constraints <= 0).all(axis=1)]
    return float(moocore.hypervolume(feasible, ref=point)) if len(feasible) else 0.0


def ours(name: str, problem_name: str, population: int, budget: int, seed: int) -> float:
    """Hypervolume of what our algorithm recommends."""
    problem = get_problem(problem_name)
    algorithm = make(name, task(problem, budget), seed, population=population)
    drive(algorithm, lambda x: measure(problem, x))
    found = algorithm.recommend()
    assert found is not None
    evaluations = measure(problem, found)
    point = REFERENCE_POINTS[problem_name]
    return hypervolume(evaluations.objectives.numpy(), evaluations.constraints.numpy(), point)


def theirs(name: str, problem_name: str, population: int, budget: int, seed: int) -> float:
    """Hypervolume of the final population of pymoo's own run."""
    problem = get_problem(problem_name)
    algorithm = engine(name, population, problem.n_obj)
    found = minimize(problem, algorithm, ("n_eval", budget), seed=1000 + seed).pop
    constraints = found.get("G") if problem.n_ieq_constr else np.zeros((len(found), 0))
    return hypervolume(found.get("F"), constraints, REFERENCE_POINTS[problem_name])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithms", default="nsga2,nsga3,spea2,moead")
    parser.add_argument("--problems", default=",".join(REFERENCE_POINTS))
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--results", type=Path, help="keep hypervolumes here (JSON) and do not repeat them")
    parser.add_argument("--out", type=Path, help="write the Markdown table here as well")
    o = parser.parse_args(argv)
    kept = json.loads(o.results.read_text()) if o.results and o.results.exists() else {}
    lines = ["| algorithm | problem | evaluations | ours | pymoo | p |", "| --- | --- | --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for name in o.algorithms.split(","):
        for problem in o.problems.split(","):
            if name == "moead" and problem in CONSTRAINED:
                continue
            began, sides = time.perf_counter(), []
            for who, run in (("ours", ours), ("theirs", theirs)):
                for seed in range(o.seeds):
                    key = f"{who} {name} {problem} {o.population} {o.budget} {seed}"
                    if key not in kept:
                        kept[key] = run(name, problem, o.population, o.budget, seed)
                        if o.results:
                            o.results.write_text(json.dumps(kept))
                    sides.append(kept[key])
            a, b = np.array(sides[: o.seeds]), np.array(sides[o.seeds :])
            p = stats.mannwhitneyu(a, b).pvalue
            cells = [name, problem, f"{o.budget:,}", *(f"{v.mean():.4g} ± {v.std(ddof=1):.2g}" for v in (a, b))]
            lines.append(f"| {' | '.join(cells)} | {p:.2g} |")
            print(lines[-1], f"<!-- {time.perf_counter() - began:.0f} s -->", flush=True)
    if o.out:
        o.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
