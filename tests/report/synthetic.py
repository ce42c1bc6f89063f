"""Run directories as the engine would leave them, without running anything; also a command, to look at plots.

python tests/report/synthetic.py FOLDER --algorithms 30 --problems 10 --seeds 10
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from snnbench.experiment.plan import RunPlan


def write_runs(folder, algorithms=3, problems=2, seeds=4, budget=60, objectives=("error",), noise=0.02, names=None):
    """Write a matrix of complete runs: the first algorithms are better; the second and later ones are of the DE kind.

    Algorithm i ends at about 0.1 + 0.3 i / k on every problem, with the given noise between seeds, in a scale that
    differs between problems. Several objectives trade off along a front.
    """
    names = names or [f"algo-{i:02}" for i in range(algorithms)]
    for p in range(problems):
        for i, name in enumerate(names):
            for seed in range(seeds):
                rng = np.random.default_rng([p, i, seed])
                final = 0.1 + 0.3 * i / len(names) + noise * rng.standard_normal()
                final *= 1.0 + 0.2 * np.sin(3.0 * i + p)
                write_run(folder, f"problem-{p}", name, seed, budget, objectives, abs(final), rng, de=i > 0)
    return folder


def write_run(folder, problem, name, seed, budget, objectives, final, rng, de=False, status="complete"):
    plan = RunPlan(problem=problem, algorithm="random", budget=budget, seed=seed, objectives=(), device="cpu")
    directory = Path(folder) / problem / name.replace("/", "-").replace("\n", "-") / f"budget{budget}-seed{seed}"
    directory.mkdir(parents=True)
    content = {
        "schema_version": 1,
        "status": status,
        "stop": "budget" if status == "complete" else "algorithm error",
        "error": None if status == "complete" else "ValueError: no",
        "evaluations": budget,
        "plan": plan.to_dict(),
        "problem": {
            "name": problem,
            "version": 1,
            "standard": True,
            "objectives": list(objectives),
            "reference_points": {"error": [0.0, 1.0], "energy": [0.0, 100.0], "latency": [1.0, 4.0]},
            "description": {"official": True},
        },
        "algorithm": {"name": name, "reference": False},
        "device": "cpu",
        "environment": {},
        "sessions": [],
        "timings": {"search": 1.0},
    }
    (directory / "run.json").write_text(json.dumps(content), encoding="utf-8")
    pq.write_table(_evaluations(budget, objectives, final, rng, de), directory / "evaluations.parquet")
    points = [_point(final, share) for share in (np.linspace(0.0, 1.0, 6) if len(objectives) > 1 else [0.5])]
    found = {"schema_version": 1, "objectives": list(objectives), "start": [_point(0.9, 0.5)], "final": points}
    (directory / "recommendation.json").write_text(json.dumps(found), encoding="utf-8")
    return directory


def _evaluations(budget, objectives, final, rng, de):
    progress = 1.0 - np.arange(budget) / max(1, budget - 1)
    error = final + 0.5 * progress**2 + 0.1 * rng.random(budget)
    error[-1] = final
    columns = {"evaluation": np.arange(budget), "generation": np.arange(budget) // 10}
    share = rng.random(budget)
    values = {"error": error * (1 + share), "energy": 90.0 * error * (2 - share), "latency": 1 + 3 * share}
    for name in objectives:
        columns[f"objective.{name}"] = error if len(objectives) == 1 and name == "error" else values[name]
    columns["error"] = error
    columns["spikes"] = 400.0 + 2000.0 * error * share
    columns["energy"] = values["energy"]
    if de:
        factor = 0.5 + 0.4 * np.cos(np.arange(budget) / 9.0) * progress + 0.05 * rng.standard_normal(budget)
        rate = 0.5 + 0.3 * (1 - progress) + 0.05 * rng.standard_normal(budget)
        factor[:10] = rate[:10] = np.nan
        columns["algorithm.F"], columns["algorithm.CR"] = factor, rate
    return pa.table(columns)


def _point(error, share):
    values = {
        "error": float(error * (0.7 + share)),
        "energy": float(90.0 * error * (1.5 - share)),
        "latency": float(1 + 3 * (1 - share) * min(1.0, error * 2)),
        "spikes": float(300.0 + 1500.0 * (1 - share) * error),
        "accuracy": [0.5, float(1 - error)],
    }
    if share == 0.5:
        values["error"] = float(error)
    return {"source": "search", "evaluation": 0, "digest": 1} | dict.fromkeys(("search", "validation", "test"), values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for option, default in (("algorithms", 3), ("problems", 2), ("seeds", 4), ("budget", 60)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--objectives", default="error")
    parser.add_argument("--noise", type=float, default=0.02)
    args = vars(parser.parse_args())
    args["objectives"] = tuple(args["objectives"].split(","))
    write_runs(**args)
