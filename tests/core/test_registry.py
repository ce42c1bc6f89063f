import json
import subprocess
import sys

import pytest

from snnbench import registry
from snnbench.algorithm import Algorithm
from snnbench.errors import UsageError, unknown
from snnbench.problem import Problem

AUTHOR = '''
"""An author's file."""
from dataclasses import dataclass

from snnbench.algorithm import Algorithm
from snnbench.parameters import param


@dataclass(frozen=True)
class Knobs:
    step: float = param(0.1, "step")


class Mine(Algorithm):
    """My optimizer."""

    Parameters = Knobs

    def ask(self):
        return self.task.space.sample(1, self.generator)

    def tell(self, x, evaluations):
        pass
'''


def test_every_registered_name_loads_and_has_a_summary():
    for kind, base in (("algorithm", Algorithm), ("problem", Problem)):
        entries = registry.entries(kind)
        assert list(entries) == sorted(entries)
        for name, entry in entries.items():
            assert issubclass(registry.load(kind, name), base)
            assert entry.summary() == (registry.load(kind, name).__doc__ or "").partition("\n")[0]
            assert entry.summary()


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [("algorithm", "cdae", "cade"), ("algorithm", "CADE", "cade"), ("problem", "sew-cifar", "sew-cifar10")],
)
def test_an_unknown_name_gets_the_nearest(kind, name, near):
    with pytest.raises(UsageError) as caught:
        registry.load(kind, name)
    message = str(caught.value)
    assert message.startswith(f"unknown {kind} {name!r}")
    assert near in message
    assert f"snnbench list {kind}s" in message
    assert "\n" not in message


def test_unknown_lists_few_names_and_no_many():
    assert str(unknown("thing", "zzz", ["a", "b"])) == "unknown thing 'zzz'; known: a, b"
    assert str(unknown("thing", "zzz", map(str, range(50)))) == "unknown thing 'zzz'"
    assert str(unknown("thing", "beta", ["beat", "bets"], "look")).endswith("? (look)")


def test_a_class_in_a_file(tmp_path):
    file = tmp_path / "my_optimizer.py"
    file.write_text(AUTHOR)
    cls = registry.load("algorithm", f"{file}:Mine")
    assert issubclass(cls, Algorithm)
    assert cls.Parameters().step == 0.1
    assert registry.display_name("algorithm", f"{file}:Mine") == "my_optimizer.Mine"
    assert registry.display_name("algorithm", "cade") == "cade"


def test_a_file_that_does_not_serve_says_why(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(AUTHOR)
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('no luck')")
    for name, words in {
        f"{tmp_path}/absent.py:Mine": "does not exist",
        str(file): "name the class too",
        f"{file}:Mein": r"unknown class in .*mine\.py 'Mein'; did you mean Mine\?",
        f"{broken}:Mine": "cannot be loaded: RuntimeError: no luck",
    }.items():
        with pytest.raises(UsageError, match=words):
            registry.load("algorithm", name)


def test_an_entry_point_that_cannot_be_imported_is_one_line():
    entry = registry.Entry("algorithm", "ghost", "snnbench.algorithms.ghost:Ghost")
    with pytest.raises(UsageError, match=r"ghost .* cannot be loaded"):
        entry.load()
    assert entry.summary() == ""


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "algorithms", "--json"], ["list", "problems"], ["--help"], ["run", "--help"]]
)
def test_listing_and_help_import_nothing_heavy(arguments, tmp_path):
    code = (
        "import json, sys\n"
        "from snnbench.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\n"
        "except SystemExit as end:\n    code = end.code or 0\n"
        "print(json.dumps({'code': code, 'modules': sorted({m.partition('.')[0] for m in sys.modules})}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] == 0
    heavy = {"torch", "numpy", "pandas", "pyarrow", "sklearn", "snntorch", "matplotlib", "seaborn", "cma", "rich"}
    assert not heavy & set(said["modules"])
    assert len(done.stdout.splitlines()) > 3


def test_names_of_files_survive_another_working_directory(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(AUTHOR)
    monkeypatch.chdir(tmp_path)
    assert registry.load("algorithm", "mine.py:Mine").__name__ == "Mine"
    assert registry.load("algorithm", "./mine.py:Mine").__name__ == "Mine"
