"""Recorded event data as a `DataSet`: converted to frames once, then read from the cache as a memory map."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snnbench.data.checksums import content_hash, file_hashes
from snnbench.data.entry import DataFile, DataSetInfo
from snnbench.data.events import frames
from snnbench.data.fetching import locked
from snnbench.data.lookup import Source, frames_folder, official_folder
from snnbench.data.recordings import read_recordings
from snnbench.errors import DataError

Progress = Callable[[str, int, int], None]

PIXELS = "frames.npy"
"""The array's file in a folder of the cache."""


@dataclass(frozen=True)
class Frames:
    """What the cache holds of a data set.

    Attributes
    ----------
    images
        (n, T, c, h, w) uint8, of photographs (n, c, h, w): a memory map, in the order of `keys`. What is written into
        it stays in memory.
    keys
        Path of every recording, "train/", "test/" or "all/" first; sorted. Of photographs in the order of the splits.
    labels
        What each recording's path or file says of its class.
    about
        ``official`` (bool), ``sha256`` (of the frames and labels), ``files`` (name to MD5 of the archives).
    """

    images: np.ndarray
    keys: tuple[str, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    about: dict[str, Any]


def read_frames(folder: Path) -> Frames | None:
    """Frames that `convert_recordings` has left in a folder; None if there are none, or incomplete ones."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        images = np.load(folder / PIXELS, mmap_mode="c", allow_pickle=False)
        keys, labels = tuple(about.pop("keys")), np.array(about.pop("labels"), np.int64)
        names = tuple(about.pop("class_names"))
    except (OSError, EOFError, ValueError, KeyError, AttributeError):
        return None
    return Frames(images, keys, labels, names, about) if len(images) == len(keys) == len(labels) else None


def convert_recordings(source: Source, cache_dir: Path, progress: Progress | None = None, make: bool = True) -> Frames:
    """Frames of a data set's recordings, from the cache if these files were converted before.

    Parameters
    ----------
    source
        Where the archives or unpacked folders are.
    cache_dir
        The cache.
    progress
        Called with (stage, recordings done, recordings expected).
    make
        Whether they may be made; else it is an error if the cache does not have them.

    Raises
    ------
    DataError
        If a file is missing, damaged or unreadable, tonic is missing, or the cache cannot be written.
    """
    located = located_files(source)
    kept = frames_folder(source.info, cache_dir, _state([path for _, path in located]))
    write = (
        partial(_write, source.info, located, progress=progress or (lambda stage, done, total: None)) if make else None
    )
    return kept_or_made(source, located, kept, cache_dir, _temporary, write)


def kept_or_made(
    source: Source,
    located: list[tuple[DataFile, Path]],
    kept: Path,
    cache_dir: Path,
    workplace: Callable[[Path], AbstractContextManager[Path]],
    write: Callable[[Path], dict[str, Any]] | None,
) -> Frames:
    """What the cache has of certain files, or what `write` makes of them; one process at a time.

    Parameters
    ----------
    source, located
        Where the data set is, and its files.
    kept
        Folder for what is made of files that are not the official ones.
    cache_dir
        The cache.
    workplace
        From the final folder to one beside it in which `write` works.
    write
        Writes `PIXELS` into a folder; returns keys, labels, class names and hash. ``None`` if it must be there.

    Raises
    ------
    DataError
        As `convert_recordings`.
    """
    info = source.info
    for folder in (kept, official_folder(info, cache_dir)) if not source.trusted else (kept,):
        if (found := read_frames(folder)) is not None:
            return found
    md5s = _checksums(source, located)
    official = md5s == {file.name: file.md5 for file in info.files}
    final = official_folder(info, cache_dir) if official else kept
    if write is None:
        if (found := read_frames(final)) is not None:
            return found
        raise DataError(f"{info.name}: {source.path} is not converted yet")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with locked(final.parent), workplace(final) as made:
            if (found := read_frames(final)) is not None:  # by another process meanwhile, or from a copy elsewhere
                return found
            about = write(made)
            about |= {"official": official, "files": md5s}
            (made / "about.json").write_text(json.dumps(about), encoding="utf-8")
            if final.exists():  # damaged
                shutil.rmtree(final)
            os.replace(made, final)
    except OSError as error:
        raise DataError(f"{info.name}: cannot write frames to {final.parent}: {error.strerror or error}") from error
    found = read_frames(final)
    assert found is not None
    return found


def located_files(source: Source) -> list[tuple[DataFile, Path]]:
    """Each of a data set's files with where it is: the archive, or what the user has unpacked it to."""
    return [(file, path) for file in source.info.files for path in _paths(source, file)]


@contextlib.contextmanager
def _temporary(final: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=final.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        yield made


def _paths(source: Source, file: DataFile) -> list[Path]:
    """The archive, or where the user has unpacked it to."""
    archive = source.path / file.name
    if archive.is_file():
        return [archive]
    unpacked = [source.path / name for name in file.unpacked]
    for path in unpacked if source.trusted else [archive]:
        if not path.exists():
            raise DataError(f"{source.info.name}: {path} is missing, other files are there")
    return unpacked


def _state(paths: list[Path]) -> list[list[Any]]:
    """Names, sizes and times of files: what tells without reading whether they are the same as before."""
    files = [(path, file) for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
    seen = [(str(path), file.relative_to(path).as_posix(), file.stat()) for path, file in files if file.is_file()]
    return [[path, name, stat.st_size, stat.st_mtime_ns] for path, name, stat in seen]


def _checksums(source: Source, located: list[tuple[DataFile, Path]]) -> dict[str, str]:
    """MD5 of the archives; folders have none, and are never official."""
    md5s = {}
    for file, path in located:
        if path.name != file.name:
            continue
        md5s[file.name] = file_hashes(path)[0]
        if md5s[file.name] != file.md5 and not source.trusted:
            raise DataError(
                f"{source.info.name}: {path} is damaged (MD5 {md5s[file.name]}, official {file.md5}); "
                f"`snnbench data fetch {source.info.name}` replaces it"
            )
    return md5s


def _write(info: DataSetInfo, located: list[tuple[DataFile, Path]], folder: Path, progress: Progress) -> dict[str, Any]:
    """Frames in the order of the recordings' paths; returns their keys, labels and hash."""
    framing = info.framing
    assert framing is not None
    stage, expected = f"converting {info.name} to frames", sum(info.sizes.values())
    shape = (framing.steps, framing.polarities, *framing.size)
    keys: list[str] = []
    texts: list[str] = []
    unsorted = folder / "unsorted"
    with open(unsorted, "wb") as file:
        for part, path in located:
            for key, label, events in read_recordings(info, path):
                try:
                    file.write(frames(events, framing).tobytes())
                except DataError as error:
                    raise DataError(f"{info.name}: {path}: {key}: {error}") from error
                keys.append(f"{part.role}/{key}")
                texts.append(label)
                if len(keys) % 100 == 0:
                    progress(stage, len(keys), max(expected, len(keys)))
    if len(set(keys)) < len(keys):
        raise DataError(f"{info.name}: {located[0][1].parent} holds two recordings of the same name")
    # Training data before test data, each by path: no order of a file system or an archive matters.
    order = sorted(range(len(keys)), key=lambda i: (not keys[i].startswith("train/"), keys[i]))
    rows = np.memmap(unsorted, np.uint8, "r", shape=(len(keys), *shape))
    images = np.lib.format.open_memmap(folder / PIXELS, "w+", np.uint8, rows.shape)
    for row, i in enumerate(order):
        images[row] = rows[i]
    images.flush()
    del rows
    unsorted.unlink()
    labels, names = labels_of(info, [texts[i] for i in order])
    progress(stage, len(keys), len(keys))
    return {
        "keys": [keys[i] for i in order],
        "labels": labels.tolist(),
        "class_names": names,
        "sha256": content_hash(images, labels),
    }


def labels_of(info: DataSetInfo, texts: list[str]) -> tuple[np.ndarray, list[str]]:
    """Numbers of the classes; where the catalog does not name them, the folders' names in order.

    Raises
    ------
    DataError
        If there are more classes than the data set has, or an unknown one.
    """
    numbered = bool(info.class_names) and all(text.isdigit() for text in texts)
    names = list(info.class_names) or sorted(set(texts))
    if len(names) > info.classes:
        raise DataError(f"{info.name}: {len(names)} classes, expected {info.classes}")
    number = {name: i for i, name in enumerate(names)}
    labels = [int(text) if numbered else number.get(text, -1) for text in texts]
    for text, label in zip(texts, labels, strict=True):
        if not 0 <= label < info.classes:
            raise DataError(f"{info.name}: a recording of an unknown class, {text!r}")
    names += [f"(none {i})" for i in range(len(names), info.classes)]
    return np.array(labels, np.int64), names
