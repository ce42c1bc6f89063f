"""``snnbench test``."""

import json
import subprocess
import sys

import pytest

BROKEN = '''
from snnbench.testing.example import Example


class Loud(Example):
    """Prints."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        print("best so far")


class Wrong(Example):
    """Fails."""

    def ask(self):
        raise ArithmeticError("no numbers left")
'''


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    return "./broken.py"


def test_a_table_that_fits_and_exit_code_0(in_process):
    done = in_process("test", "random", "--check", "declarations,seeds", "--check", "constraints")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "random"
    assert [line.split()[:2] for line in lines[2:5]] == [["ok", n] for n in ("declarations", "seeds", "constraints")]
    assert "3 ok, 0 failed, 0 skipped" in lines[-1]
    assert max(map(len, lines)) < 80


def test_a_failed_check_gives_exit_code_1(in_process, broken):
    done = in_process("test", f"{broken}:Loud", "--check", "quiet", "--check", "seeds")
    assert done.returncode == 1
    assert "failed   quiet" in done.stdout
    assert "printed 'best so far'" in done.stdout
    assert "1 ok, 1 failed" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 80


def test_an_exception_is_one_line_unless_a_traceback_is_wanted(in_process, broken):
    short, long = (
        in_process("test", f"{broken}:Wrong", "--check", "seeds,candidates", *more) for more in ([], ["--traceback"])
    )
    assert "Traceback" not in short.stdout + short.stderr
    assert "ArithmeticError: no numbers left (broken.py, line 17)" in " ".join(short.stdout.split())
    assert "skipped  seeds" in short.stdout
    assert "Traceback" in long.stdout
    assert short.returncode == long.returncode == 1


def test_json_is_json_whatever_is_printed(in_process, broken):
    done = in_process("test", f"{broken}:Loud", "random", "--check", "quiet,noise", "--json")
    loud, random = json.loads(done.stdout)
    assert loud["algorithm"] == "broken.Loud"
    assert [row["outcome"] for row in loud["checks"]] == ["failed", "ok"]
    assert [row["outcome"] for row in random["checks"]] == ["ok", "ok"]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["./none.py:Mine"], "does not exist"),
        (["./broken.py:Laud"], "did you mean Loud"),
        (["cadee"], "did you mean cade"),
        (["random", "--check", "seds"], "did you mean seeds"),
        (["random", "--set", "batch"], "name=value"),
        (["random", "--set", "batch=0"], "[1, inf]"),
        ([], "NAME"),
    ],
)
def test_bad_input(in_process, broken, arguments, expected):
    done = in_process("test", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_works_without_pytest(tmp_path, broken):
    code = "import sys; sys.modules['pytest'] = None; from snnbench.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "test", f"{broken}:Loud", "--check", "declarations"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from snnbench.cli import main, parser; parser().format_help(); "
        "sys.exit(bool({'torch', 'numpy', 'snnbench.testing'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
