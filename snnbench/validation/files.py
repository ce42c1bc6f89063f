"""Which files a submitted folder holds, before any of them is opened."""

import os
import stat
from pathlib import Path

from snnbench.validation.findings import Report

_IGNORED = {"lock", "SHA256SUMS"}
_EXPECTED = (
    "run.json", "start.json", "recommendation.json", "evaluations.parquet", "timings.parquet",
    "recommendation.safetensors", "checkpoint.safetensors", "convergence.png", "runs.tar.xz",
)  # fmt: skip
_TEXTS = (".md", ".txt", ".toml")  # of the submitter, for people

MIB = 1 << 20
LIMITS = {".json": 16 * MIB, ".parquet": 256 * MIB, ".safetensors": 1024 * MIB, ".png": 8 * MIB, ".xz": 64 * MIB}
"""Largest file of each kind, bytes: what is larger is not opened."""
_OTHER = MIB


def regular_files(folder: Path) -> list[Path]:
    """Relative paths of the regular files of a folder, sorted, links left out and not followed."""
    found = []
    for place, _, names in os.walk(folder, followlinks=False):
        for name in names:
            path = Path(place, name)
            if name not in _IGNORED and not name.endswith(".tmp") and stat.S_ISREG(path.lstat().st_mode):
                found.append(path.relative_to(folder))
    return sorted(found)


def survey(folder: Path, report: Report) -> list[Path]:
    """Look at every file of a folder without opening it.

    Returns
    -------
    list of Path
        Relative paths of the regular files.
    """
    for place, folders, names in os.walk(folder, followlinks=False):
        for name in sorted([*folders, *names]):
            path = Path(place, name)
            where = path.relative_to(folder)
            status = path.lstat()
            if path.is_symlink():
                report.add("error", "files", where, f"is a link to {os.readlink(path)}; put the file itself here")
            elif name in names:
                _judge(path, where, status, report)
    return [path for path in regular_files(folder) if small(folder / path)]


def small(path: Path) -> bool:
    """Whether a file is there itself (no link) and not larger than its kind may be."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= LIMITS.get(path.suffix, _OTHER)


def _judge(path: Path, where: Path, status: os.stat_result, report: Report) -> None:
    if not stat.S_ISREG(status.st_mode):
        report.add("error", "files", where, "is no regular file")
    elif not small(path):
        limit = LIMITS.get(path.suffix, _OTHER)
        report.add("error", "files", where, f"{status.st_size / MIB:,.0f} MiB, at most {limit / MIB:,.0f} are accepted")
    elif path.name.endswith(".tmp"):
        report.add("warning", "files", where, "was left behind by a process that was killed; delete it")
    elif path.name not in (*_EXPECTED, *_IGNORED) and path.suffix not in _TEXTS and path.parent.name != "evaluations":
        report.add("warning", "files", where, "is no file of a record; it is not looked at")
