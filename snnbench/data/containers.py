"""Archives and folders of recordings, read member by member.

Nothing an archive holds is written to disk under a name of its own; what must be a file for a reader or for random
access becomes a temporary file. An archive with a member that points outside is refused all the same.
"""

import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from snnbench.data.archive import LARGEST_MEMBER
from snnbench.errors import DataError

Member = tuple[PurePosixPath, bytes]


def read_all(path: Path, suffix: str) -> Iterator[Member]:
    """The files of one kind in a folder, a zip archive or a tar archive; in any order.

    Parameters
    ----------
    path
        A folder, an archive, or one file with that suffix. Archives in a zip archive are looked into, too.
    suffix
        Of the wanted files, for instance ".bin".

    Yields
    ------
    (path, content)
        The path inside (below the folder, or in the archive).

    Raises
    ------
    DataError
        If it cannot be read, or an archive is refused: a member that is absolute, climbs out with "..", is a link or
        a device, or is too large.
    """
    try:
        if path.is_dir():
            for file in sorted(path.rglob(f"*{suffix}")):
                if file.is_file():
                    yield PurePosixPath(path.name, file.relative_to(path).as_posix()), file.read_bytes()
        elif path.name.endswith(suffix):
            yield PurePosixPath(path.name), path.read_bytes()
        elif path.name.endswith(".zip"):
            with open(path, "rb") as packed:
                yield from _zip(packed, path, suffix)
        else:
            yield from _tar(path, suffix)
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def safe_path(name: str, where: Path) -> PurePosixPath:
    """A member's name as a path; `DataError` if it points outside the archive."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise DataError(f"{where} is refused: its member {name!r} points outside the archive")
    return path


def _tar(where: Path, suffix: str) -> Iterator[Member]:
    with tarfile.open(where, "r|*") as tar:  # as a stream: going back would unpack everything again
        for member in tar:
            path = safe_path(member.name, where)
            if not member.name.endswith(suffix):
                continue
            if not member.isreg() or member.size > LARGEST_MEMBER:
                raise DataError(f"{where} is refused: its member {member.name!r} is too large or no plain file")
            stream = tar.extractfile(member)
            assert stream is not None  # extractfile returns None only for what isreg() has excluded
            yield path, stream.read()


def _zip(file: object, where: Path, suffix: str, depth: int = 0) -> Iterator[Member]:
    with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]
        for member in archive.infolist():
            path = safe_path(member.filename, where)
            if member.is_dir():
                continue
            if path.suffix == ".zip" and depth == 0:
                with tempfile.TemporaryFile() as inner:
                    with archive.open(member) as packed:
                        shutil.copyfileobj(packed, inner, 1 << 20)
                    yield from _zip(inner, where, suffix, depth + 1)
            elif path.name.endswith(suffix):
                if member.file_size > LARGEST_MEMBER:
                    raise DataError(f"{where} is refused: its member {member.filename!r} is too large")
                with archive.open(member) as packed:
                    # No more than it claims to hold: a zip can lie about that.
                    yield path, packed.read(member.file_size)
