"""Files that are either the old version, the new version, or absent, whatever happens while they are written."""

import contextlib
import errno
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from snnbench.errors import RecordError, SnnbenchError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


class DiskFull(SnnbenchError):
    """No space, quota or file size is left; the file that was being written keeps its old content."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name; it appears under its own, synced to the disk, only when complete.

    Raises
    ------
    DiskFull
        When the disk, the quota or the largest file size is used up. The temporary file is removed.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _FULL:
            raise DiskFull(f"no space left while writing {path}") from error
        raise


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON atomically, for people (indented) and programs alike; see `plain`."""
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """Read a JSON object, or raise `RecordError` with the advice."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror}); {advice}") from None
    except ValueError:
        raise RecordError(f"{path} is truncated or no JSON; {advice}") from None
    if not isinstance(content, dict):
        raise RecordError(f"{path} does not hold a JSON object; {advice}")
    return content


def plain(value: Any) -> Any:
    """The same as JSON can hold it: arrays become lists, and NaN and infinities null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic) or type(value).__module__ == "torch":
        return plain(value.tolist()) if hasattr(value, "tolist") else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def remove_leftovers(*folders: Path) -> None:
    """Delete temporary files that a killed process left behind."""
    for folder in folders:
        for leftover in folder.glob("*.tmp"):
            leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # Without this the rename itself may be lost in a power failure. Windows has no such call.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
