"""The workflow's script: finds the changed entries, and reports on them without doing what they say."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("validate_entries", ROOT / ".github" / "validate_entries.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit, and a way to make another: base commit, and ``commit()``."""

    def git(*arguments):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    folder = tmp_path / "submitted"
    old = folder / "leaderboards" / "results" / "tiny" / "old"
    old.mkdir(parents=True)
    (old / "README.md").write_text("before")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "base")
    base = git("rev-parse", "HEAD")

    def commit():
        git("add", "-A")
        git("commit", "-q", "-m", "change")
        return base

    return folder, commit


def test_changed_entries(script, checkout):
    folder, commit = checkout
    results = folder / "leaderboards" / "results"
    for name in ("tiny/mine/a b/run.json", "tiny/$(touch x)/run.json", "stray.txt", "tiny/x/\n::error::y"):
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text("{}")
    (folder / "leaderboards" / "README.md").write_text("a table")
    (results / "tiny" / "old" / "README.md").unlink()
    entries, faults = script.changed(folder, commit())
    assert {entry.name for entry in entries} == {"mine", "x", "old"}
    assert len(faults) == 2
    assert "touch x" in "".join(faults)
    assert "stray.txt" in "".join(faults)


def test_every_changed_entry_is_validated_and_its_suite(script, checkout, tmp_path, monkeypatch):
    folder, commit = checkout
    for name in ("mine", "theirs"):
        (folder / script.RESULTS / "tiny" / name).mkdir()
        (folder / script.RESULTS / "tiny" / name / "README.md").write_text(name)
    base, seen, verdicts = commit(), [], {}
    monkeypatch.setattr(script, "validate", lambda _, f, __, n: seen.append((f.name, n)) or verdicts.get(f.name, True))
    arguments = [str(folder), base, str(tmp_path / "reports")]
    assert script.main(arguments) == 0
    assert seen == [("mine", script.SAMPLE), ("theirs", script.SAMPLE), ("tiny", 0)]
    for name in ("theirs", "tiny"):
        verdicts.update(dict.fromkeys(("theirs", "tiny"), True), **{name: False})
        assert script.main(arguments) == 1


def test_an_invalid_entry_fails_and_its_text_is_no_command(script, original, tmp_path, capsys):
    entry = script.RESULTS / "smoke" / "mine"
    shutil.copytree(original.folder, tmp_path / entry)
    assert not script.validate(tmp_path, entry, tmp_path, 0)
    out = capsys.readouterr().out
    assert all(line.startswith("| ") for line in out.splitlines())
    assert "leaderboards/results/smoke/mine: INVALID, 6 runs" in out
    assert "error (suite)" in out
    content = json.loads((tmp_path / "smoke-mine.json").read_text())
    assert content["suite"] == "smoke (version 1)"
    script.say("fine\n::add-mask::x")
    assert capsys.readouterr().out == "| fine\n| ::add-mask::x\n"
