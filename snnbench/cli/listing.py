"""``snnbench list``: algorithms, problems, data, suites."""

import argparse
import json
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snnbench.registry import Entry

WIDTH = 79
UNSORTED = "other"

Row = dict[str, Any]


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("list", help="list algorithms, problems, data sets and suites")
    parser.add_argument("what", nargs="?", metavar="KIND", help="algorithms, problems, data or suites (default: all)")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.data.catalog import CATALOG
    from snnbench.errors import unknown
    from snnbench.experiment.suite import suites
    from snnbench.registry import entries

    kinds: dict[str, Callable[[], list[Row]]] = {
        "algorithms": lambda: [_algorithm(entry) for entry in entries("algorithm").values()],
        "problems": lambda: [{"name": n, "summary": entry.summary()} for n, entry in entries("problem").items()],
        "data": lambda: [{"name": name, "summary": info.doc} for name, info in CATALOG.items()],
        "suites": lambda: [_suite(name) for name in suites()],
    }
    if args.what is not None and args.what not in kinds:
        raise unknown("kind", args.what, kinds)
    found = {kind: make() for kind, make in kinds.items() if args.what in (None, kind)}
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for position, (kind, rows) in enumerate(found.items()):
        print(("\n" if position else "") + kind)
        width = max((len(row["name"]) for row in rows), default=0)
        for family in sorted(
            {row.get("family", "") for row in rows}, key=lambda name: (name == UNSORTED, name.lower())
        ):
            indent = 2 * bool(family)
            if family:
                print(f"\n  {family}")
            for row in rows:
                if row.get("family", "") == family:
                    _show(row, indent + 2, width)
    return 0


def _show(row: Row, indent: int, width: int) -> None:
    margin = " " * (indent + width + 2)
    head = f"{' ' * indent}{row['name']:{width}}  "
    print(textwrap.fill(row["summary"], WIDTH, initial_indent=head, subsequent_indent=margin).rstrip() or head.rstrip())
    notes = [abilities(row["capabilities"]) if row.get("capabilities") else ""]
    if row.get("missing"):
        notes.append(f"not installed: {', '.join(row['missing'])}{remedy(row['extra'])}")
    for note in filter(None, notes):
        print(textwrap.fill(note, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False))


def _suite(name: str) -> Row:
    from snnbench.experiment.suite import load_suite

    suite = load_suite(name)
    size = f"{len(suite.problems)} problems, {len(suite.algorithms)} algorithms, {len(suite.seeds)} seeds"
    return {"name": name, "summary": f"{suite.description}: {size}", "version": suite.version}


def _algorithm(entry: "Entry") -> Row:
    from snnbench.declared import missing

    requires = tuple(entry.declares("requires") or ())
    return {
        "name": entry.name,
        "summary": entry.summary(),
        "family": entry.declares("family") or UNSORTED,
        "capabilities": entry.declares("capabilities"),
        "requires": list(requires),
        "extra": entry.declares("extra") or "",
        "missing": missing(requires),
    }


def abilities(can: Row) -> str:
    """Capabilities, by their names, in a few words.

    Examples
    --------
    >>> fields = {"objectives": None, "min_objectives": 2, "min_dimension": 1, "max_dimension": 300, "discrete": False}
    >>> abilities(fields | {"constraints": True, "asynchronous": True, "horizon": False, "gradient": False})
    '2 or more objectives, constraints, up to 300 dimensions, asynchronous'
    """
    most, least, low, high = (can[key] for key in ("objectives", "min_objectives", "min_dimension", "max_dimension"))
    if high is not None:
        dimensions = f"{low} to {high:,} dimensions" if low > 1 else f"up to {high:,} dimensions"
    else:
        dimensions = f"{low} or more dimensions" if low > 1 else ""
    flags = {
        "constraints": can["constraints"],
        "discrete variables": can["discrete"],
        dimensions: True,
        "asynchronous": can["asynchronous"],
        "depends on budget": can["horizon"],
        "uses gradients": can["gradient"],
    }
    objectives = "any number of objectives" if most is None and least == 1 else f"{count(least, most)} objectives"
    objectives = objectives.removesuffix("s" if most == 1 else "")
    return ", ".join([objectives, *(name for name, given in flags.items() if name and given)])


def count(least: int, most: int | None) -> str:
    """A range of numbers from 1 on, in words."""
    if most is None:
        return "any number" if least == 1 else f"{least} or more"
    return str(most) if least == most else f"{least} to {most}"


def remedy(extra: str) -> str:
    """How to get what an extra brings; nothing if it is none of snnbench's."""
    return f"; pip install 'snnbench[{extra}]'" if extra else ""
