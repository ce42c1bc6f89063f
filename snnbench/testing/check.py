"""A check: a function that raises, skips, or passes with a remark."""

import sys
import traceback
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from snnbench import registry
from snnbench.errors import UsageError
from snnbench.testing.loops import Nonconformance

Skip = unittest.SkipTest  # which pytest understands, without which everything here works too

REGISTERED: "dict[str, Check]" = {}
"""All checks of algorithms by name."""


class Tested(Protocol):
    """What is tested: an algorithm or a problem.

    Attributes
    ----------
    kind
        The class.
    checks
        Those that there are for it.
    memory
        What checks keep for each other.
    """

    kind: type
    memory: dict[Any, Any]

    @property
    def checks(self) -> "dict[str, Check]": ...


@dataclass(frozen=True)
class Check:
    """One property of an algorithm or a problem.

    Attributes
    ----------
    name
        Python identifier; ``test_<name>`` under pytest.
    function
        Raises `Nonconformance` (or whatever the tested class raises) if the property does not hold, `Skip` if it does
        not apply, and returns a remark or "".
    after
        Checks without which this one would only repeat their complaint.
    """

    name: str
    function: Callable[[Any], str]
    after: tuple[str, ...] = ()

    @property
    def doc(self) -> str:
        """What holds if it passes, in one line."""
        return (self.function.__doc__ or "").partition("\n")[0]


def check(*after: str, into: "dict[str, Check]" = REGISTERED) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Register a check that makes sense only if those named pass."""

    def register(function: Callable[..., str]) -> Callable[..., str]:
        into[function.__name__] = Check(function.__name__, function, after)
        return function

    return register


@dataclass(frozen=True)
class Result:
    """Outcome of a check.

    Attributes
    ----------
    name, outcome
        The check's name; ``ok``, ``failed`` or ``skipped``.
    reason
        Why; for ``ok`` a remark or "".
    error
        What was raised.
    blocked
        The failed check for which this one was left out.
    """

    name: str
    outcome: Literal["ok", "failed", "skipped"]
    reason: str = ""
    error: BaseException | None = None
    blocked: str = ""


def missing(subject: Tested) -> str:
    """What must be installed before it can be tested; "" if nothing."""
    absent = registry.missing_modules(subject.kind)
    return f"needs {', '.join(absent)}: {registry.advice(subject.kind)}" if absent else ""


def outcome(subject: Tested, name: str) -> Result:
    """Run one check, and before it those that it comes after; each at most once for a subject."""
    kept: dict[str, Result] = subject.memory.setdefault("results", {})
    if name not in kept:
        found = subject.checks[name]
        absent = missing(subject)
        earlier = [outcome(subject, before) for before in found.after]
        failed = [r.blocked or r.name for r in earlier if r.blocked or r.outcome == "failed"]
        if absent:
            kept[name] = Result(name, "skipped", absent)
        elif failed:
            kept[name] = Result(name, "skipped", f"not looked at before {failed[0]} passes", blocked=failed[0])
        else:
            kept[name] = _run(found, subject)
    return kept[name]


def _run(found: Check, subject: Tested) -> Result:
    try:
        return Result(found.name, "ok", found.function(subject))
    except Skip as skip:
        return Result(found.name, "skipped", str(skip))
    except Nonconformance as error:
        return Result(found.name, "failed", str(error), error)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever the tested class raises is a finding
        return Result(found.name, "failed", described(error, subject), error)


def described(error: BaseException, subject: Tested) -> str:
    """An exception in one line, with the line of the tested class's own file that it passed last."""
    first = str(error).partition("\n")[0]
    text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    file = getattr(sys.modules.get(subject.kind.__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{text} ({Path(file).name}, line {lines[-1]})" if file and lines else text
