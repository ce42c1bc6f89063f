"""Where data sets and checkpoints are kept."""

import os
from pathlib import Path


def default_cache() -> Path:
    """The cache folder: ``$SNNBENCH_CACHE``, else ``$XDG_CACHE_HOME/snnbench``, else ``~/.cache/snnbench``."""
    named = os.environ.get("SNNBENCH_CACHE")
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "snnbench"


def data_folder(cache_dir: Path, name: str) -> Path:
    """The folder inside the cache that holds one data set's files."""
    return cache_dir / "data" / name
