"""``snnbench status``: what runs a folder holds."""

import argparse
import json
from pathlib import Path


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("status", help="show the runs in a folder and how far they are")
    parser.add_argument("directory", type=Path, nargs="?", default=Path("runs"), metavar="FOLDER", help="(runs)")
    parser.add_argument("--suite", metavar="NAME", help="compare with a suite: what is there, missing, failed")
    parser.add_argument("--algo", action="append", metavar="NAME", help="with --suite: in the place of its baselines")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.errors import RecordError, UsageError

    if args.suite is not None:
        return _against_suite(args)
    if args.algo:
        raise UsageError("--algo goes with --suite")
    if not args.directory.is_dir():
        raise UsageError(f"{args.directory} is no folder; runs are made by `snnbench run`")
    directories = sorted(path.parent for path in args.directory.rglob("run.json"))
    if not directories:
        raise UsageError(f"{args.directory} holds no runs; runs are made by `snnbench run`")
    from snnbench.experiment.log import read_rows
    from snnbench.experiment.record import open_run
    from snnbench.report.text import table

    rows: list[dict[str, str | int | None]] = []
    for directory in directories:
        row: dict[str, str | int | None] = {
            "run": str(directory),
            "status": "",
            "evaluations": None,
            "budget": None,
            "detail": "",
        }
        try:
            record = open_run(directory)
            found = read_rows(directory, columns="evaluation".__eq__)
            if record.status == "complete":
                record.result(cached=True)
            row |= {
                "status": record.status,
                "evaluations": 0 if found is None else found.num_rows,
                "budget": record.plan.budget,
                "detail": (record.content.get("error") or {}).get("message") or record.content.get("stop") or "",
            }
        except RecordError as error:
            row |= {"status": "unreadable", "detail": str(error)}
        rows.append(row)
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    shown = []
    for row in rows:
        count = "" if row["budget"] is None else f"{row['evaluations']:,}/{row['budget']:,}"
        shown.append([str(row["run"]), str(row["status"]), count])
    print(table(["run", "status", "evaluations"], shown))
    for row in rows:
        if row["status"] in ("failed", "unreadable"):
            print(f"{row['run']}: {row['detail']}")
        elif row["status"] == "interrupted":
            print(f"{row['run']}: continue with `snnbench resume {row['run']}`")
    return 0


def _against_suite(args: argparse.Namespace) -> int:
    """Every run of a suite, whether it is there or not."""
    from snnbench.cli.options import names
    from snnbench.experiment.matrix import BAD, survey
    from snnbench.experiment.record import find_runs
    from snnbench.experiment.suite import load_suite, suite_plans
    from snnbench.report.matrix import counts_text, grid

    suite = load_suite(args.suite)
    plans, reasons = suite_plans(suite, names(args.algo), installed=False)
    cells = survey(plans, args.directory)
    others = set(find_runs(args.directory)) - {cell.directory for cell in cells}
    if args.json:
        rows = [{"run": str(c.directory), "status": c.state, "detail": c.detail} for c in cells]
        print(json.dumps({"suite": suite.name, "version": suite.version, "runs": rows}, indent=2))
        return 0
    print(f"suite {suite.title} in {args.directory}: {counts_text(cells)}\n")
    print(grid(cells))
    for reason in reasons:
        print(f"left out: {reason}")
    for cell in cells:
        if cell.state in BAD:
            print(f"{cell.directory}: {cell.state}: {cell.detail}")
    if others:
        print(f"{len(others):,} other runs are there, too")
    return 0
