"""``snnbench resume``: continue an interrupted run."""

import argparse
from pathlib import Path

from snnbench.cli.options import add_folders


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("resume", help="continue interrupted runs")
    parser.add_argument("directory", type=Path, nargs="+", metavar="RUN", help="run directory")
    add_folders(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from snnbench.cli.options import context
    from snnbench.cli.run import _show
    from snnbench.experiment.loop import resume
    from snnbench.experiment.record import open_run
    from snnbench.report.live import observer

    display = observer()
    try:
        for directory in args.directory:
            record = open_run(directory)
            folders = context(args)
            if args.data_dir is None:
                recorded = record.content.get("folders", {}).get("data_dir")
                folders = replace(folders, data_dir=recorded and Path(recorded))
            result = resume(directory, display, folders)
            display.close()
            _show(result, list(record.content["problem"]["objectives"]), brief=len(args.directory) > 1)
    finally:
        display.close()
    return 0
