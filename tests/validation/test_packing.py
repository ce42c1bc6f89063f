"""Packed runs: nothing that a board needs is lost, nothing but records comes out of an archive."""

import io
import json
import shutil
import tarfile
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal

from snnbench.cli import main
from snnbench.errors import RecordError, UsageError
from snnbench.experiment import packing
from snnbench.experiment.disk import sha256
from snnbench.experiment.packing import CONTENTS, pack, unpack
from snnbench.stats.ranking import rank
from snnbench.stats.results import load_results
from snnbench.validation import write_manifest


@pytest.fixture
def packed(entry, tmp_path, monkeypatch):
    """The runs as an archive, beside the folder they were packed from."""
    monkeypatch.setenv("SNNBENCH_CACHE", str(tmp_path / "cache"))
    pack(entry.folder, tmp_path / "packed")
    return replace(entry, folder=tmp_path / "packed")


def archived(path, members):
    """A tar.xz file of names and contents; content None is a symbolic link."""
    with tarfile.open(path, "w:xz") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/hostname"
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return path


def test_packed_runs_have_the_same_results_and_rank(entry, packed):
    loose, small = load_results(entry.folder), load_results(packed.folder)
    assert len(small) == 6
    assert_frame_equal(small.drop(columns="run"), loose.drop(columns="run"))
    for measure in ("test", "search", "anytime"):
        one, other = (rank(table[table["objectives"] == "error"], measure=measure) for table in (loose, small))
        assert one.standings == other.standings
    again = load_results(packed.folder)
    assert_frame_equal(again, small)  # from the cache


def test_what_is_kept_is_what_it_was(entry, tmp_path):
    done = pack(entry.folder, tmp_path / "packed")
    folder = unpack(done.path, tmp_path / "again")
    said = json.loads((folder / CONTENTS).read_text())
    assert done.runs == said["runs"] == 6
    assert done.after < done.before / 4
    for run in entry.runs:
        place = folder / run.relative_to(entry.folder)
        for name in ("run.json", "start.json", "recommendation.json", "recommendation.safetensors"):
            assert (place / name).read_bytes() == (run / name).read_bytes()
        assert not (place / "checkpoint.safetensors").exists()
        for name in ("evaluations.parquet", "timings.parquet"):
            before, after = pq.read_table(run / name), pq.read_table(place / name)
            assert said["originals"][(place / name).relative_to(folder).as_posix()] == sha256(run / name)
            for column in after.column_names:
                assert_series_equal(before[column].to_pandas(), after[column].to_pandas())
                assert before.schema.field(column).metadata == after.schema.field(column).metadata
        names = set(pq.read_schema(place / "evaluations.parquet").names)
        assert {"evaluation", "candidate", "digest", "failure", "objective.error"} <= names
        assert not {"accuracy", "layer_spikes", "energy"} & names


def test_the_same_runs_give_the_same_bytes(entry, tmp_path):
    first = pack(entry.folder, tmp_path / "first").path
    shutil.copytree(entry.folder, tmp_path / "copy")
    assert pack(tmp_path / "copy", tmp_path / "second").path.read_bytes() == first.read_bytes()
    unpack(first, tmp_path / "again")
    assert_frame_equal(
        load_results(tmp_path / "again").drop(columns="run"), load_results(entry.folder).drop(columns="run")
    )


def test_a_packed_entry_is_validated_like_its_runs(packed):
    write_manifest(packed.folder)
    report = packed.validated(sample=2, sample_seed=5)
    assert report.valid, report.findings
    assert report.runs == 6
    assert [row["difference"] for row in report.sample["runs"]] == [0.0] * 2
    assert all("unpacked" not in finding.place for finding in report.findings)


def test_vectors_left_out_are_a_note_and_only_large_ones_may_be(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "LARGEST_VECTORS", 10)
    assert pack(entry.folder, tmp_path / "packed").without_vectors == 6
    small = replace(entry, folder=tmp_path / "packed")
    report = small.validated()
    assert {f.severity for f in report.of("vectors")} == {"error"}  # eight coordinates are not too many
    monkeypatch.setattr("snnbench.validation.vectors.LARGEST_VECTORS", 10)
    report = small.validated(sample=2)
    assert {f.severity for f in report.of("vectors")} == {"note"}
    assert report.valid
    assert report.sample["runs"] == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("../run.json", b"{}")], "is no file of a record"),
        ([("/etc/run.json", b"{}")], "is no file of a record"),
        ([("a/b/run.json", None)], "is no file of a record"),
        ([("a/b/evil.py", b"")], "is no file of a record"),
        ([("a\\run.json", b"{}")], "is no file of a record"),
        ([("a/run.json", b"{}"), ("a/run.json", b"{}")], "is in it twice"),
        ([("a/run.json", b" " * 200)], "larger than any board"),
        ([("a/run.json", b"{}")], "pack.json"),
        ([("pack.json", b'{"schema_version": 7}')], "another version"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(tmp_path, monkeypatch, capsys, members, reason):
    monkeypatch.setattr(packing, "_LARGEST_FILE", 100)
    archive = archived(tmp_path / "runs.tar.xz", members)
    with pytest.raises(RecordError, match=reason):
        unpack(archive, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.tar.xz"]
    assert main(["validate", str(tmp_path)]) == 1
    assert reason.split()[-1] in capsys.readouterr().out


def test_a_damaged_archive_is_one_line(packed, tmp_path, capsys):
    path = packed.folder / "runs.tar.xz"
    content = path.read_bytes()
    half = len(content) // 2
    for damaged in (content[:half], b"", b"no archive", content[:half] + b"\0" * 64 + content[half + 64 :]):
        path.write_bytes(damaged)
        assert main(["rank", str(packed.folder)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "restore it" in error
    assert not list((tmp_path / "cache" / "runs").iterdir())


def test_what_cannot_be_packed(entry, tmp_path):
    with pytest.raises(UsageError, match="holds no runs"):
        pack(tmp_path / "nothing", tmp_path / "packed")
    with pytest.raises(UsageError, match="is one run"):
        pack(entry.runs[0], tmp_path / "packed")
    content = json.loads((entry.runs[0] / "run.json").read_text())
    (entry.runs[0] / "run.json").write_text(json.dumps(content | {"status": "interrupted"}))
    with pytest.raises(UsageError, match="is interrupted; finish it"):
        pack(entry.folder, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_commands(entry, tmp_path, capsys):
    assert main(["pack", str(entry.folder), "--out", str(tmp_path / "packed")]) == 0
    assert "6 runs, " in capsys.readouterr().out
    assert main(["pack", str(entry.folder), "--out", str(tmp_path / "packed")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["unpack", str(tmp_path / "packed"), "--out", str(tmp_path / "again")]) == 0
    assert "6 runs" in capsys.readouterr().out
    assert main(["unpack", str(tmp_path / "packed"), "--out", str(tmp_path / "again")]) == 2
    assert main(["unpack", str(tmp_path), "--out", str(tmp_path / "other")]) == 2
    assert isinstance(load_results(tmp_path / "again"), pd.DataFrame)
