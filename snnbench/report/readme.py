"""``python -m snnbench.report.readme leaderboards``: the tables of published results, made anew in their README.

The README has a pair of markers for each suite, ``<!-- results: digits -->`` and ``<!-- end of results -->``; what lies
between them is replaced by the ranking of all runs in ``results/digits``.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from snnbench.errors import RecordError, SnnbenchError, UsageError
from snnbench.experiment.disk import replacing
from snnbench.experiment.suite import Suite, load_suite
from snnbench.report.board import of_suite
from snnbench.report.tables import markdown, tables
from snnbench.stats.ranking import rank
from snnbench.stats.results import load_results

_PLACE = re.compile(r"(<!-- results: ([a-z0-9-]+) -->\n)(.*?)(<!-- end of results -->)", re.S)
NOTHING = "No results yet.\n"


def renewed(text: str, folder: Path) -> str:
    """A README with its tables made from what is recorded now.

    Parameters
    ----------
    text
        The README.
    folder
        Holds ``results/SUITE/ENTRY``.

    Raises
    ------
    UsageError
        If it has no markers, or names an unknown suite.
    """
    if not _PLACE.search(text):
        raise UsageError("the README has no `<!-- results: SUITE -->` ... `<!-- end of results -->` to fill")

    def filled(place: re.Match[str]) -> str:
        return f"{place[1]}\n{_table(load_suite(place[2]), folder / 'results' / place[2])}\n{place[4]}"

    return _PLACE.sub(filled, text)


def update(folder: Path, check: bool = False) -> bool:
    """Make the tables of ``README.md`` in a folder anew; whether that changed (or with `check` would change) it."""
    path = folder / "README.md"
    try:
        before = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from None
    after = renewed(before, folder)
    if after != before and not check:
        with replacing(path) as file:
            file.write(after.encode())
    return after != before


def _table(suite: Suite, folder: Path) -> str:
    try:
        results, left_out = of_suite(load_results(folder), suite)
    except RecordError:  # no run yet
        return NOTHING
    ranking = rank(results)
    ranking.notes.extend([left_out] if left_out else [])
    return markdown(tables(ranking))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m snnbench.report.readme", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("leaderboards"))
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a table is not up to date")
    args = parser.parse_args(arguments)
    try:
        changed = update(args.folder, args.check)
    except SnnbenchError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_code
    says = ("is up to date", "is not up to date" if args.check else "was renewed")[changed]
    print(f"{args.folder / 'README.md'} {says}")
    return int(changed and args.check)


if __name__ == "__main__":
    sys.exit(main())
