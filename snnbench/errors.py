"""Errors a user can cause or must act on: one clear line, an exit code, no traceback."""

import difflib
from collections.abc import Iterable


class SnnbenchError(Exception):
    """A failure with a message that says what to do. The command line exits with `exit_code`."""

    exit_code = 1


class UsageError(SnnbenchError):
    """The request itself is wrong: an unknown name, an impossible budget, a problem and algorithm that do not fit."""

    exit_code = 2


class DataError(SnnbenchError):
    """A data file is missing, damaged, or not what it claims to be."""


class AlgorithmError(SnnbenchError):
    """An algorithm broke its contract: wrong shape, NaN candidates, an exception of its own."""


class RecordError(UsageError):
    """A run directory cannot be read: not a run, another schema, a truncated file."""


def said(error: BaseException, longest: int = 300) -> str:
    """An exception's type and message in one line that any terminal can show.

    Examples
    --------
    >>> said(ValueError("no   gaps"))
    'ValueError: no gaps'
    """
    text = " ".join(str(error).split()).encode("utf-8", "replace").decode("utf-8")
    text = text if len(text) <= longest else text[:longest] + "..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def unknown(kind: str, name: str, known: Iterable[str], how: str = "") -> UsageError:
    """The error for a name nobody knows, with the nearest known ones (Ratcliff-Obershelp similarity).

    Parameters
    ----------
    kind
        What the name was meant to be, for example ``"algorithm"``.
    name
        The name as given.
    known
        Every valid name.
    how
        A closing hint, for example ``"`snnbench list algorithms` shows all"``.
    """
    names = sorted(known)
    folded = {known_name.casefold(): known_name for known_name in names}
    near = [folded[close] for close in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
    text = f"unknown {kind} {name!r}"
    if near:
        text += "; did you mean " + " or ".join(near) + "?"
    elif names and len(names) <= 12:
        text += "; known: " + ", ".join(names)
    if how:
        text += f" ({how})"
    return UsageError(text)
