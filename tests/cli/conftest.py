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
