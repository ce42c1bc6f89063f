"""Plans, settings, seeds: what is refused, and where runs go."""

import dataclasses

import pytest
import torch

from snnbench import registry
from snnbench.errors import RecordError, UsageError
from snnbench.experiment.environment import environment, git_state, resolve_device
from snnbench.experiment.overrides import EvaluationParameters
from snnbench.experiment.plan import RunPlan, check, plans
from snnbench.experiment.seeds import STREAMS, stream, streams
from snnbench.parameters import describe, resolve

from .conftest import TOYS

A, P = f"{TOYS}:Walk", f"{TOYS}:Bowl"


def test_matrix_and_directories(tmp_path):
    made = plans([A, f"{TOYS}:Single", A], [P, f"{TOYS}:Wide"], seeds=[3, 4], budget=9)
    assert len(made) == 8
    folders = [p.directory(tmp_path).relative_to(tmp_path).as_posix() for p in made]
    assert folders[:3] == [
        "toys.Bowl/toys.Walk/budget9-seed3",
        "toys.Bowl/toys.Single/budget9-seed3",
        "toys.Bowl/toys.Walk/budget9-seed4",
    ]
    assert len(set(folders)) == 8


def test_directory_shows_what_is_not_default(tmp_path):
    def folder(**options):
        (made,) = plans([A], [P], budget=9, **options)
        return made.directory(tmp_path).name

    assert folder(objectives=["error"]) == folder(settings=["size=7", "step=0.30"]) == "budget9-seed0"
    assert folder(settings=["evaluation.chunk=4"], device="cpu") == "budget9-seed0"  # changes no result
    special = [
        folder(settings=["size=8"]),
        folder(settings=["problem.optimum=0.4"]),
        folder(time_limit=3.0),
        folder(objectives=["energy"]),
        folder(objectives=["error", "energy"]),
    ]
    assert len(set(special)) == 5
    assert all(name.startswith("budget9-seed0-") and len(name) == len("budget9-seed0-") + 8 for name in special)
    assert folder(settings=["size=8", "step=0.1"]) == folder(settings=["step=.1", "toys.Walk.size=8"])


def test_settings_reach_their_owner():
    made = plans(
        [A, f"{TOYS}:Raises"],
        [P],
        budget=9,
        settings=["step=0.5", "toys.Raises.size=3", "problem.optimum=0.25", "evaluation.chunk=2"],
    )
    assert [dict(p.algorithm_settings) for p in made] == [{"step": 0.5}, {"step": 0.5, "size": 3}]
    assert dict(made[0].problem_settings) == {"optimum": 0.25}
    assert dict(made[0].evaluation_settings) == {"chunk": 2}
    assert RunPlan.from_dict(made[1].to_dict()) == made[1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("size", "'size' is not of the form name=value"),
        ("=3", "is not of the form name=value"),
        ("sise=3", "unknown parameter 'sise'; did you mean size"),
        ("problem.optimun=3", r"unknown parameter 'problem.optimun'; did you mean problem.optimum"),
        ("optimum=0.4", r"unknown parameter 'optimum'; did you mean problem.optimum"),
        ("tays.Walk.size=3", r"unknown owner of a parameter 'tays.Walk'; did you mean toys.Walk"),
        ("size=0", r"toys.Walk: size=0 is outside \[1, inf\]"),
        ("step=much", "step must be float, got 'much'"),
    ],
)
def test_wrong_settings(setting, message):
    with pytest.raises(UsageError, match=message) as caught:
        plans([A], [P], budget=9, settings=[setting])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget must be at least 1"),
        ({"budget": -4}, "budget must be at least 1"),
        ({"seeds": [-1]}, "seed must be 0 or more"),
        ({"seeds": []}, "at least one algorithm, one problem and one seed"),
        ({"time_limit": 0.0}, "time limit must be positive"),
        ({"time_limit": float("nan")}, "time limit must be positive"),
    ],
)
def test_impossible_plans(options, message):
    with pytest.raises(UsageError, match=message):
        plans([A], [P], **{"budget": 9, **options})


