"""What validation found, by check."""

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]

REPORT_SCHEMA = 1

CHECKS: dict[str, str] = {
    "files": "regular files of a plausible size, no links",
    "manifest": "every file has the SHA-256 that SHA256SUMS gives",
    "schema": "run.json can be read and is complete",
    "status": "every run is complete and ended because its budget was spent",
    "evaluations": "as many rows as the budget, numbered without gaps, no NaN, none better than the ideal",
    "recommendation": "what is recommended was measured, and is recorded as it was measured",
    "vectors": "recommended candidates are finite and those that were measured; inside the box, where measured again",
    "seeds": "random streams are those of the seed",
    "duplicates": "no run is there twice, none is a copy of another under another seed",
    "suite": "every run that the suite asks for, and no other",
    "versions": "one version of everything, from an unmodified checkout",
    "data": "official data, the same trained networks, one kind of device",
    "references": "algorithms that use gradients are marked",
    "recomputation": "a sample of recommendations, measured again on the search and test split",
}
"""Checks by name, in the order in which they are reported, with what holds where nothing is found."""

_MOST = 300  # characters of a message: a record's text may be of any length


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that a reader has to know.

    Attributes
    ----------
    severity
        ``error`` makes the folder invalid; ``warning`` is for a maintainer to judge; ``note`` is information.
    check
        One of `CHECKS`.
    place
        The run or file, relative to the folder; "" for the folder as a whole.
    message
        One line.
    """

    severity: Severity
    check: str
    place: str
    message: str


@dataclass
class Report:
    """Everything about one folder.

    Attributes
    ----------
    folder
        What was validated.
    suite
        Title of the suite it was compared with, or ``None``.
    runs
        How many run directories there are.
    algorithms, problems
        Names found.
    findings
        In the order found.
    sample
        What was recomputed: ``seed`` of the choice, and for each run what came out.
    """

    folder: Path
    suite: str | None = None
    runs: int = 0
    algorithms: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    sample: dict[str, Any] = field(default_factory=dict)

    def add(self, severity: Severity, check: str, place: str | Path, message: str) -> None:
        """Put a finding down; `place` is relative to the folder, and all text is made one harmless line."""
        path = str(place)
        self.findings.append(Finding(severity, check, clean(path if path != "." else ""), clean(message)))

    def of(self, check: str) -> list[Finding]:
        """The findings of one check, errors first."""
        order: dict[str, int] = {"error": 0, "warning": 1, "note": 2}
        return sorted((f for f in self.findings if f.check == check), key=lambda f: order[f.severity])

    def outcome(self, check: str) -> str:
        """``error``, ``warning``, ``note``, ``ok``, or ``-`` for what was not looked at."""
        found = self.of(check)
        if found:
            return found[0].severity
        asked = {"suite": self.suite is not None, "recomputation": bool(self.sample.get("runs"))}
        return "ok" if asked.get(check, True) else "-"

    @property
    def counts(self) -> Counter[str]:
        """How many findings of each severity."""
        return Counter(finding.severity for finding in self.findings)

    @property
    def valid(self) -> bool:
        """Whether there are runs and no errors."""
        return self.runs > 0 and not self.counts["error"]

    def content(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "schema_version": REPORT_SCHEMA,
            "folder": clean(str(self.folder)),
            "suite": self.suite,
            "valid": self.valid,
            "runs": self.runs,
            "algorithms": [clean(name) for name in self.algorithms],
            "problems": [clean(name) for name in self.problems],
            "errors": self.counts["error"],
            "warnings": self.counts["warning"],
            "checks": [
                {
                    "name": name,
                    "what": what,
                    "outcome": self.outcome(name),
                    "findings": [
                        {"severity": f.severity, "place": f.place, "message": f.message} for f in self.of(name)
                    ],
                }
                for name, what in CHECKS.items()
            ],
            "sample": self.sample,
        }


def clean(text: str) -> str:
    """One line without control characters (a terminal or a log would obey them), of bounded length."""
    shown = "".join(c if unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= _MOST else shown[: _MOST - 3] + "..."
