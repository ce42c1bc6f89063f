"""Many runs at once: ``snnbench run --suite`` and ``snnbench run --workers``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snnbench.cli.options import context, names, seeds
from snnbench.errors import UsageError

if TYPE_CHECKING:
    from snnbench.experiment.plan import RunPlan

# What a suite fixes: option, attribute of the parsed arguments.
_FIXED = (
    ("--budget", "budget"),
    ("--objectives", "objectives"),
    ("--constraints", "constraints"),
    ("--penalty", "penalty"),
    ("--early-rejection", "early_rejection"),
    ("--time-limit", "time_limit"),
    ("--eval-workers", "eval_workers"),
    ("--async", "asynchronous"),
    ("--fresh", "fresh"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--suite", metavar="NAME", help="the runs of a suite, or of a file.toml (snnbench list suites)")
    parser.add_argument("--workers", metavar="N", help="runs made at once, in processes of their own; or auto")
    parser.add_argument("--retry-failed", action="store_true", help="of a suite or with --workers: failed runs too")


def suite_plans(args: argparse.Namespace) -> "list[RunPlan]":
    """The runs of ``--suite``, with what does not fit printed."""
    from snnbench.experiment import suite as suites

    for option, attribute in _FIXED:
        if getattr(args, attribute, None):
            raise UsageError(f"{option} does not go with --suite: a suite fixes what is run; copy and change its file")
    chosen = suites.load_suite(args.suite)
    some = seeds(args.seed, args.seeds) if args.seed is not None or args.seeds is not None else []
    if other := sorted(set(some) - set(chosen.seeds)):
        raise UsageError(f"seed {other[0]} is none of the suite {chosen.name}")
    plans, reasons = suites.suite_plans(
        chosen, names(args.algo), names(args.problem), some, args.settings, args.device, context(args)
    )
    print(f"suite {chosen.title}: {chosen.description}")
    for reason in reasons:
        print(f"left out: {reason}")
    if not plans:
        raise UsageError("none of these algorithms fits any problem of the suite")
    return plans


def make(plans: "Sequence[RunPlan]", args: argparse.Namespace) -> int:
    """Make the runs that are not there yet, several at once; the exit code."""
    from snnbench.experiment.scheduler import Scheduler
    from snnbench.report.matrix import closing, observer

    scheduler = Scheduler(plans, args.out, _count(args.workers), context(args), observer(), args.retry_failed)
    cells = scheduler.run()
    print(closing(cells, str(args.out)), flush=True)
    if scheduler.stopped:
        return 128 + scheduler.stopped
    return int(any(cell.state != "complete" for cell in cells))


def dry_run(plans: "Sequence[RunPlan]", out: Path, args: argparse.Namespace) -> int:
    """What there is to do, by problem, and what it costs."""
    from snnbench.experiment.matrix import survey
    from snnbench.experiment.plan import build_problem
    from snnbench.experiment.plan import estimate as estimated
    from snnbench.registry import display_name
    from snnbench.report.matrix import counts_text
    from snnbench.report.text import duration, table

    cells = survey(plans, out)
    folders = context(args)
    rows, total = [], 0.0
    for name in dict.fromkeys((c.plan.problem, c.plan.problem_settings) for c in cells):
        mine = [c for c in cells if (c.plan.problem, c.plan.problem_settings) == name]
        left = [c for c in mine if c.state != "complete"]
        estimate = estimated(build_problem(mine[0].plan, folders))
        seconds = estimate.evaluation * sum(c.plan.budget for c in left) + estimate.preparation * bool(left)
        total += seconds
        budgets = "/".join(f"{b:,}" for b in sorted({c.plan.budget for c in mine}))
        algorithms = len({(c.plan.algorithm, c.plan.algorithm_settings) for c in mine})
        shown = [display_name("problem", name[0]), str(algorithms), str(len({c.plan.seed for c in mine})), budgets]
        rows.append([*shown, f"{len(left):,}", duration(seconds)])
    print(table(["problem", "algorithms", "seeds", "evaluations", "runs left", "search"], rows))
    workers = _count(args.workers)
    print(
        f"\n{len(cells):,} runs: {counts_text(cells)}; about {duration(total / workers)} with "
        f"{workers} worker{'s' * (workers > 1)}\n(measured on a few samples; recommendations and algorithms' own time "
        "not included)"
    )
    return 0


def _count(text: str | None) -> int:
    from snnbench.experiment.scheduler import available_cores

    if text is None:
        return 1
    if text == "auto":
        import torch

        return torch.cuda.device_count() or available_cores()
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--workers must be a whole number or auto, got {text!r}") from None
