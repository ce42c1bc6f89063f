"""Options that several verbs share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from snnbench.errors import UsageError

if TYPE_CHECKING:
    from snnbench.problem import Context


MOST_SEEDS = 100_000


def add_folders(parser: argparse.ArgumentParser) -> None:
    """``--data-dir`` and ``--cache-dir``."""
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER", help="folder with your own data, looked into first")
    parser.add_argument(
        "--cache-dir",
        type=Path,
        metavar="FOLDER",
        help="data and checkpoints (default: $SNNBENCH_CACHE or ~/.cache/snnbench)",
    )


def context(args: argparse.Namespace) -> "Context":
    """The folders that the command line names."""
    from snnbench.data.folders import default_cache
    from snnbench.problem import Context

    if args.data_dir is not None and not args.data_dir.is_dir():
        raise UsageError(f"--data-dir {args.data_dir} is no folder")
    return Context(data_dir=args.data_dir, cache_dir=args.cache_dir or default_cache())


def names(values: list[str] | None) -> list[str]:
    """Names given comma-separated, repeated, or both."""
    return [name for value in values or [] for name in (part.strip() for part in value.split(",")) if name]


def seeds(single: str | None, several: str | None) -> list[int]:
    """``--seed N`` or ``--seeds A:B`` (A, ..., B - 1) or ``--seeds N,M,...``.

    Raises
    ------
    UsageError
        For anything else.
    """
    try:
        if several is None:
            found = [int(single)] if single is not None else [0]
        elif ":" in several:
            first, _, end = several.partition(":")
            if int(end) - int(first) > MOST_SEEDS:
                raise UsageError(f"--seeds {several} are more than {MOST_SEEDS:,} seeds")
            found = list(range(int(first), int(end)))
        else:
            found = [int(part) for part in several.split(",")]
    except ValueError:
        given = single if several is None else several
        raise UsageError(f"seeds must look like 3, 0:10 (0 to 9) or 1,5,7; got {given!r}") from None
    if not found or min(found) < 0:
        raise UsageError(f"seeds must be 0 or more and at least one; got {several if several else single!r}")
    return found
