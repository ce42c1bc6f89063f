"""A folder of generated files: whole files only, a list of them with hashes, and nothing left of an earlier state."""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

from snnbench.errors import UsageError

SUMS = "board.sha256"
"""Lists the files; a name of its own, so that no other folder with checksums is taken for a generated one."""


class GeneratedFolder:
    """Collects files, and then replaces what a folder holds of an earlier state by them.

    They are listed in ``board.sha256``, which ``sha256sum -c`` checks. Nothing changes on disk before `save`.

    Parameters
    ----------
    folder
        Created if absent. One that holds files that were not generated is refused.

    Raises
    ------
    UsageError
        If it holds other files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is no folder")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / SUMS).is_file():
            raise UsageError(f"{folder} holds other files (no {SUMS} of an earlier board); name an empty folder")
        self._before = self._listed()
        self._content: dict[str, bytes | Path] = {}
        self.sums: dict[str, str] = {}
        self.bytes = 0

    def add(self, path: str, content: str | bytes) -> None:
        """Add a file.

        Parameters
        ----------
        path
            From the folder, with ``/``; never out of it.
        content
            Text is written as UTF-8. Lone surrogates, which no encoding has, become question marks.
        """
        data = content.encode("utf-8", "replace") if isinstance(content, str) else content
        self._claim(path, data, hashlib.sha256(data).hexdigest(), len(data))

    def copy(self, path: str, source: Path, sha256: str) -> None:
        """Add a copy of a file whose hash is known."""
        self._claim(path, source, sha256, source.stat().st_size)

    def save(self) -> None:
        """Write all files under temporary names, rename them, and delete what an earlier state had and this has not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Until all is written the list names what may be there, so that a second attempt knows what it may replace.
        self._list(dict.fromkeys(self._before, "0" * 64) | self.sums)
        for path, content in self._content.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, content)
        for path in sorted(self._before - set(self.sums)):
            (self.folder / path).unlink(missing_ok=True)
            for parent in PurePosixPath(path).parents:
                empty = self.folder / parent
                if parent.parts and empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
        self._list(self.sums)

    def _list(self, sums: dict[str, str]) -> None:
        _write(self.folder / SUMS, "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode())

    def _claim(self, path: str, content: bytes | Path, sha256: str, size: int) -> None:
        if not _inside(path) or path in self._content:
            raise ValueError(f"{path} leads out of the folder, or is there twice")
        self._content[path] = content
        self.sums[path] = sha256
        self.bytes += size

    def _listed(self) -> set[str]:
        """What an earlier state wrote; lines that lead out of the folder are ignored, whoever wrote them."""
        try:
            text = (self.folder / SUMS).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return set()
        except UnicodeDecodeError:
            raise UsageError(f"{self.folder / SUMS} was not written by snnbench; name an empty folder") from None
        return {line[66:] for line in text.splitlines() if _inside(line[66:])}


def _write(target: Path, content: bytes | Path) -> None:
    """A whole file or none; one that has this content already is left alone."""
    if isinstance(content, bytes) and target.is_file() and target.read_bytes() == content:
        return
    temporary = target.with_name(target.name + ".tmp")
    try:
        if isinstance(content, Path):
            shutil.copyfile(content, temporary)
        else:
            temporary.write_bytes(content)
        os.replace(temporary, target)
    except BaseException:  # of a full disk, above all; what is left would be taken for somebody's file
        temporary.unlink(missing_ok=True)
        raise


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and "\0" not in path
