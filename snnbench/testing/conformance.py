"""The checks as a pytest class."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from snnbench.algorithm import Algorithm
from snnbench.testing.check import Skip
from snnbench.testing.checks import CHECKS, outcome
from snnbench.testing.subject import Subject


class AlgorithmConformance:
    """One test per check, ``test_<check>``, for an algorithm of yours.

    Attributes
    ----------
    algorithm
        The class, or the name of one: registered, or ``file.py:Class``.
    settings
        Parameters that differ from their defaults.
    seconds
        What one drive of the algorithm may take; budgets of slow ones are made smaller.
    populations
        Largest memory peak in populations of 100,000 dimensions, if one is promised.

    Examples
    --------
    >>> class TestRandomSearch(AlgorithmConformance):
    ...     algorithm = "random"
    >>> TestRandomSearch().test_seeds()
    """

    algorithm: ClassVar[type[Algorithm] | str]
    settings: ClassVar[Mapping[str, Any]] = {}
    seconds: ClassVar[float] = 0.3
    populations: ClassVar[float | None] = None

    @classmethod
    def subject(cls) -> Subject:
        """What is tested; the same for all tests of a class, so that they share what they find out."""
        if "_subject" not in cls.__dict__:
            made = Subject(cls.algorithm, cls.settings, seconds=cls.seconds, populations=cls.populations)
            cls._subject = made  # type: ignore[attr-defined]
        found: Subject = cls.__dict__["_subject"]
        return found


def _test(name: str) -> Callable[[AlgorithmConformance], None]:
    def test(self: AlgorithmConformance) -> None:
        judge(self.subject(), name)

    test.__name__, test.__doc__ = f"test_{name}", CHECKS[name].doc
    return test


def judge(subject: Subject, name: str) -> None:
    """Run one check as a test: raise what it raised, or skip.

    Raises
    ------
    unittest.SkipTest
        If the check does not apply, or comes after one that fails.
    Exception
        What is wrong.
    """
    result = outcome(subject, name)
    if result.outcome == "skipped":
        raise Skip(result.reason)
    if result.error is not None:
        raise result.error


for _name in CHECKS:
    setattr(AlgorithmConformance, f"test_{_name}", _test(_name))
