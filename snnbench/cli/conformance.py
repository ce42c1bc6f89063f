"""``snnbench test``: does an algorithm or a problem keep the contract?"""

import argparse
import json
import sys
import textwrap
import time
import traceback
from typing import TYPE_CHECKING

from snnbench.cli.options import add_folders

if TYPE_CHECKING:
    from snnbench.testing import ProblemSubject, Result, Subject

WIDTH = 79
LABEL = 30  # outcome and name of the check


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "test",
        help="check that an algorithm or a problem keeps the contract",
        description="Run the conformance checks: of an algorithm on toy tasks, a few seconds; of a problem as long as "
        "its preparation and some thirty evaluations take. Exit code 1 if one fails.",
    )
    parser.add_argument("name", nargs="+", metavar="NAME", help="file.py:Class, or a registered name")
    parser.add_argument("--check", action="append", metavar="CHECK", help="only these; comma-separated or repeated")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="parameter of the algorithm or problem")  # fmt: skip
    add_folders(parser)
    parser.add_argument("--traceback", action="store_true", help="show where an algorithm raised")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    import contextlib

    from snnbench.cli.options import names
    from snnbench.errors import UsageError
    from snnbench.testing import results
    from snnbench.testing.check import missing

    subjects = [_subject(name, args) for name in args.name]
    for subject in subjects:
        if absent := missing(subject):
            raise UsageError(f"{subject.name} {absent}")
    wanted = names(args.check)
    failed = False
    reports = []
    for position, subject in enumerate(subjects):
        if not args.json:
            print(("\n" if position else "") + subject.name + "\n", flush=True)
        began = time.monotonic()
        found: list[Result] = []
        # What is tested may print: that must not end up in the JSON; one of the checks reports it.
        with contextlib.redirect_stdout(sys.stderr) if args.json else contextlib.nullcontext():
            for result in results(subject, wanted):
                found.append(result)
                if not args.json:
                    print(_shown(subject, result, args.traceback), flush=True)
        failed |= any(result.outcome == "failed" for result in found)
        rows = [
            {"check": r.name, "outcome": r.outcome, "reason": r.reason, "what": subject.checks[r.name].doc}
            for r in found
        ]
        reports.append({_kind(subject): subject.name, "checks": rows})
        if not args.json:
            print("\n" + _summary(subject, found, time.monotonic() - began))
    if args.json:
        print(json.dumps(reports, indent=2))
    return 1 if failed else 0


def _subject(name: str, args: argparse.Namespace) -> "Subject | ProblemSubject":
    """What is behind a name: an algorithm or a problem."""
    from snnbench.errors import UsageError, unknown
    from snnbench.registry import entries, load
    from snnbench.testing import ProblemSubject, Subject

    settings = _settings(args.settings)
    if name.endswith(".py") or ".py:" in name:
        try:
            load("algorithm", name)
        except UsageError as error:
            if "is no algorithm" not in str(error):
                raise
            try:
                load("problem", name)
            except UsageError as other:
                if "is no problem" in str(other):
                    text = f"{name} is neither an algorithm nor a problem: derive it from snnbench.algorithm.Algorithm"
                    raise UsageError(f"{text} or snnbench.problem.Problem") from None
                raise
        else:
            return Subject(name, settings)
    elif name in entries("algorithm"):
        return Subject(name, settings)
    elif name not in entries("problem"):
        known = [*entries("algorithm"), *entries("problem")]
        raise unknown("algorithm or problem", name, known, "`snnbench list` shows all")
    return ProblemSubject(name, settings, cache_dir=args.cache_dir, data_dir=args.data_dir)


def _kind(subject: "Subject | ProblemSubject") -> str:
    from snnbench.testing import ProblemSubject

    return "problem" if isinstance(subject, ProblemSubject) else "algorithm"


def _shown(subject: "Subject | ProblemSubject", result: "Result", with_traceback: bool) -> str:
    head = f"{result.outcome:9}{result.name:{LABEL - 9}}"
    reason = result.reason
    if result.outcome == "failed":
        reason = f"{reason} [wanted: {subject.checks[result.name].doc.rstrip('.')}]"
    lines = textwrap.wrap(reason, WIDTH - LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    text = "\n".join(f"{head if i == 0 else '':{LABEL}}{line}".rstrip() for i, line in enumerate(lines))
    if with_traceback and result.error is not None:
        text += "\n" + "".join(traceback.format_exception(result.error)).rstrip()
    return text


def _summary(subject: "Subject | ProblemSubject", found: "list[Result]", seconds: float) -> str:
    from snnbench.report.text import duration

    counts = {outcome: sum(r.outcome == outcome for r in found) for outcome in ("ok", "failed", "skipped")}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + f"; {duration(seconds)}"


def _settings(given: list[str]) -> dict[str, str]:
    from snnbench.errors import UsageError

    settings = {}
    for setting in given:
        name, equals, value = setting.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"setting {setting!r} is not of the form name=value")
        settings[name.strip()] = value.strip()
    return settings
