"""*Write a problem in ten minutes*: its files and its commands, as a reader would take them from the page."""

import re
import shlex
from pathlib import Path

from snnbench.testing import PROBLEM_CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "write-a-problem.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```{code-block} \w+\n:caption: (\S+)\n\n(.*?)```", PAGE, re.S))
COMMANDS = re.findall(r"^\$ snnbench (.*)$", PAGE, re.M)


def test_its_commands_run_one_after_another(in_process, tmp_path):
    assert [command.split()[0] for command in COMMANDS] == ["new", "test", "run"]
    made, tested, ran = (in_process(*shlex.split(command)) for command in COMMANDS)
    assert f"$ snnbench {COMMANDS[0]}\n{made.stdout}" in PAGE
    assert set(FILES) == {"spiking_layer.py", "test_spiking_layer.py"}
    for name, text in FILES.items():
        assert (tmp_path / name).read_text() == text
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "0 failed" in tested.stdout
    assert ran.returncode == 0, ran.stderr
    assert len(list((tmp_path / "runs").rglob("evaluations.parquet"))) == 2


def test_every_check_is_explained():
    shown = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.M))
    assert shown == {name: check.doc for name, check in PROBLEM_CHECKS.items()}
