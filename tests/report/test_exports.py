"""Exports, read back by the tools they are for."""

import json
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snnbench.cli import main

NAME = "<b>__import__('os').abort()</b>"
VARIABLES = [
    {"type": "Real", "name": "rate", "low": 0.01, "high": 1.0, "log": True},
    {"type": "Integer", "name": "steps", "low": 1, "high": 8},
    {"type": "Categorical", "name": "layer", "choices": ["conv", "pool"]},
    {"type": "RealVector", "name": "mix", "low": -1.0, "high": 1.0, "size": 2},
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two algorithms, one with a hostile name, on a constrained problem and one of two objectives; one run failed."""
    folder = tmp_path_factory.mktemp("exports") / "runs"
    for algorithm in ("de", NAME):
        for seed in (3, 7):
            directory = folder / "p" / str(len(algorithm)) / f"budget4-seed{seed}"
            _write(
                directory,
                "p",
                algorithm,
                seed,
                {"error": [np.inf, 0.5, 0.2, round(0.4 + seed / 100, 2)]},
                [1, 0, 1, -1],
            )
        _write(folder / "q" / str(len(algorithm)), "q", algorithm, 0, {"error": [0.5, 0.2], "energy": [3.0, 9.0]}, None)
    _write(folder / "failed", "p", "de", 9, {"error": [0.5]}, [0], status="failed")
    return folder


def _write(run, problem, algorithm, seed, objectives, constraint, status="complete"):
    run.mkdir(parents=True)
    n = len(next(iter(objectives.values())))
    columns = {"evaluation": range(n), **{f"objective.{name}": v for name, v in objectives.items()}}
    columns |= {"constraint.0": np.array(constraint, float)} if constraint else {}
    columns |= {"failure": ["diverged" if not np.isfinite(v) else "" for v in objectives["error"]]}
    columns |= {"x.rate": np.full(n, 0.1), "x.steps": [2] * n, "x.layer": ["pool"] * n, "x.mix": [[0.5, -0.5]] * n}
    pq.write_table(pa.table(columns), run / "evaluations.parquet")
    final = [{s: {name: v[-1] for name, v in objectives.items()} for s in ("search", "validation", "test")}]
    (run / "recommendation.json").write_text(json.dumps({"start": [], "final": final}))
    content = {
        "schema_version": 1, "status": status, "stop": "budget", "evaluations": n, "timings": {}, "sessions": 1,
        "plan": {"problem": problem, "algorithm": algorithm, "budget": n, "seed": seed},
        "problem": {"name": problem, "version": 1, "objectives": list(objectives), "dimension": 70_000,
                    "description": {"variables": VARIABLES}},
        "algorithm": {"name": algorithm}, "device": "cpu",
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(content))


def test_iohinspector_reads_what_was_recorded(runs, tmp_path, capsys):
    iohinspector = pytest.importorskip("iohinspector")
    assert main(["export", str(runs), "--to", "ioh", "--out", str(tmp_path / "ioh")]) == 0
    assert "6 runs, 20 evaluations" in capsys.readouterr().out.replace("\n", " ")
    manager = iohinspector.DataManager()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it warns of files that it cannot read
        manager.add_folder(str(tmp_path / "ioh"))
        data = manager.load(monotonic=False, include_meta_data=True).to_pandas()
    assert set(data["algorithm_name"]) == {"de", NAME}
    assert set(data["dimension"]) == {65_535}
    assert set(manager.overview["budget"]) == {4, 2}
    one = data[(data["algorithm_name"] == "de") & (data["function_name"] == "p")]
    values = one.sort_values(["run_id", "evaluations"])["raw_y"].to_numpy().reshape(2, 4)
    infeasible = np.inf
    assert values.tolist() == [[infeasible, 0.5, infeasible, 0.43], [infeasible, 0.5, infeasible, 0.47]]
    assert set(one["best_y"]) == {0.43, 0.47}
    [scenario] = [json.loads(p.read_text())["scenarios"][0] for p in (tmp_path / "ioh").glob("*-de/*f1_p.json")]
    assert [run["seed"] for run in scenario["runs"]] == [3, 7]


def test_optuna_loads_studies_trials_and_constraints(runs, tmp_path):
    optuna = pytest.importorskip("optuna")
    path = tmp_path / "journal.log"
    assert main(["export", str(runs), "--to", "optuna", "--out", str(path)]) == 0
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    assert sorted(optuna.get_all_study_names(storage)) == sorted(f"{p} / {a}" for p in "pq" for a in ("de", NAME))
    study = optuna.load_study(study_name="p / de", storage=storage)
    assert [t.values for t in study.trials] == [None, [0.5], [0.2], [0.43], None, [0.5], [0.2], [0.47]]
    assert [t.user_attrs["seed"] for t in study.trials] == [3] * 4 + [7] * 4
    assert study.trials[0].state == optuna.trial.TrialState.FAIL
    assert study.trials[0].user_attrs["failure"] == "diverged"
    assert study.best_value == 0.43  # 0.2 is infeasible
    assert study.best_params == {"rate": 0.1, "steps": 2, "layer": "pool", "mix[0]": 0.5, "mix[1]": -0.5}
    rate = study.trials[0].distributions["rate"]
    assert (rate.low, rate.high, rate.log) == (0.01, 1.0, True)
    assert study.user_attrs["version"] == 1
    several = optuna.load_study(study_name=f"q / {NAME}", storage=storage)
    assert several.metric_names == ["error", "energy"]
    assert len(several.best_trials) == 2


def test_csv_is_tidy(runs, tmp_path):
    out = tmp_path / "all.csv"
    assert main(["export", str(runs), "--to", "csv", "--out", str(out), "--where", "algorithm=de"]) == 0
    table = pd.read_csv(out)
    assert list(table["function_name"].unique()) == ["p", "q"]
    first = table[(table["function_name"] == "p") & (table["run_id"] == 3)]
    assert first["raw_y"].tolist() == [np.inf, 0.5, 0.2, 0.43]
    assert first["best_y"].tolist() == [np.inf, 0.5, 0.5, 0.43]
    assert first["feasible"].tolist() == [False, True, False, True]
    assert table["objective.energy"].dropna().tolist() == [3.0, 9.0]


def test_nothing_is_overwritten_and_nothing_is_left_half(runs, tmp_path, capsys):
    out = tmp_path / "all.csv"
    out.write_text("mine")
    assert main(["export", str(runs), "--to", "csv", "--out", str(out)]) == 2
    assert out.read_text() == "mine"
    assert main(["export", str(runs), "--to", "csv", "--out", str(tmp_path / "b.csv"), "--where", "problem=z"]) == 2
    assert "no complete run to export with problem=z" in capsys.readouterr().err
    broken = tmp_path / "broken"
    _write(broken / "run", "p", "de", 0, {"error": [0.5]}, None)
    (broken / "run" / "evaluations.parquet").write_bytes(b"PAR1")
    for kind in ("ioh", "optuna", "csv"):
        assert main(["export", str(broken), "--to", kind, "--out", str(tmp_path / kind)]) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.csv", "broken"]
