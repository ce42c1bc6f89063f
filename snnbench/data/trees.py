"""A folder or a zip archive as a tree of files: listed once, then read in any order and by several threads."""

import os
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from snnbench.data.containers import safe_path
from snnbench.errors import DataError

LARGEST_FILE = 1 << 28  # an order of magnitude above the largest photograph of the official archives


@dataclass(frozen=True)
class Entry:
    """A file of a tree.

    Attributes
    ----------
    path
        Below the tree's root, with "/".
    bytes, stamp
        Size, and a number that changes with the content: time of the last change, or checksum.
    """

    path: str
    bytes: int
    stamp: int


class Tree(Protocol):
    """What layouts are read from."""

    root: Path

    def files(self, folder: str) -> list[Entry]:
        """All files below a folder, sorted by path; none if there is no such folder."""

    def read(self, path: str) -> bytes:
        """The content of a file; FileNotFoundError if there is none, `DataError` if it cannot be read."""


class FolderTree:
    """A folder that a user named. Links in it are followed only to files inside.

    Parameters
    ----------
    root
        The folder; may be a link itself.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._inside = root.resolve()

    def files(self, folder: str) -> list[Entry]:
        """See `Tree`.

        Raises
        ------
        DataError
            For a link that leads outside the root, or to a folder, and for a folder that cannot be read.
        """
        found: list[Entry] = []
        waiting = [self.root / folder]
        if not os.path.lexists(waiting[0]):
            return []
        self._refuse_strange_link(waiting[0])
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        self._add(entry, found, waiting)
            except OSError as error:
                raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
        return sorted(found, key=lambda entry: entry.path)

    def read(self, path: str) -> bytes:
        """See `Tree`."""
        place = self.root / path
        self._refuse_strange_link(place)
        try:
            with open(place, "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise DataError(f"{place} is no plain file")
                content = file.read(LARGEST_FILE + 1)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise DataError(f"{place} cannot be read: {error.strerror}") from error
        if len(content) > LARGEST_FILE:
            raise DataError(f"{place} is too large: more than {LARGEST_FILE >> 20} MiB")
        return content

    def _add(self, entry: "os.DirEntry[str]", found: list[Entry], waiting: list[Path]) -> None:
        if entry.is_symlink():
            self._refuse_strange_link(Path(entry.path))
        if entry.is_dir():
            waiting.append(Path(entry.path))
        elif entry.is_file():
            found.append(Entry(self._name(entry.path), entry.stat().st_size, entry.stat().st_mtime_ns))

    def _name(self, path: str) -> str:
        return PurePosixPath(Path(path).relative_to(self.root)).as_posix()

    def _refuse_strange_link(self, path: Path) -> None:
        if not path.is_symlink():
            return
        target = path.resolve()
        if not target.is_relative_to(self._inside):
            raise DataError(f"{path} is a link that leads outside {self.root}: it is not followed")
        if target.is_dir():
            raise DataError(f"{path} is a link to a folder: it is not followed")


class ZipTree:
    """A zip archive.

    Parameters
    ----------
    root
        The archive.
    folder
        The folder inside that is the tree's root.

    Raises
    ------
    DataError
        If it cannot be read, or holds a member that points outside.
    """

    def __init__(self, root: Path, folder: str) -> None:
        self.root = root
        try:
            self._archive = zipfile.ZipFile(root)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{root} cannot be read: {error}") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            path = safe_path(member.filename, root)
            if path.is_relative_to(folder) and not member.is_dir():
                self._members[path.relative_to(folder).as_posix()] = member

    def files(self, folder: str) -> list[Entry]:
        """See `Tree`."""
        members = self._members.items()
        inside = [Entry(path, m.file_size, m.CRC) for path, m in members if path.startswith(f"{folder}/")]
        return sorted(inside, key=lambda entry: entry.path)

    def read(self, path: str) -> bytes:
        """See `Tree`."""
        if path not in self._members:
            raise FileNotFoundError(path)
        member = self._members[path]
        if member.file_size > LARGEST_FILE:
            raise DataError(f"{self.root} is refused: its member {member.filename!r} is too large")
        try:
            with self._archive.open(member) as packed:
                return packed.read(member.file_size)  # no more than it claims to hold: a zip can lie about that
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise DataError(f"{self.root}: {path} cannot be read: {error}") from error
