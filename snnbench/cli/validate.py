"""``snnbench validate``: whether a folder of runs can be published."""

import argparse
import json
from pathlib import Path

from snnbench.cli.options import add_folders, context


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "validate",
        help="check recorded runs before they are published",
        description="Check every run in a folder: files, numbers, copies, completeness for a suite, checksums; and "
        "measure the recommendations of a few runs again. Nothing that a record names is executed. Exit code 1 if "
        "anything is wrong.",
    )
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--suite", metavar="NAME", help="suite the runs must be complete for: a name, or FILE.toml")
    parser.add_argument("--sample", type=int, default=0, metavar="N",
                        help="measure the recommendations of N runs again; prepares their problems (0)")  # fmt: skip
    parser.add_argument("--sample-seed", type=int, metavar="S", help="repeat the choice that a report names (random)")
    parser.add_argument("--tolerance", type=float, default=0.005, metavar="T",
                        help="largest difference, as a share of an objective's frozen range (0.005)")  # fmt: skip
    parser.add_argument("--write-manifest", action="store_true", help="write SHA256SUMS into the folder, then validate")
    parser.add_argument("--trust-code", action="store_true",
                        help="execute files.py that records name as problems, to measure again")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="show every finding, not only the first of each check")
    parser.add_argument("--json", action="store_true", help="machine-readable output, with every finding")
    add_folders(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from snnbench.errors import UsageError
    from snnbench.experiment.suite import load_suite
    from snnbench.report.live import observer
    from snnbench.report.validation import shown
    from snnbench.validation import Options, validate, write_manifest

    if args.sample < 0:
        raise UsageError(f"--sample must be 0 or more, got {args.sample}")
    if not 0 <= args.tolerance <= 1:
        raise UsageError(f"--tolerance must be in [0, 1], got {args.tolerance}")
    suite = load_suite(args.suite) if args.suite else None
    if args.write_manifest:
        write_manifest(args.directory)
    display, folders = observer(), context(args)
    try:
        if not args.json:
            folders = replace(folders, progress=display.on_prepare)
        options = Options(suite, args.sample, args.sample_seed, args.tolerance, args.trust_code, folders)
        report = validate(args.directory, options)
    finally:
        display.close()
    print(json.dumps(report.content(), indent=2) if args.json else shown(report, args.all))
    return 0 if report.valid else 1