def test_what_does_not_fit_is_refused_before_it_runs():
    (two,) = plans([f"{TOYS}:Single"], [P], budget=9, objectives=["error", "energy"])
    with pytest.raises(UsageError, match=r"^toys.Single handles 1 objective, not 2 \(bowl: error,energy\); algorithms"):
        check(two)
    (wide,) = plans([f"{TOYS}:Single"], [f"{TOYS}:Wide"], budget=9)
    with pytest.raises(UsageError, match=r"is limited to 100 dimensions, the problem has 2,000"):
        check(wide)
    (unknown,) = plans([A], [P], budget=9, objectives=["eror"])
    with pytest.raises(UsageError, match=r"unknown objective of bowl 'eror'; did you mean error"):
        check(unknown)
    (gpu,) = plans([A], [P], budget=9, device="gpu")
    with pytest.raises(UsageError, match="is not auto, cpu or cuda:N"):
        check(gpu)
    assert check(plans([A], [P], budget=9)[0]).dimension == 3


def test_advice_names_algorithms_that_fit(monkeypatch):
    class Fits:
        def load(self):
            from snnbench.algorithm import Algorithm, Capabilities

            return type("Any", (Algorithm,), {"capabilities": Capabilities(objectives=None)})

    class Missing:
        def load(self):
            raise UsageError("its library is not installed")

    monkeypatch.setattr("snnbench.registry.entries", lambda kind: {"fits": Fits(), "missing": Missing()})
    (two,) = plans([f"{TOYS}:Single"], [P], budget=9, objectives=["error", "energy"])
    with pytest.raises(UsageError, match=r"algorithms that fit: fits$"):
        check(two)


def test_plan_that_cannot_be_read():
    content = plans([A], [P], budget=9)[0].to_dict()
    for broken in ({**content, "surprise": 1}, {**content, "budget": 0}, {k: content[k] for k in ("problem", "seed")}):
        with pytest.raises(RecordError, match="recorded plan cannot be read"):
            RunPlan.from_dict(broken)


def test_streams_are_fixed():
    # Frozen: a change would silently give every published seed another meaning.
    assert streams(0) == {
        "initial": 220663933135988087,
        "algorithm": 3939830989522902381,
        "evaluation": 2726762921338631876,
        "data": 3509910692935324612,
    }
    values = [stream(seed, name) for seed in range(50) for name in STREAMS]
    assert len(set(values)) == len(values)
    assert all(0 <= value < 2**63 for value in values)


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match="no CUDA device"):
        resolve_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda:0")
    with pytest.raises(UsageError, match="sees cuda:0 to cuda:1"):
        resolve_device("cuda:2")


def test_environment_survives_a_machine_that_tells_nothing(monkeypatch, tmp_path):
    def nothing(*arguments, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr("subprocess.run", nothing)
    (tmp_path / ".git").mkdir()
    assert git_state(tmp_path) is None
    found = environment()
    assert found["versions"]["python"]
    assert found["hardware"]["cpu"]


def test_plans_are_values():
    (made,) = plans([A], [P], budget=9)
    assert made == dataclasses.replace(made)
    assert hash(made) == hash(dataclasses.replace(made))


def test_workers_are_a_parameter_of_what_proposes_one_candidate_at_a_time(tmp_path):
    def made(algorithm, **options):
        (plan,) = plans([algorithm], ["snas-digits"], budget=20, **options)
        return plan

    assert made("tpe", eval_workers=3).algorithm_settings == (("batch", 3),)
    assert made("tpe", eval_workers=3).directory(tmp_path) != made("tpe").directory(tmp_path)
    assert made("tpe", eval_workers=3, settings=["batch=1"]).algorithm_settings == (("batch", 1),)
    assert made("tpe", eval_workers=3, asynchronous=True).algorithm_settings == ()
    for algorithm in ("de", "random"):  # whole generations, or nothing to learn: the same with any number
        assert made(algorithm, eval_workers=3).algorithm_settings == ()
        assert made(algorithm, eval_workers=3).directory(tmp_path) == made(algorithm).directory(tmp_path)


def test_what_has_a_batch_to_set_says_so():
    for name, entry in registry.entries("algorithm").items():
        kind = registry.load("algorithm", name) if not registry.missing_modules(entry.load()) else None
        if kind is not None and kind.capabilities.batches:
            assert {row["name"]: row["default"] for row in describe(kind.Parameters)}["batch"] is None


def test_every_strategy_of_a_problem_can_be_asked_for():
    ways = {way for name in registry.entries("problem") for way in registry.load("problem", name).strategies}
    assert ways == {"convolution", "lookup", "events", "graph"}
    for way in sorted(ways):
        assert resolve(EvaluationParameters, {"strategy": way}, "evaluation").strategy == way
