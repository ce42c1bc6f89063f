"""Many runs in one small file: what ranking, publishing and checking need of them, and nothing twice.

A folder of runs is large: every evaluation has dozens of metrics, every run a checkpoint, and every Parquet file is
compressed for itself. An archive leaves out what no table or check of a board reads, says so with checksums in
``pack.json``, and compresses all runs together. The same runs give the same bytes.
"""

import io
import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from snnbench import __version__
from snnbench.errors import RecordError, UsageError
from snnbench.experiment.disk import plain, read_json, replacing, sha256
from snnbench.experiment.log import read_parquet
from snnbench.experiment.record import find_runs, open_run

ARCHIVE = "runs.tar.xz"
CONTENTS = "pack.json"
KINDS = ("index", "objective", "constraint", "failure", "algorithm")
"""Columns of the evaluations that are kept: metrics and decoded variables are not."""
LARGEST_VECTORS = 8192
"""Bytes of the recommended candidates that are kept: those of 20,000 weights are as large as 40 runs."""

_FILES = (
    "run.json", "start.json", "recommendation.json", "evaluations.parquet", "timings.parquet",
    "recommendation.safetensors",
)  # fmt: skip
_LARGEST_FILE, _LARGEST_TOTAL = 1 << 28, 1 << 32
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Packed:
    """An archive that was written.

    Attributes
    ----------
    path
        The file.
    runs
        How many are in it.
    before, after
        Bytes of the runs' folders and of the archive.
    without_vectors
        Runs whose recommended candidates were left out.
    """

    path: Path
    runs: int
    before: int
    after: int
    without_vectors: int


def pack(folder: Path, out: Path) -> Packed:
    """Write ``runs.tar.xz`` with all runs of a folder.

    Parameters
    ----------
    folder
        Holds runs, at any depth.
    out
        Folder for the archive, created if absent.

    Raises
    ------
    UsageError
        If there is no run, one is not finished, or the archive is there already.
    RecordError
        If a record is damaged.
    DiskFull
        If it does not fit.
    """
    runs = find_runs(folder)
    if not runs:
        raise UsageError(f"{folder} holds no runs to pack")
    if folder in runs:
        raise UsageError(f"{folder} is one run; name a folder of runs")
    target = out / ARCHIVE
    if target.exists():
        raise UsageError(f"{target} is there already; delete it, or name another --out")
    for run in runs:
        if (status := open_run(run).status) not in ("complete", "failed"):
            raise UsageError(f"{run} is {status}; finish it with `snnbench resume`, or move it away")
    out.mkdir(parents=True, exist_ok=True)
    originals: dict[str, str] = {}
    left_out: dict[str, dict[str, Any]] = {}
    before = 0
    with replacing(target) as file, tarfile.open(fileobj=file, mode="w:xz", format=tarfile.PAX_FORMAT, preset=9) as tar:
        for path in [run / name for run in runs for name in _FILES if (run / name).is_file()]:
            place, size = path.relative_to(folder).as_posix(), path.stat().st_size
            before += size
            if path.suffix == ".parquet":
                originals[place] = sha256(path)
                _add(tar, place, _slim(path))
            elif path.suffix == ".safetensors" and size > LARGEST_VECTORS:
                left_out[place] = {"bytes": size, "sha256": sha256(path)}
            else:
                _add(tar, place, path.read_bytes())
        said: dict[str, Any] = {"schema_version": _SCHEMA_VERSION, "snnbench": __version__, "runs": len(runs)}
        said |= {"columns": list(KINDS), "originals": originals, "left_out": left_out}
        _add(tar, CONTENTS, (json.dumps(plain(said), indent=1) + "\n").encode())
    return Packed(target, len(runs), before, target.stat().st_size, len(left_out))


def unpack(archive: Path, folder: Path) -> Path:
    """Write the runs of an archive into a new folder, all of them or none.

    Only plain files with the names of a record are taken out, none larger than 256 MiB, 4 GiB in all.

    Parameters
    ----------
    archive
        Made by `pack`.
    folder
        Where the runs go; must not exist.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        If the folder is there.
    RecordError
        If the archive is damaged or holds anything else.
    """
    if folder.exists():
        raise UsageError(f"{folder} is there already; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unpack-", dir=folder.parent))
    try:
        _extract(archive, temporary)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def archives(folder: Path) -> list[Path]:
    """Archives of runs in a folder or below it, sorted."""
    return sorted(path for path in folder.rglob(ARCHIVE) if path.is_file() and not path.is_symlink())


def unpacked(archive: Path, cache: Path) -> Path:
    """The runs of an archive as folders, kept in the cache under the archive's checksum.

    Raises
    ------
    RecordError
        If the archive is damaged or holds anything else.
    """
    folder = cache / "runs" / sha256(archive)[:24]
    if not (folder / CONTENTS).is_file():
        try:
            unpack(archive, folder)
        except (UsageError, OSError):
            if not (folder / CONTENTS).is_file():  # else another process was first, with the same files
                raise
    return folder


def contents(folder: Path) -> dict[str, Any]:
    """What an archive says of itself, from its unpacked ``pack.json``."""
    found = read_json(folder / CONTENTS, "unpack the archive again")
    if found.get("schema_version") != _SCHEMA_VERSION or not isinstance(found.get("left_out"), dict):
        raise RecordError(f"{folder / CONTENTS} was written by another version of snnbench ({found.get('snnbench')})")
    return found


def _slim(path: Path) -> bytes:
    """A Parquet file without what is left out, and uncompressed: the archive compresses better."""
    table = read_parquet(path)
    if path.name == "evaluations.parquet":
        kept = [f.name for f in table.schema if (f.metadata or {}).get(b"kind", b"").decode() in KINDS]
        table = table.select(kept)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return sink.getvalue()


def _add(tar: tarfile.TarFile, place: str, content: bytes) -> None:
    member = tarfile.TarInfo(place)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def _extract(archive: Path, folder: Path) -> None:
    total = 0
    try:
        with tarfile.open(archive, "r|xz") as tar:
            for member in tar:
                place = _place(archive, member)
                total += member.size
                if member.size > _LARGEST_FILE or total > _LARGEST_TOTAL:
                    raise RecordError(f"{archive} is refused: {member.name!r} makes it larger than any board")
                stream = tar.extractfile(member)
                assert stream is not None  # only of what `_place` has excluded
                target = folder / place
                if target.exists():  # on some file systems also where only the case differs
                    raise RecordError(f"{archive} is refused: {member.name!r} is in it twice")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(stream.read())
    except (tarfile.TarError, EOFError) as error:
        raise RecordError(f"{archive} is damaged ({error}); restore it") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise RecordError(f"{archive} is damaged ({error}); restore it") from None  # as lzma and tarfile say it
    if not (folder / CONTENTS).is_file():  # the last file: nothing was cut off
        raise RecordError(f"{archive} has no {CONTENTS}; restore it")
    contents(folder)


def _place(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    """Where a member goes; refused if it is anything but a file of a record."""
    path = PurePosixPath(member.name)
    inside = not path.is_absolute() and ".." not in path.parts and not set("\\:\0\n\r") & set(member.name)
    known = path.name in _FILES if len(path.parts) > 1 else path.name == CONTENTS
    if not (inside and known and member.isreg()):
        raise RecordError(f"{archive} is refused: {member.name!r} is no file of a record")
    return path
