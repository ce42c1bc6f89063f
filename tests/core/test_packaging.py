"""The packaging, the direction of imports and the examples in docstrings."""

import doctest
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = {
    "snnbench": "snnbench",
    "algorithms": "snnbench.algorithms",
    "problems": "snnbench.problems",
    "leaderboards": "snnbench.leaderboards",
}


def source_files() -> dict[str, Path]:
    """Module name to file, for everything that is installed."""
    found = {}
    for folder, package in ROOMS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *file.relative_to(ROOT / folder).with_suffix("").parts]
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def test_every_package_is_listed():
    packages = {name for name, file in source_files().items() if file.name == "__init__.py"}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages
    without = {f.parent for f in source_files().values()} - {
        f.parent for f in source_files().values() if f.name == "__init__.py"
    }
    assert not without


def test_data_files_are_listed():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {
        file
        for package, globs in patterns.items()
        for pattern in globs
        for file in (
            ROOT / re.sub(r"^snnbench/(?=problems|algorithms|leaderboards)", "", package.replace(".", "/"))
        ).glob(pattern)
    }
    present = {f for folder in ROOMS for f in (ROOT / folder).rglob("*") if f.is_file()}
    others = {f for f in present if f.suffix not in (".py", ".pyc")}
    # Published results are in the repository, and too much for a wheel.
    others -= {f for f in others if f.is_relative_to(ROOT / "leaderboards") and f.parent.name != "suites"}
    assert others == listed


@pytest.mark.parametrize("group", ["snnbench.algorithms", "snnbench.problems"])
def test_every_entry_point_loads(group):
    from snnbench import registry

    declared = PROJECT["project"]["entry-points"][group]
    for name, target in declared.items():
        module, _, attribute = target.partition(":")
        cls = getattr(importlib.import_module(module), attribute)
        assert registry.load("problem" if group.endswith("problems") else "algorithm", name) is cls
        if group.endswith("problems"):
            assert cls.name == name


def test_the_command_is_installed():
    target = PROJECT["project"]["scripts"]["snnbench"]
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


WITH_EXAMPLES = [name for name, file in source_files().items() if ">>> " in file.read_text()]


def test_the_contracts_have_examples():
    expected = {"space", "algorithm", "snn.readings", "snn.surrogate", "snn.sew_resnet", "report.text"}
    assert {f"snnbench.{name}" for name in expected} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The package as it is installed: an import checker does not see through the mapping of the two folders."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "snnbench", tmp_path / "snnbench", ignore=ignore)
    for folder in ("algorithms", "problems"):
        shutil.copytree(ROOT / folder, tmp_path / "snnbench" / folder, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> subprocess.CompletedProcess:
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed")
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", code, "--config", str(tree / "pyproject.toml"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
    )


def test_imports_run_one_way(tree):
    done = lint_imports(tree)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


FORBIDDEN = {
    "algorithms see the algorithm contract and the space, nothing else": [
        ("snnbench.algorithms.de", "snnbench.snn.neuron"),
        ("snnbench.algorithms.de", "snnbench.data.loading"),
        ("snnbench.algorithms.cade", "snnbench.problems.sew"),
        ("snnbench.algorithms.initial_design", "snnbench.problem"),
    ],
    "problems do not know who optimizes them": [
        ("snnbench.problems.sew", "snnbench.algorithm"),
        ("snnbench.problems.sew", "snnbench.experiment.loop"),
    ],
    "networks and data know nothing of optimization": [
        ("snnbench.snn.neuron", "snnbench.problem"),
        ("snnbench.data.images", "snnbench.space"),
    ],
    "the rooms, one way": [
        ("snnbench.space", "snnbench.problem"),
        ("snnbench.problem", "snnbench.algorithm"),
        ("snnbench.experiment.plan", "snnbench.report.text"),
        ("snnbench.report.text", "snnbench.cli"),
        ("snnbench.registry", "snnbench.experiment.plan"),
    ],
}


@pytest.mark.parametrize("contract", FORBIDDEN)
def test_a_forbidden_import_is_found(tree, contract):
    for importer, imported in FORBIDDEN[contract]:
        path = tree / (importer.replace(".", "/") + ".py")
        path.write_text(path.read_text() + f"\nimport {imported}\n")
    done = lint_imports(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
    for importer, imported in FORBIDDEN[contract]:
        assert f"{importer} -> {imported} (l." in done.stdout, done.stdout
