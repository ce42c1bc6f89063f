"""``snnbench data``."""

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snnbench.cli import data as verb
from snnbench.data.catalog import CATALOG
from snnbench.data.check import status
from snnbench.errors import DataError, UsageError


def snnbench(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="snnbench")
    verb.add(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *words])
    code: int = args.run(args)
    return code


@pytest.fixture
def served(tiny: Any, site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(CATALOG, "tiny", dataclasses.replace(tiny.info, url=site.url))
    site.content = tiny.archive.read_bytes()
    return site


def test_list_shows_every_data_set(capsys: pytest.CaptureFixture[str], tiny: Any) -> None:
    assert snnbench("list", "--data-dir", str(tiny.root)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", *CATALOG]
    assert "scikit-learn" in lines[1]
    assert str(tiny.folder) in lines[-1]


def test_list_as_json(capsys: pytest.CaptureFixture[str], tiny: Any) -> None:
    assert snnbench("list", "--json", "--data-dir", str(tiny.root)) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert [rows[name]["state"] for name in ("digits", "cifar10", "tiny")] == ["embedded", "missing", "present"]
    assert rows["cifar100"]["classes"] == 100
    assert rows["cifar100"]["url"].endswith("cifar-100-python.tar.gz")


def test_list_imports_nothing_heavy() -> None:
    code = (
        "import argparse, sys; from snnbench.cli import data; p = argparse.ArgumentParser();"
        "data.add(p.add_subparsers()); a = p.parse_args(['data', 'list']); assert a.run(a) == 0;"
        "print(sorted({'torch', 'numpy', 'sklearn'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "cifar100" in done.stdout


def test_fetch_then_check(served: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cache = tmp_path / "elsewhere"
    assert snnbench("fetch", "digits", "tiny", "--cache-dir", str(cache)) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == f"tiny: {cache / 'data' / 'tiny' / CATALOG['tiny'].folder}"
    assert "download tiny.tar.gz: 100 %" in err
    assert snnbench("check", "--cache-dir", str(cache)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("digits: official; 1000 search, 400 validation, 397 test")
    assert lines[1].startswith("events: official; 1000 search, 400 validation, 397 test")
    how = {n: f"`snnbench data fetch {n}` gets it" for n in CATALOG}
    how |= {"imagenet": f"get it from {CATALOG['imagenet'].page}"}
    assert lines[2:-1] == [f"{n}: not here; {how[n]}" for n in list(CATALOG)[2:-1]]
    assert lines[-1].startswith("tiny: official; 81 search, 9 validation, 12 test")


def test_fetch_repairs_what_check_finds(served: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    snnbench("fetch", "tiny")
    damaged = tmp_path / "cache" / "data" / "tiny" / CATALOG["tiny"].folder / "batch_1"
    damaged.write_bytes(b"")
    assert status("tiny").state == "damaged"
    assert snnbench("check", "tiny") == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"tiny: damaged: {damaged} is damaged (MD5 ")
    assert snnbench("fetch", "tiny") == 0
    assert status("tiny").state == "official"
    assert snnbench("check", "tiny") == 0


def test_check_of_the_users_own_data(tiny: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.rewrite("batch_1", batch_label="mine")
    assert status("tiny", tiny.root).state == "unofficial"
    assert snnbench("check", "tiny", "--data-dir", str(tiny.root)) == 0
    assert "not the official data" in capsys.readouterr().out
    tiny.rewrite("batch_1", labels=[9] * 50)
    assert snnbench("check", "tiny", "--data-dir", str(tiny.root)) == 1
    assert "label outside" in capsys.readouterr().out


def test_check_of_what_is_not_here(tiny: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert snnbench("check", "tiny") == 1
    assert "data fetch tiny" in capsys.readouterr().out


def test_wrong_requests(tiny: Any, tmp_path: Path) -> None:
    for words in (["fetch", "digits", "cifar"], ["check", "cifar"]):
        with pytest.raises(UsageError, match="unknown data set 'cifar'; did you mean"):
            snnbench(*words)
    with pytest.raises(UsageError, match="is no folder"):
        snnbench("list", "--data-dir", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="cannot download"):
        snnbench("fetch", "tiny")


def test_a_cache_that_cannot_be_written(tiny: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write to"):
        snnbench("fetch", "tiny", "--cache-dir", str(tmp_path / "file"))


def test_size_on_disk(tiny: Any, tmp_path: Path) -> None:
    files = sum((tiny.folder / file.name).stat().st_size for file in tiny.info.files)
    assert status("tiny", tiny.root).size == files
    shutil.rmtree(tiny.root)
    tiny.root.mkdir()
    shutil.copy(tiny.archive, tiny.root)
    found = status("tiny", tiny.root)
    assert (found.state, found.size) == ("official", tiny.info.archive_bytes)
