"""A validation for people: what was looked at, what is wrong, what to do."""

import textwrap
from collections.abc import Sequence

from snnbench.validation.findings import CHECKS, Finding, Report, clean

WIDTH = 80
EXAMPLES = 3  # of the same check; --json has all


def shown(report: Report, everything: bool = False) -> str:
    """The whole report as text of 80 columns; only the first findings of each check unless everything is wanted."""
    lines = [*_head(report), ""]
    for name, what in CHECKS.items():
        found, outcome = _grouped(report.of(name)), report.outcome(name)
        text = {"-": "not looked at", "ok": what}.get(outcome, _number(len(report.of(name)), "finding"))
        lines += _wrapped(f"{outcome:8} {name:15} ", 25, text)
        for group in found if everything else found[:EXAMPLES]:
            lines += _finding(group)
        if len(found) > EXAMPLES and not everything:
            lines.append(f"{'':11}... and {len(found) - EXAMPLES} more (--all shows all)")
    return "\n".join([*lines, *_sample(report), "", verdict(report)])


def _grouped(found: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that say the same of several runs, together."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        groups.setdefault((finding.severity, finding.message), []).append(finding)
    return list(groups.values())


def verdict(report: Report) -> str:
    """Valid or not, in one line."""
    checks = len({finding.check for finding in report.findings if finding.severity == "error"})
    warnings = _number(report.counts["warning"], "warning")
    if report.valid:
        return f"valid, {warnings}" + (" for a maintainer to judge" if report.counts["warning"] else "")
    return f"invalid: {_number(report.counts['error'], 'error')} in {_number(checks, 'check')}, {warnings}"


def _head(report: Report) -> list[str]:
    runs = f"{_number(report.runs, 'run')} of {_number(len(report.algorithms), 'algorithm')}"
    text = f"{clean(str(report.folder))}: {runs} on {_number(len(report.problems), 'problem')}"
    text += f", compared with suite {report.suite}" if report.suite else ""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _finding(group: Sequence[Finding]) -> list[str]:
    first = group[0]
    label = "" if first.severity == "error" else f"{first.severity}: "
    place = f"{first.place}: " if first.place else ""
    more = f" [and {len(group) - 1} more]" if len(group) > 1 else ""
    return _wrapped(" " * 9 + "- ", 11, label + place + first.message + more)


def _wrapped(head: str, indent: int, text: str) -> list[str]:
    """Paths are never broken: they are to be copied."""
    return textwrap.wrap(
        head + text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def _sample(report: Report) -> list[str]:
    runs = report.sample.get("runs")
    if not runs:
        return []
    head = f"{len(runs)} of {report.sample['offered']} runs measured again, chosen with --sample-seed "
    head += f"{report.sample['seed']}, tolerance {report.sample['tolerance']:g} of the range:"
    lines = ["", *textwrap.wrap(head, WIDTH)]
    for row in runs:
        exact = "to the last bit" if row["difference"] == 0 else f"largest difference {_share(row['difference'])}"
        lines.append(f"  {row['outcome']:15} {row['run']} ({exact})")
    return lines


def _share(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.2%} of the range"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
