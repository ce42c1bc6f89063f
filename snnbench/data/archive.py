"""Take the expected files out of a tar archive, and nothing else.

Members are read as byte streams and written under names of our own, so no path, link or permission that an archive
carries ever reaches the file system; an archive that tries is refused all the same.
"""

import os
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from snnbench.errors import DataError, said

# Six times the largest official file; more than that is no CIFAR file but an attempt to fill the memory.
LARGEST_MEMBER = 1 << 30


def read_members(archive: Path, folder: str, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The named files of one folder of an archive, in the archive's order.

    Parameters
    ----------
    archive
        A tar file, compressed or not.
    folder
        The folder inside the archive.
    names
        The wanted files of that folder. Other plain files are passed over.

    Raises
    ------
    DataError
        If a member is absolute, climbs out with "..", or a wanted one is a link, a device, too large or repeated.
    tarfile.TarError, OSError, EOFError
        If it is no readable archive.
    """
    seen = set()
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
                raise DataError(f"{archive} is refused: its member {member.name!r} points outside the archive")
            name = path.name
            if name not in names or path != PurePosixPath(folder) / name:
                continue
            if not member.isreg():
                raise DataError(f"{archive} is refused: its member {member.name!r} is not a plain file")
            if member.size > LARGEST_MEMBER or name in seen:
                raise DataError(f"{archive} is refused: its member {member.name!r} is too large or repeated")
            seen.add(name)
            stream = tar.extractfile(member)
            assert stream is not None  # extractfile returns None only for what isreg() has excluded
            yield name, stream.read()


def extract(archive: Path, folder: str, names: Collection[str], target: Path) -> Path:
    """Write the named files of one folder of an archive to ``target/folder``, all of them or none.

    Returns
    -------
    Path
        ``target/folder``, replaced if it was there.

    Raises
    ------
    DataError
        If the archive is refused (see `read_members`), cannot be read, lacks a file, or the disk is full.
    """
    target.mkdir(parents=True, exist_ok=True)
    final = target / folder
    for left in target.glob(".extract-*"):  # by a process that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=".extract-", dir=target) as temporary:
        written = Path(temporary) / folder
        written.mkdir()
        missing = set(names)
        try:
            for name, content in read_members(archive, folder, names):
                with open(written / name, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                missing.discard(name)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise DataError(f"{archive} cannot be extracted to {target}: {said(error)}") from error
        if missing:
            raise DataError(f"{archive} lacks {folder}/{min(missing)}")
        if final.exists():
            shutil.rmtree(final)
        os.replace(written, final)
    return final
