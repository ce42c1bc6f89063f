"""The tables of the leaderboards' README are those of the records."""

import json
import shutil
from pathlib import Path

import pytest

from snnbench.errors import UsageError
from snnbench.report import readme

ROOT = Path(__file__).parents[2]
TEXT = "# Boards\n\n<!-- results: mine -->\nstale\n<!-- end of results -->\n\nafter\n"


def test_tables_are_made_from_the_records(entry, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(readme, "load_suite", lambda name: entry.suite)
    folder = tmp_path / "boards"
    (folder / "results").mkdir(parents=True)
    (folder / "README.md").write_text(TEXT)
    assert readme.main([str(folder)]) == 0
    assert readme.NOTHING in (folder / "README.md").read_text()
    (folder / "results" / "mine").mkdir()
    for run in entry.runs:
        if not json.loads((run / "run.json").read_text())["plan"]["objectives"]:
            shutil.copytree(run, folder / "results" / "mine" / "group" / run.relative_to(entry.folder))
    assert readme.main([str(folder), "--check"]) == 1
    assert readme.main([str(folder)]) == 0
    text = (folder / "README.md").read_text()
    assert text.startswith("# Boards\n\n<!-- results: mine -->\n")
    assert text.endswith("<!-- end of results -->\n\nafter\n")
    assert "| random |" in text
    assert "| de |" in text
    assert "stale" not in text
    assert readme.main([str(folder), "--check"]) == 0
    assert "is up to date" in capsys.readouterr().out


def test_a_readme_without_a_place_for_tables(tmp_path):
    (tmp_path / "README.md").write_text("# Boards\n")
    with pytest.raises(UsageError, match="results: SUITE"):
        readme.update(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        readme.update(tmp_path / "none")


def test_the_published_tables_are_up_to_date():
    assert not readme.update(ROOT / "leaderboards", check=True)
