"""``snnbench prepare``: fetch data and make checkpoints ahead of runs."""

import argparse

from snnbench.cli.options import add_folders, context, names


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("prepare", help="fetch data and make checkpoints of problems")
    parser.add_argument("problem", nargs="+", metavar="PROBLEM", help="problem(s)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu or cuda:N (default auto)")
    parser.add_argument("--set", action="append", default=[], metavar="problem.NAME=VALUE", dest="settings",
                        help="parameter of the problem")  # fmt: skip
    add_folders(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import time
    from dataclasses import replace

    from snnbench.experiment.plan import build_problem, plans
    from snnbench.report.live import observer
    from snnbench.report.text import duration

    display = observer()
    folders = replace(context(args), progress=display.on_prepare)
    try:
        for plan in plans(["random"], names(args.problem), settings=args.settings, device=args.device):
            problem = build_problem(plan, folders)
            began = time.monotonic()
            problem.prepare()
            display.close()
            print(f"{plan.problem} is ready ({duration(time.monotonic() - began)}); {problem.dimension:,} variables")
    finally:
        display.close()
    return 0
