"""``python -m snnbench`` is the command line."""

import subprocess
import sys

from snnbench import __version__


def test_python_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "snnbench", "--version"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == f"snnbench {__version__}"
    bad = subprocess.run([sys.executable, "-m", "snnbench", "rnu"], capture_output=True, text=True, cwd=tmp_path)
    assert bad.returncode == 2
    assert len(bad.stderr.splitlines()) == 1
