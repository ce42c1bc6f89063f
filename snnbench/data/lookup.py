"""Find a data set's files: in the folder the user named, then in the cache; and read them, checksums included."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snnbench.data.archive import read_members
from snnbench.data.entry import DataFile, DataSetInfo
from snnbench.data.folders import data_folder
from snnbench.errors import DataError, UsageError, said

CONVERSION_VERSION = 1  # raise it when the conversion of recordings or photographs changes: they are then made anew


@dataclass(frozen=True)
class Source:
    """Where a data set was found.

    Attributes
    ----------
    info
        The data set.
    path
        The folder that holds the files, or the archive.
    trusted
        Whether the user named the place, so that other checksums than the official ones are no damage.
    """

    info: DataSetInfo
    path: Path
    trusted: bool

    @property
    def is_archive(self) -> bool:
        """Whether the files are still packed."""
        return bool(self.info.archive) and self.path.name == self.info.archive

    def size(self) -> int:
        """Bytes on disk."""
        files = [self.path] if self.is_archive else [self.path / file.name for file in self.info.files]
        return sum(file.stat().st_size for file in files if file.is_file())

    def read(self) -> Iterator[tuple[DataFile, bytes, str]]:
        """Each file with its bytes and their MD5; the bytes are what was checked, not a second reading.

        Raises
        ------
        DataError
            For a file that is missing or unreadable, and for one with another checksum where the user did not
            name the place.
        """
        if self.is_archive:
            yield from self._read_archive()
            return
        for file in self.info.files:
            path = self.path / file.name
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                if file.role == "meta" and self.trusted:
                    continue
                hint = "" if self.trusted else f"; `snnbench data fetch {self.info.name}` replaces them all"
                raise DataError(f"{self.info.name}: {path} is missing, other files are there{hint}") from None
            except OSError as error:
                raise DataError(f"{self.info.name}: {path} cannot be read: {error.strerror}") from error
            yield file, content, self._checked(file, content, path)

    def _read_archive(self) -> Iterator[tuple[DataFile, bytes, str]]:
        known = {file.name: file for file in self.info.files}
        missing = {file.name for file in self.info.files if file.role != "meta"}
        try:
            for name, content in read_members(self.path, self.info.folder, known):
                missing.discard(name)
                yield known[name], content, self._checked(known[name], content, self.path / name)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise DataError(f"{self.info.name}: {self.path} cannot be read: {said(error)}") from error
        if missing:
            raise DataError(f"{self.info.name}: {self.path} lacks {self.info.folder}/{min(missing)}")

    def _checked(self, file: DataFile, content: bytes, path: Path) -> str:
        actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if actual != file.md5 and not self.trusted:
            raise DataError(
                f"{self.info.name}: {path} is damaged (MD5 {actual}, official {file.md5}); "
                f"`snnbench data fetch {self.info.name}` replaces it, --data-dir {self.path.parent} uses it as it is"
            )
        return actual


def places(info: DataSetInfo, data_dir: Path | None, cache_dir: Path) -> list[tuple[Path, bool]]:
    """Folders that are looked into, in order, each with whether the user named it.

    Raises
    ------
    UsageError
        If ``data_dir`` is no folder.
    """
    looked: list[tuple[Path, bool]] = []
    if data_dir is not None:
        data_dir = data_dir.expanduser()
        if not data_dir.is_dir():
            raise UsageError(f"--data-dir {data_dir} is no folder")
        looked += [(data_dir, True), (data_dir / info.name, True)]
    return [*looked, (data_folder(cache_dir, info.name), False)]


def find(info: DataSetInfo, data_dir: Path | None, cache_dir: Path) -> Source | None:
    """The first place that holds the data set: unpacked files before an archive, or None.

    Parameters
    ----------
    info
        The data set.
    data_dir
        What the user named: the folder of the files, its parent, or a folder with the archive.
    cache_dir
        The cache.

    Raises
    ------
    UsageError
        If ``data_dir`` is no folder.
    DataError
        If a folder may not be read.
    """
    for place, trusted in places(info, data_dir, cache_dir):
        try:
            for folder in (place / info.folder, place):
                if any((folder / file.name).is_file() for file in info.files if file.role != "meta"):
                    return Source(info, folder, trusted)
            if info.archive and (place / info.archive).is_file():
                return Source(info, place / info.archive, trusted)
            unpacked = [name for file in info.files for name in file.unpacked]
            if trusted and any((place / name).exists() for name in unpacked):
                return Source(info, place, trusted)
            if trusted and len(info.files) == 1 and place.name in unpacked:  # the unpacked folder itself
                return Source(info, place.parent, trusted)
        except OSError as error:
            raise DataError(f"{info.name}: {place} cannot be read: {error.strerror}") from error
    return None


def frames_folder(info: DataSetInfo, cache_dir: Path, files: Any) -> Path:
    """Where the frames of recorded events, or the pixels of photographs, are kept that were made from certain files.

    Parameters
    ----------
    info
        The data set; its framing or cropping is part of the name.
    cache_dir
        The cache.
    files
        Plain data that tells these files from others.
    """
    how = {"framing": info.framing.describe()} if info.framing else {}
    how |= {"cropping": info.cropping.describe()} if info.cropping else {}
    content = {"version": CONVERSION_VERSION, **how, "files": files}
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return data_folder(cache_dir, info.name) / f"{info.converts_to}-{key[:16]}"


def official_folder(info: DataSetInfo, cache_dir: Path) -> Path:
    """Where frames of the official archives are kept: they serve without the archives."""
    return frames_folder(info, cache_dir, {file.name: file.md5 for file in info.files})


def missing(info: DataSetInfo, data_dir: Path | None, cache_dir: Path, reason: str = "") -> DataError:
    """The error for a data set that is nowhere: what is missing, where it was looked for, how to get it."""
    looked = ", ".join(str(place) for place, _ in places(info, data_dir, cache_dir))
    first = info.files[0]
    either = [f"{info.folder}/{first.name}".strip("/"), info.archive or next(iter(first.unpacked), "")]
    what = f"neither {either[0]} nor {either[1]} found" if either[1] else f"{either[0]} not found"
    fetch = f"with `snnbench data fetch {info.name}`, or " if info.downloadable else ""
    return DataError(
        f"{info.name}: {what} in {looked}"
        + (f"; {reason}" if reason else "")
        + f". Get it {fetch}from {info.origin} and pass --data-dir FOLDER (the folder it lies in)"
    )
