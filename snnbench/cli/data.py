"""``snnbench data``: list, fetch and check data sets."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snnbench.data.check import DataStatus


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("data", help="list, fetch and check data sets")
    verbs = parser.add_subparsers(dest="data_verb", metavar="VERB", required=True)
    listing = verbs.add_parser("list", help="what data sets there are, and what of them is here")
    listing.add_argument("--json", action="store_true", help="machine-readable output")
    listing.set_defaults(run=_list)
    fetching = verbs.add_parser("fetch", help="download data sets into the cache (resumable, checksums verified)")
    fetching.add_argument("names", nargs="+", metavar="NAME", help="data set")
    fetching.set_defaults(run=_fetch)
    checking = verbs.add_parser("check", help="take checksums of what is here, and read it")
    checking.add_argument("names", nargs="*", metavar="NAME", help="data set (all that are here if none is named)")
    checking.set_defaults(run=_check)
    for verb in (listing, fetching, checking):
        verb.add_argument(
            "--data-dir", type=Path, metavar="FOLDER", help="folder with your own copy, looked into first"
        )
        verb.add_argument(
            "--cache-dir", type=Path, metavar="FOLDER", help="cache (default: $SNNBENCH_CACHE or ~/.cache/snnbench)"
        )


def _list(args: argparse.Namespace) -> int:
    from snnbench.data.catalog import CATALOG
    from snnbench.data.check import status

    states = [status(name, args.data_dir, args.cache_dir, verify=False) for name in CATALOG]
    if args.json:
        print(json.dumps([_row(state) for state in states], indent=2))
        return 0
    table = [("NAME", "CLASSES", "SHAPE", "SEARCH/VALIDATION/TEST", "HERE", "WHAT")]
    for state in states:
        info = CATALOG[state.name]
        shape = "x".join(str(n) for n in ((info.steps,) if info.steps else ()) + info.shape)
        sizes = "/".join(str(n) for n in info.sizes.values())
        table.append((info.name, str(info.classes), shape, sizes, state.path or "no", info.doc))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    for row in table:
        print("  ".join([cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]).rstrip())
    return 0


def _row(state: "DataStatus") -> dict[str, object]:
    from snnbench.data.catalog import CATALOG

    info = CATALOG[state.name]
    described = {
        key: getattr(info, key)
        for key in ("name", "doc", "kind", "classes", "shape", "steps", "values", "sizes", "manifest", "licence")
    }
    described |= {"reference": info.reference, "url": info.origin}
    return described | {key: value for key, value in asdict(state).items() if key != "name"}


def _fetch(args: argparse.Namespace) -> int:
    from snnbench.data.catalog import info_of
    from snnbench.data.fetching import fetch

    for name in args.names:
        info_of(name)  # an unknown name must not surface after the first long download
    for name in args.names:
        if info_of(name).embedded:
            print(f"{name}: embedded, nothing to fetch")
            continue
        source = fetch(name, data_dir=args.data_dir, cache_dir=args.cache_dir, progress=_Percent())
        print(f"{name}: {source.path}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from snnbench.data.catalog import CATALOG, info_of
    from snnbench.data.check import status

    for name in args.names:
        info_of(name)
    bad = 0
    for name in args.names or CATALOG:
        state = status(name, args.data_dir, args.cache_dir)
        if state.state == "damaged":
            text, failed = f"damaged: {state.detail.removeprefix(name + ': ')}", True
        elif state.state == "missing":
            info = info_of(name)
            how = f"`snnbench data fetch {name}` gets it" if info.downloadable else f"get it from {info.page}"
            text, failed = f"not here; {how}", name in args.names
        else:
            text, failed = _read(name, state, args)
        print(f"{name}: {text}")
        bad += failed
    return 1 if bad else 0


def _read(name: str, state: "DataStatus", args: argparse.Namespace) -> tuple[str, bool]:
    """Load what has the right checksums, or is the user's own; the line to print, and whether that failed."""
    import warnings

    from snnbench.data.catalog import info_of
    from snnbench.data.folders import default_cache
    from snnbench.data.loading import UnofficialDataWarning, load
    from snnbench.data.lookup import official_folder
    from snnbench.errors import DataError

    info = info_of(name)
    if info.converted:
        if state.state == "unofficial":
            return f"not the official data, usable with --data-dir; {state.path}", False
        if not (official_folder(info, args.cache_dir or default_cache()) / "frames.npy").is_file():
            return f"official archives, made into {info.converts_to} when first used; {state.path}", False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnofficialDataWarning)  # the printed line says it
        try:
            data = load(name, data_dir=args.data_dir, cache_dir=args.cache_dir, download=False)
        except DataError as error:
            return f"damaged: {str(error).removeprefix(name + ': ')}", True
    counts = ", ".join(f"{count} {split}" for split, count in data.provenance["counts"].items())
    word = "official" if data.provenance["official"] else "not the official data, usable with --data-dir"
    return f"{word}; {counts}; SHA-256 {data.provenance['sha256'][:16]}; {state.path}", False


class _Percent:
    """Progress on stderr: rewritten in place on a terminal, a line every tenth elsewhere."""

    def __init__(self) -> None:
        self.shown = -1

    def __call__(self, stage: str, done: int, total: int) -> None:
        terminal = sys.stderr.isatty()
        percent = 100 * done // max(total, 1)
        step = percent if terminal else percent // 10
        if step == self.shown:
            return
        self.shown = step
        line = f"{stage}: {percent:3d} % of {total / 1e6:.1f} MB"
        end = "\n" if not terminal or done >= total else ""
        print(("\r" if terminal else "") + line, end=end, file=sys.stderr, flush=True)
