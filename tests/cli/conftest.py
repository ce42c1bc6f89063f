import subprocess
import sys

import pytest


@pytest.fixture
def snnbench(tmp_path, monkeypatch):
    """Run the command line in a process of its own, without a terminal; returns the completed process."""
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments, cwd=None):
        return subprocess.run(
            [sys.executable, "-m", "snnbench.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd or tmp_path,
            timeout=300,
        )

    return run


@pytest.fixture
def in_process(tmp_path, monkeypatch, capfd):
    """The same in this process, for what ends before anything runs: a second saved each."""
    from snnbench.cli import main

    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse's way out
            code = ended.code
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run
