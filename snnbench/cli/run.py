"""``snnbench run``: make runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from snnbench.cli import matrix as many
from snnbench.cli.options import add_folders, context, names, seeds
from snnbench.errors import SnnbenchError, UsageError

if TYPE_CHECKING:
    from snnbench.experiment.plan import RunPlan
    from snnbench.experiment.record import RunResult
    from snnbench.problem import Context, Estimate, Problem


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "run",
        help="run algorithms on problems",
        description="Run every algorithm on every problem with every seed. A run that was interrupted is continued, "
        "one that is complete is shown.",
    )
    parser.add_argument("--algo", action="append", metavar="NAME", help="algorithm(s), or file.py:Class")
    parser.add_argument("--problem", action="append", metavar="NAME", help="problem(s), or file.py:Class")
    many.add(parser)
    parser.add_argument("--seed", metavar="N", help="seed of the run (default 0)")
    parser.add_argument("--seeds", metavar="A:B", help="seeds A to B-1, or a comma-separated list")
    parser.add_argument("--budget", metavar="N", help="evaluations per run (default: the problem's)")
    parser.add_argument("--time-limit", metavar="S", help="end the search after S seconds at the latest")
    parser.add_argument("--objectives", metavar="NAMES", help="what to minimise, e.g. error or error,energy")
    parser.add_argument("--constraints", metavar="NAMES", help="optional constraints to switch on, e.g. silent")
    parser.add_argument("--penalty", action="store_true",
                        help="penalised objectives for algorithms that do not handle constraints")  # fmt: skip
    parser.add_argument("--early-rejection", action="store_true",
                        help="leave candidates as soon as they have lost (differential evolution, sew-*)")  # fmt: skip
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu or cuda:N (default auto)")
    parser.add_argument("--eval-workers", metavar="N", help="candidates of a run evaluated at once, in N processes")
    parser.add_argument("--async", action="store_true", dest="asynchronous",
                        help="ask for a new candidate as soon as a worker is free")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="parameter of the algorithms (or ALGO.NAME), problem.NAME, evaluation.NAME")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("runs"), metavar="FOLDER", help="where records go (runs)")
    parser.add_argument("--fresh", action="store_true", help="replace an earlier record of the same run")
    parser.add_argument("--dry-run", action="store_true", help="print what would run and its estimated cost")
    add_folders(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.seed is not None and args.seeds is not None:
        raise UsageError("give --seed or --seeds, not both")
    if args.suite is not None:
        runs = many.suite_plans(args)
        return many.dry_run(runs, args.out, args) if args.dry_run else many.make(runs, args)
    if not args.algo or not args.problem:
        raise UsageError("run needs --algo and --problem, or --suite; `snnbench list` shows all")
    if args.retry_failed and args.workers is None:
        raise UsageError(
            "--retry-failed goes with --suite or --workers: a single run that failed is always tried again"
        )
    if args.fresh and args.workers is not None:
        raise UsageError("--fresh does not go with --workers")
    from snnbench.experiment.plan import check, plans

    matrix = plans(
        names(args.algo),
        names(args.problem),
        seeds(args.seed, args.seeds),
        _whole(args.budget, "--budget"),
        names([args.objectives] if args.objectives else None),
        names([args.constraints] if args.constraints else None),
        settings=args.settings,
        time_limit=_seconds(args.time_limit),
        device=args.device,
        eval_workers=_workers(args),
        asynchronous=args.asynchronous,
        penalty=args.penalty,
        early_rejection=args.early_rejection,
    )
    folders = context(args)
    problems = {id(plan): check(plan, folders) for plan in matrix}
    if args.workers is not None:
        return many.dry_run(matrix, args.out, args) if args.dry_run else many.make(matrix, args)
    if args.dry_run:
        return _dry_run(matrix, [problems[id(plan)] for plan in matrix])
    from snnbench.report.live import observer

    display = observer()
    results, failures = [], []
    try:
        for plan in matrix:
            problem = problems.pop(id(plan))
            objectives = list(problem.selected)
            try:
                result = _one(plan, problem, args, folders, display)
            except SnnbenchError as error:
                display.close()
                if len(matrix) == 1 or error.exit_code >= 128:
                    raise
                print(f"snnbench: {error}", flush=True)
                failures.append(error)
                continue
            results.append((result, objectives))
            _show(result, objectives, brief=len(matrix) > 1)
    finally:
        display.close()
    if len(matrix) > 1:
        from snnbench.report.summary import overview

        print("\n" + overview(results))
        print(f"\nrecords: {args.out}" + (f"; {len(failures)} of {len(matrix)} runs failed" if failures else ""))
    return max((error.exit_code for error in failures), default=0)


def _one(
    plan: "RunPlan", problem: "Problem", args: argparse.Namespace, folders: "Context", display: object
) -> "RunResult":
    from snnbench.experiment.loop import run
    from snnbench.experiment.plan import estimate as estimated

    if not args.fresh and (plan.directory(args.out) / "recommendation.json").exists():
        estimate = None  # nothing or nearly nothing is left to do
    else:
        estimate = estimated(problem)
    if estimate is not None:
        display.on_message(_estimate_text(plan, problem, estimate))  # type: ignore[attr-defined]
    return run(plan, args.out, display, folders, fresh=args.fresh)  # type: ignore[arg-type]


def _show(result: "RunResult", objectives: list[str], brief: bool) -> None:
    from snnbench.errors import said
    from snnbench.experiment.disk import DiskFull
    from snnbench.report import convergence
    from snnbench.report.summary import summary

    print("\n" + summary(result, objectives))
    if len(objectives) == 1:
        if not brief:
            _, best = convergence.best_so_far(result.directory, objectives[0])
            chart = convergence.terminal_plot(best, objectives[0])
            print("\n" + chart if chart else "")
        try:
            drawn = convergence.plot(result)
        except (OSError, DiskFull) as error:  # the run itself is complete
            print(f"plot    none: {result.directory} cannot be written to ({said(error)})")
            drawn = None
        if drawn is not None:
            print(f"plot    {drawn}")
    print(f"record  {result.directory}", flush=True)


def _estimate_text(plan: "RunPlan", problem: "Problem", estimate: "Estimate") -> str:
    from snnbench.report.text import duration, size

    prepare = f"prepare {duration(estimate.preparation)}, " if estimate.preparation else ""
    search = plan.budget * estimate.evaluation
    limit = plan.time_limit
    if limit is not None:
        search = min(search, limit)
    return (
        f"estimate on {problem.context.device}: {prepare}search {duration(search)} "
        f"({duration(estimate.evaluation)} per evaluation),\n"
        f"  memory {size(estimate.memory)} + {size(4 * estimate.dimension)} per member of a population"
    )


def _dry_run(matrix: "list[RunPlan]", problems: "list[Problem]") -> int:
    from snnbench.experiment.plan import estimate as estimated
    from snnbench.registry import display_name
    from snnbench.report.text import duration, size, table

    rows, total, prepared = [], 0.0, {}
    estimates: dict[object, Estimate] = {}
    for plan, problem in zip(matrix, problems, strict=True):
        key = (plan.problem, plan.problem_settings, plan.device)
        if key not in estimates:
            estimates[key] = estimated(problem)
            prepared[key] = estimates[key].preparation
        seconds = plan.budget * estimates[key].evaluation
        if plan.time_limit is not None:
            seconds = min(seconds, plan.time_limit)
        total += seconds
        memory = size(estimates[key].memory)
        labels = display_name("problem", plan.problem), display_name("algorithm", plan.algorithm)
        rows.append([*labels, str(plan.seed), f"{plan.budget:,}", duration(seconds), memory])
    print(table(["problem", "algorithm", "seed", "evaluations", "search", "memory"], rows))
    preparation = sum(prepared.values())
    print(
        f"\n{len(matrix)} runs; about {duration(total + preparation)} on {problems[0].context.device}, "
        f"of which {duration(preparation)} to prepare (measured on a few samples; algorithms' own time not included)"
    )
    return 0


def _whole(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option} must be a whole number, got {text!r}") from None


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--time-limit must be seconds, got {text!r}") from None


def _workers(args: argparse.Namespace) -> int:
    count = _whole(args.eval_workers, "--eval-workers")
    if count is None and args.asynchronous:
        raise UsageError("--async needs --eval-workers N: results depend on how many candidates are evaluated at once")
    return 1 if count is None else count
