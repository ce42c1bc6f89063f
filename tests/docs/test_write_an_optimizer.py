"""*Write an optimizer in ten minutes*: its files and its commands, as a reader would take them from the page."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from snnbench.cli.new import TEST
from snnbench.testing import CHECKS, Subject, results

PAGE = (Path(__file__).parents[2] / "docs" / "write-an-optimizer.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```{code-block} \w+\n:caption: (\S+)\n\n(.*?)```", PAGE, re.S))
COMMANDS = re.findall(r"^\$ snnbench (.*)$", PAGE, re.M)
TINY = [
    argument
    for setting in ("members=4", "source_epochs=1", "epochs=1", "width=2", "search_samples=100", "chunk=100")
    for argument in ("--set", f"problem.{setting}")
]


def write(folder, *names):
    for name in names:
        (folder / name).write_text(FILES[name])


def test_the_page_has_its_files_and_commands():
    assert set(FILES) == {"hill_climber.py", "test_hill_climber.py", "pursuit.py", "pyproject.toml"}
    assert [command.split()[0] for command in COMMANDS] == ["new", "test", "run", "test"]


def test_new_writes_what_is_shown_and_says_what_is_shown(in_process, tmp_path):
    done = in_process(*shlex.split(COMMANDS[0]))
    assert done.returncode == 0, done.stderr
    for name in ("hill_climber.py", "test_hill_climber.py"):
        assert (tmp_path / name).read_text() == FILES[name]
    assert f"$ snnbench {COMMANDS[0]}\n{done.stdout}" in PAGE
    assert (
        TEST.format(module="hill_climber", cls="HillClimber", kind="algorithm", Kind="Algorithm")
        == FILES["test_hill_climber.py"]
    )


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("test")])
def test_the_test_commands_pass(in_process, tmp_path, command):
    write(tmp_path, "hill_climber.py", "pursuit.py")
    # All checks of the first file are run on the template it is made from, in tests/testing.
    some = ["--check", "declarations,candidates,saved_state"] if "hill_climber" in command else []
    done = in_process(*shlex.split(command), *some)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_what_the_second_file_declares_is_looked_at(tmp_path):
    write(tmp_path, "pursuit.py")
    names = ["constraints", "asynchronous", "asynchronous_state", "annotations"]
    found = {result.name: result for result in results(Subject(f"{tmp_path}/pursuit.py:Pursuit"), names)}
    assert {result.outcome for result in found.values()} == {"ok"}
    assert found["annotations"].reason == "step"


def test_the_run_command_runs(in_process, tmp_path):
    write(tmp_path, "hill_climber.py")
    command = shlex.split(next(c for c in COMMANDS if c.startswith("run")).replace("--budget 100", "--budget 12"))
    done = in_process(*command, *TINY)
    assert done.returncode == 0, done.stderr
    assert "hill_climber.HillClimber" in done.stdout
    assert len(list((tmp_path / "runs").rglob("evaluations.parquet"))) == 2


def test_a_package_registers_by_entry_point(snnbench, tmp_path, monkeypatch):
    """What ``pip install`` makes of the shown pyproject: a package, and a dist-info folder with entry points."""
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    site = tmp_path / "site"
    package = site / "my_optimizers"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    write(package, "hill_climber.py")
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    listed = snnbench("list", "algorithms")
    assert "hill-climber" in listed.stdout
    assert "Evolution strategy" in listed.stdout
    tested = snnbench("test", "hill-climber", "--check", "declarations,seeds")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "2 ok" in tested.stdout


def test_every_check_is_explained():
    shown = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.M))
    assert shown == {name: check.doc for name, check in CHECKS.items()}
