"""What ranking a million recorded evaluations takes: 1,000 runs of 1,000, with records as wide as real ones."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

PROBLEMS, ALGORITHMS, SEEDS, BUDGET = 20, 5, 10, 1000
MEASURES = ("test", "search", "anytime", "ecdf")
MAIN = "import sys; from snnbench.cli import main; sys.exit(main())"
SPLITS = ("search", "validation", "test")
SETS = ("hypervolume", "igd+")


def write(folder, objectives):
    """Run directories; every file is as large as those of a soup-digits run."""
    rng = np.random.default_rng(0)
    lists = {name: pa.array(list(rng.random((BUDGET, size)))) for name, size in (("accuracy", 4), ("layer_spikes", 36))}
    others = {f"metric{i}": rng.random(BUDGET) for i in range(15)}
    padding = {"checkpoints": [{"file": "x" * 80, "sha256": "y" * 64}] * 60}
    for p, a, seed in np.ndindex(PROBLEMS, ALGORITHMS, SEEDS):
        run = folder / f"p{p}" / f"a{a}" / f"budget{BUDGET}-seed{seed}"
        run.mkdir(parents=True)
        values = {f"objective.{name}": (0.05 * a + rng.random(BUDGET)) / 2 for name in objectives}
        final = [
            {split: {n: float(rng.random()) for n in objectives} | {"spikes": [1.0] * 150} for split in SPLITS}
            | {"evaluation": i}
            for i in range(8 if len(objectives) > 1 else 1)
        ]
        content = {
            "schema_version": 1, "status": "complete", "stop": "budget", "evaluations": BUDGET, "sessions": 1,
            "plan": {"problem": f"p{p}", "algorithm": f"a{a}", "budget": BUDGET, "seed": int(seed)},
            "problem": {"name": f"p{p}", "version": 1, "objectives": objectives, "dimension": 80,
                        "reference_points": {name: [0.0, 1.0] for name in objectives}, "description": padding},
            "algorithm": {"name": f"a{a}", "reference": False}, "device": "cpu", "timings": {"search": 1.0},
        }  # fmt: skip
        (run / "run.json").write_text(json.dumps(content))
        (run / "recommendation.json").write_text(json.dumps({"start": final, "final": final}))
        pq.write_table(
            pa.table({"evaluation": np.arange(BUDGET), **values, **others, **lists}), run / "evaluations.parquet"
        )


@pytest.mark.performance
@pytest.mark.parametrize("objectives", [["error"], ["error", "energy"]])
def test_ranking(tmp_path, objectives):
    write(tmp_path, objectives)
    measures = MEASURES if len(objectives) == 1 else (*MEASURES, *SETS)
    for options in [*(["--measure", m] for m in measures), ["--targets"], ["--equivalence", "0.01"]]:
        start = time.perf_counter()
        command = [sys.executable, "-c", MAIN, "rank", str(tmp_path), *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
        _, code, used = os.wait4(process.pid, 0)
        assert code == 0
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        processor = used.ru_utime + used.ru_stime
        print(f"{len(objectives)} objectives {' '.join(options):25s} {time.perf_counter() - start:6.1f} s, "
              f"{processor:6.1f} s of processor, {peak / 1e6:5.0f} MB")  # fmt: skip
