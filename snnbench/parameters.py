"""Typed, documented, range-checked parameters of algorithms and problems.

A parameter set is a frozen dataclass whose fields are made by `param`. That one declaration gives the
defaults, the text of ``snnbench info``, the parsing of ``--set name=value`` and what the record holds.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from snnbench.errors import UsageError, unknown


@dataclasses.dataclass(frozen=True)
class NoParameters:
    """The parameter set of something without parameters."""


def param(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    source: str = "",
) -> Any:
    """Declare one parameter of a frozen dataclass.

    Parameters
    ----------
    default
        Default value; its type is the parameter's type (bool, int, float or str). ``None`` means "chosen by the
        algorithm" and then the annotation names the type.
    doc
        One line: what it is.
    low, high
        Inclusive range, where there is one.
    choices
        The allowed values of a string.
    source
        Where the default comes from: a paper, a library, or "ours".
    """
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices, "source": source}
    return dataclasses.field(default=default, metadata=metadata)


def resolve(declaration: type, overrides: Mapping[str, Any], owner: str) -> Any:
    """Build a parameter set from its defaults and overrides.

    Parameters
    ----------
    declaration
        The frozen dataclass.
    overrides
        Name to value; strings (from the command line) are converted to the parameter's type.
    owner
        Whose parameters these are, for messages.

    Raises
    ------
    UsageError
        For an unknown name, a value of another type, or a value out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(declaration)}
    values = {}
    for name, value in overrides.items():
        if name not in fields:
            if not fields:
                raise UsageError(f"{owner} has no parameters; cannot set {name!r}")
            raise unknown(f"parameter of {owner}", name, fields, f"`snnbench info {owner}` shows all")
        values[name] = _checked(fields[name], value, owner)
    return declaration(**values)


def describe(parameters: Any) -> list[dict[str, Any]]:
    """What ``snnbench info`` shows of a parameter set (instance or class): one dict per parameter."""
    rows = []
    for field in dataclasses.fields(parameters):
        meta = field.metadata
        rows.append(
            {
                "name": field.name,
                "type": _type_name(field),
                "default": field.default,
                "range": _range_text(meta),
                "doc": meta.get("doc", ""),
                "source": meta.get("source", ""),
            }
        )
    return rows


def as_known_to(recorded: Mapping[str, Any], now: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """Parameters without those that a record does not know, unless they were set: they came later.

    Within a version a new parameter's default is what was done before, so such records are still of the same problem.

    Parameters
    ----------
    recorded
        Parameters as they were recorded.
    now
        Parameters as they are now.
    settings
        Names that were set.
    """
    kept = {*recorded, *settings}
    return {name: value for name, value in now.items() if name in kept}


def _checked(field: dataclasses.Field, value: Any, owner: str) -> Any:
    meta, kind = field.metadata, _type_name(field)
    if isinstance(value, str):
        value = _parse(value, kind, field.default is None, f"{owner}: {field.name}")
    if value is None and field.default is None:
        return None
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value).__name__ != kind:
        raise UsageError(f"{owner}: {field.name} must be {kind}, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{owner}: {field.name} must be finite, got {value}")
    low, high, choices = meta.get("low"), meta.get("high"), meta.get("choices")
    out = choices is not None and value not in choices
    if isinstance(value, int | float) and not isinstance(value, bool):
        out = (low is not None and value < low) or (high is not None and value > high)
    if out:
        raise UsageError(f"{owner}: {field.name}={value} is outside {_range_text(meta)}")
    return value


def _parse(text: str, kind: str, optional: bool, where: str) -> Any:
    if optional and text.lower() in ("none", "auto"):
        return None
    if kind == "str":
        return text
    if kind == "bool":
        truth = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() in truth:
            return truth[text.lower()]
        raise UsageError(f"{where} must be true or false, got {text!r}")
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:
        raise UsageError(f"{where} must be {kind}, got {text!r}") from None


def _type_name(field: dataclasses.Field) -> str:
    if field.default is not None:
        return type(field.default).__name__
    annotation = field.type if isinstance(field.type, str) else str(field.type)
    return annotation.split("|")[0].strip()


def _range_text(meta: Mapping[str, Any]) -> str:
    if meta.get("choices"):
        return "{" + ", ".join(meta["choices"]) + "}"
    low, high = meta.get("low"), meta.get("high")
    if low is None and high is None:
        return ""
    return f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
