"""What a problem's version freezes: the points that its objectives are scaled by, and its default settings.

A change here moves every ranking by ``anytime``, ``ecdf`` and ``hypervolume``, or the task itself: it needs a new
version of the problem, and a line under "Results" in the changelog.
``python tests/problems/test_frozen.py`` writes the file anew.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from snnbench import registry

FROZEN = Path(__file__).with_name("frozen.json")
SLOW = ("cifar", "dvs", "ncaltech", "imagenet", "nmnist")
"""Whose networks take seconds to count."""


def frozen(name: str) -> dict[str, Any]:
    problem = registry.load("problem", name)()
    settings = {f.name: getattr(problem.parameters, f.name) for f in dataclasses.fields(problem.parameters)}
    return {"version": problem.version, "points": problem.reference_points(), "settings": settings}


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def test_every_problem_is_frozen():
    assert set(json.loads(FROZEN.read_text())) == set(registry.entries("problem"))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if any(part in name for part in SLOW) else ())
        for name in registry.entries("problem")
    ],
)
def test_a_version_means_the_same(name):
    expected = json.loads(FROZEN.read_text())[name]
    found = plain(frozen(name))
    assert found["version"] == expected["version"]
    assert found["settings"] == expected["settings"]
    assert found["points"].keys() == expected["points"].keys()
    for objective, ends in expected["points"].items():
        assert found["points"][objective] == pytest.approx(ends, rel=1e-12), objective


if __name__ == "__main__":
    everything = {name: plain(frozen(name)) for name in registry.entries("problem")}
    FROZEN.write_text(json.dumps(everything, indent=1) + "\n")
