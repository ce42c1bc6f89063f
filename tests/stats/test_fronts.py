"""Several objectives: hypervolume, IGD+ and attainment against their definitions."""

import json

import numpy as np
import pytest

from snnbench.cli import main
from snnbench.errors import UsageError
from snnbench.stats.attainment import attainment_surfaces
from snnbench.stats.fronts import fronts, hypervolumes, igd_plus
from snnbench.stats.ranking import rank
from snnbench.stats.results import load_results

NAMES = ("error", "energy")


@pytest.fixture
def runs(recorded):
    rng = np.random.default_rng(2)
    for seed in range(4):
        recorded(seed=seed, objectives=NAMES, values=np.ones((3, 2)), final=rng.random((5, 2)) * 100, ends=(0, 100))
    recorded(seed=4, objectives=NAMES, values=np.ones((3, 2)), status="failed", ends=(0, 100))
    return load_results(recorded.folder)


def test_hypervolume_and_igd_plus_by_their_definitions(runs):
    sets = fronts(runs)
    grid = (np.arange(400) + 0.5) / 400
    boxes = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    union = np.concatenate(sets)
    reference = np.array([p for p in union if not ((union <= p).all(axis=1) & (union < p).any(axis=1)).any()])
    for points, volume, distance in zip(sets[:4], hypervolumes(runs), igd_plus(runs), strict=False):
        dominated = (points[None] <= boxes[:, None]).all(axis=-1).any(axis=1)
        assert volume == pytest.approx(1 - dominated.mean(), abs=0.01)
        excess = np.linalg.norm(np.maximum(points[None] - reference[:, None], 0), axis=-1)
        assert distance == pytest.approx(excess.min(axis=1).mean())
    assert hypervolumes(runs)[4] == igd_plus(runs)[4] == np.inf


@pytest.mark.parametrize("k", [1, 2, 4])
def test_attainment_surfaces_by_counting(runs, k):
    surface = attainment_surfaces(runs, (k,))[k]
    sets = [100 * s for s in fronts(runs)]
    probes = np.random.default_rng(3).random((500, 2)) * 100
    attained = [sum(bool((s <= z).all(axis=1).any()) for s in sets) >= k for z in probes]
    assert [(surface <= z).all(axis=1).any() for z in probes] == attained


def test_attainment_counts_failed_runs_among_all(runs):
    assert sorted(attainment_surfaces(runs)) == [1, 3, 5]
    assert attainment_surfaces(runs, (5,))[5].shape == (0, 2)
    with pytest.raises(ValueError, match="surfaces 1 to 5"):
        attainment_surfaces(runs, (6,))


def test_ranking_by_sets_says_what_it_measures_from(recorded, runs):
    for seed in range(4):
        recorded(algorithm="b", seed=seed, objectives=NAMES, values=np.ones((3, 2)), final=[[0, 0]], ends=(0, 100))
    found = rank(load_results(recorded.folder), "igd+")
    assert [s.algorithm for s in found.tasks[0].standings] == ["b", "a"]
    assert any("changes when runs are added" in note for note in found.notes)
    assert any("first of several objectives" in note for note in rank(load_results(recorded.folder)).notes)
    recorded(problem="q", final=[[0.5]])
    recorded(problem="q", algorithm="b", final=[[0.5]])
    with pytest.raises(UsageError, match="q was run with one objective"):
        rank(load_results(recorded.folder), "hypervolume")


def test_frozen_fronts_keep_their_values_when_runs_are_added(recorded, runs, tmp_path, capsys):
    def values(*options):
        assert main(["rank", str(recorded.folder), "--measure", "igd+", "--problems", "--json", *options]) == 0
        found = json.loads(capsys.readouterr().out)
        return {s["algorithm"]: s["value"] for s in found["problems"][0]["standings"]}, found["notes"]

    for seed in range(4):
        recorded(algorithm="b", seed=seed, objectives=NAMES, values=np.ones((3, 2)), final=[[30, 30]], ends=(0, 100))
    path = tmp_path / "fronts.json"
    assert main(["rank", str(recorded.folder), "--write-fronts", str(path)]) == 0
    capsys.readouterr()
    before, notes = values("--fronts", str(path))
    assert before == values()[0]
    assert not any("IGD+" in note for note in notes)
    recorded(algorithm="c", objectives=NAMES, values=np.ones((3, 2)), final=[[0, 0]], ends=(0, 100))
    after = values("--fronts", str(path))[0]
    assert {name: after[name] for name in before} == before
    assert values()[0]["b"] > before["b"]
    for text in ("[]", '{"schema_version": 1, "fronts": [{"problem": "p"}]}', '{"schema_version": 2, "fronts": []}'):
        path.write_text(text)
        assert main(["rank", str(recorded.folder), "--measure", "igd+", "--fronts", str(path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_what_violates_a_constraint_is_in_no_set(recorded):
    run = recorded(objectives=("error", "energy"), values=np.ones((3, 2)), final=[[0.1, 0.9], [0.5, 0.5], [0.9, 0.1]])
    path = run / "recommendation.json"
    content = json.loads(path.read_text())
    content["final"][0]["test"]["constraints"] = [-1.0, 0.01]
    content["final"][1]["test"]["constraints"] = [0.0, -1.0]
    path.write_text(json.dumps(content))
    (found,) = fronts(load_results(recorded.folder))
    assert found.tolist() == [[0.5, 0.5], [0.9, 0.1]]
    (elsewhere,) = fronts(load_results(recorded.folder), "search")
    assert len(elsewhere) == 3
