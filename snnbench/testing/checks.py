"""All checks, in the order in which they are shown."""

from collections.abc import Iterator, Sequence

from snnbench.errors import unknown
from snnbench.testing import asynchronous, candidates, engine, memory, randomness, states, values
from snnbench.testing.check import REGISTERED, Check, Result, outcome
from snnbench.testing.subject import Subject

__all__ = ["CHECKS", "Check", "Result", "outcome", "results"]

_MODULES = [module.__name__ for module in (candidates, randomness, states, values, asynchronous, engine, memory)]

CHECKS: dict[str, Check] = dict(
    sorted(REGISTERED.items(), key=lambda item: _MODULES.index(item[1].function.__module__))
)
"""All checks by name, in the order in which they are shown."""


def results(subject: Subject, names: Sequence[str] = ()) -> Iterator[Result]:
    """Run checks on a subject, all of them if none is named.

    Raises
    ------
    UsageError
        For a name that no check has.
    """
    for name in names:
        if name not in CHECKS:
            raise unknown("check", name, CHECKS)
    for name in names or CHECKS:
        yield outcome(subject, name)
