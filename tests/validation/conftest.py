"""One small set of real runs for all tests: two algorithms, two seeds, two objectives once, and the suite they fill."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from snnbench.experiment.loop import run
from snnbench.experiment.plan import plans
from snnbench.experiment.suite import Suite, load_suite
from snnbench.problem import Context
from snnbench.validation import Options, Report, validate

SETTINGS = {"epochs": 2, "train_samples": 200, "search_samples": 60, "calibration": 40}
BUDGET = 13  # beyond the first population of de
SUITE = f"""
name = "tiny"
version = 1
seeds = [0, 1]
algorithms = ["random", "de"]
[[problems]]
name = "threshold-digits"
version = 1
budget = {BUDGET}
settings = {{ {", ".join(f"{name} = {value}" for name, value in SETTINGS.items())} }}
[[problems]]
name = "threshold-digits"
version = 1
budget = {BUDGET}
objectives = ["error", "energy"]
settings = {{ {", ".join(f"{name} = {value}" for name, value in SETTINGS.items())} }}
"""


@dataclass(frozen=True)
class Entry:
    """A folder of runs, and what it takes to validate it."""

    folder: Path
    cache: Path
    suite: Suite

    @property
    def runs(self) -> list[Path]:
        """Run directories: de with seeds 0 and 1, then random with seeds 0 and 1, each with one and two objectives."""
        return sorted(path.parent for path in self.folder.rglob("run.json"))

    def validated(self, **options: Any) -> Report:
        """With its suite and cache, unless told otherwise."""
        context = Context(cache_dir=self.cache)
        return validate(self.folder, Options(**({"suite": self.suite, "context": context} | options)))


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    root = tmp_path_factory.mktemp("entry")
    (root / "tiny.toml").write_text(SUITE)
    context = Context(cache_dir=root / "cache")
    settings = [f"problem.{name}={value}" for name, value in SETTINGS.items()]
    for names, objectives in ((["random", "de"], ()), (["random"], ("error", "energy"))):
        for plan in plans(names, ["threshold-digits"], [0, 1], BUDGET, objectives, settings=settings, device="cpu"):
            run(plan, root / "runs", context=context)
    for path in (root / "runs").rglob("run.json"):  # of the developers' checkout, which differs from day to day
        content = json.loads(path.read_text())
        content["environment"]["git"] = {"commit": "0" * 40, "dirty": False}
        path.write_text(json.dumps(content))
    return Entry(root / "runs", root / "cache", load_suite(str(root / "tiny.toml")))


@pytest.fixture
def entry(original: Entry, tmp_path: Path) -> Entry:
    """A copy that may be damaged."""
    shutil.copytree(original.folder, tmp_path / "runs")
    return Entry(tmp_path / "runs", original.cache, original.suite)
