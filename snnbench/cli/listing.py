"""``snnbench list``: algorithms, problems, data."""

import argparse
import json


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("list", help="list algorithms, problems and data sets")
    parser.add_argument("what", nargs="?", metavar="KIND", help="algorithms, problems or data (default: all)")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.data.catalog import CATALOG
    from snnbench.errors import unknown
    from snnbench.registry import entries

    kinds = {
        "algorithms": lambda: {name: entry.summary() for name, entry in entries("algorithm").items()},
        "problems": lambda: {name: entry.summary() for name, entry in entries("problem").items()},
        "data": lambda: {name: info.doc for name, info in CATALOG.items()},
    }
    if args.what is not None and args.what not in kinds:
        raise unknown("kind", args.what, kinds)
    found = {kind: make() for kind, make in kinds.items() if args.what in (None, kind)}
    if args.json:
        rows = {kind: [{"name": n, "summary": s} for n, s in names.items()] for kind, names in found.items()}
        print(json.dumps(rows, indent=2))
        return 0
    for position, (kind, names) in enumerate(found.items()):
        print(("\n" if position else "") + kind)
        width = max((len(name) for name in names), default=0)
        for name, summary in names.items():
            print(f"  {name:{width}}  {summary}".rstrip())
    return 0
