"""``SHA256SUMS``: the checksum of every file of a folder, in the format of ``sha256sum``."""

import re
from collections.abc import Sequence
from pathlib import Path

from snnbench.errors import UsageError
from snnbench.experiment.disk import replacing, sha256
from snnbench.validation.files import regular_files
from snnbench.validation.findings import Report

MANIFEST = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def write_manifest(folder: Path) -> int:
    """Write ``SHA256SUMS`` into a folder.

    ``sha256sum --check SHA256SUMS``, started in the folder, verifies it without snnbench.

    Returns
    -------
    int
        How many files it lists: all regular ones but locks, temporary files and itself.

    Raises
    ------
    UsageError
        If the folder is none, or a file's name has a line break in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    files = regular_files(folder)
    if bad := next((path for path in files if {"\n", "\r", "\\"} & set(str(path))), None):
        raise UsageError(f"rename {str(bad)!r}: a manifest cannot list a name with a line break or backslash in it")
    with replacing(folder / MANIFEST) as file:
        for path in files:
            file.write(f"{sha256(folder / path)}  {path.as_posix()}\n".encode())
    return len(files)


def verify(folder: Path, files: Sequence[Path], report: Report) -> None:
    """Compare the folder's files with its ``SHA256SUMS``."""
    listed = _read(folder, report)
    if listed is None:
        return
    present = {path.as_posix() for path in files}
    for name, expected in listed.items():
        if name not in present:
            report.add("error", "manifest", name, "listed, but not there")
        elif sha256(folder / name) != expected:
            report.add("error", "manifest", name, "is not the file that was listed: its SHA-256 is another")
    for name in sorted(present - set(listed)):
        report.add("error", "manifest", name, f"not listed in {MANIFEST}")


def _read(folder: Path, report: Report) -> dict[str, str] | None:
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        report.add("warning", "manifest", "", f"no {MANIFEST}: `snnbench validate FOLDER --write-manifest` makes one")
        return None
    listed: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        report.add("error", "manifest", MANIFEST, "cannot be read as text")
        return None
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in listed:
            reason = "is no checksum and name" if match is None else "names a file again"
            report.add("error", "manifest", MANIFEST, f"line {number} {reason}; write it anew")
            return None
        listed[match[2]] = match[1]
    return listed
