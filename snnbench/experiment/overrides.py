"""``--set name=value``: whose parameter is meant, and is the value one it can have."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from snnbench.errors import UsageError, unknown
from snnbench.parameters import param, resolve

Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class EvaluationParameters:
    """How candidates are evaluated and recorded; nothing here changes a result."""

    chunk: int | None = param(None, "candidates per call of the problem; None adapts it to chunk_seconds", low=1)
    strategy: Literal["auto", "convolution", "lookup", "events", "graph"] = param(
        "auto",
        "how networks are run, of problems that know several ways; auto measures which is fastest here",
        choices=("auto", "convolution", "lookup", "events", "graph"),
    )
    chunk_seconds: float = param(0.7, "seconds that one call of the problem should take", low=0.001, source="ours")
    flush_seconds: float = param(5.0, "seconds between two writes of the record, at least", low=0.0, source="ours")


@dataclass
class Overrides:
    """Checked settings, by owner; values that equal the default are left out.

    Attributes
    ----------
    algorithms, problems
        By name as given, the settings of each.
    evaluation
        Settings of `EvaluationParameters`.
    """

    algorithms: dict[str, Settings] = field(default_factory=dict)
    problems: dict[str, Settings] = field(default_factory=dict)
    evaluation: Settings = ()


def parse(
    settings: Sequence[str], algorithms: Mapping[str, type], problems: Mapping[str, type], labels: Mapping[str, str]
) -> Overrides:
    """Distribute ``name=value`` settings over the algorithms and problems of a matrix.

    ``name`` alone is a parameter of every algorithm that has it; ``ALGORITHM.name`` of that one, ``problem.name`` of
    every problem that has it, ``PROBLEM.name`` of that one, ``evaluation.name`` of the evaluation.

    Parameters
    ----------
    settings
        As given on the command line.
    algorithms, problems
        The classes of the matrix by name.
    labels
        Name to the short name that may stand before the dot (for ``file.py:Class``).

    Raises
    ------
    UsageError
        For a setting without ``=``, a name that nothing in the matrix has (with the nearest ones), or a value of the
        wrong type or out of range.
    """
    chosen: dict[str, dict[str, Any]] = {name: {} for name in [*algorithms, *problems, "evaluation"]}
    declared = {name: owner.Parameters for name, owner in {**algorithms, **problems}.items()}  # type: ignore[attr-defined]
    declared["evaluation"] = EvaluationParameters
    groups = {"": list(algorithms), "problem": list(problems), "evaluation": ["evaluation"]}
    for name in [*algorithms, *problems]:
        groups[name] = groups[labels.get(name, name)] = [name]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"setting {setting!r} is not of the form name=value")
        prefix, _, name = key.strip().rpartition(".")
        if prefix not in groups:
            raise unknown("owner of a parameter", prefix, [g for g in groups if g], f"in setting {setting!r}")
        owners = [owner for owner in groups[prefix] if name in _names(declared[owner])]
        if not owners:
            pairs = [(group, n) for group, members in groups.items() for o in members for n in _names(declared[o])]
            known = {f"{group}.{n}" if group else n for group, n in pairs}
            raise unknown("parameter", key.strip(), known, "of anything in this run")
        for owner in owners:
            chosen[owner][name] = value.strip()
    resolved = {owner: _resolved(declared[owner], values, labels.get(owner, owner)) for owner, values in chosen.items()}
    return Overrides(
        {name: resolved[name] for name in algorithms},
        {name: resolved[name] for name in problems},
        resolved["evaluation"],
    )


def _names(declaration: type) -> list[str]:
    return [f.name for f in dataclasses.fields(declaration)]


def _resolved(declaration: type, values: Mapping[str, Any], owner: str) -> Settings:
    parameters = resolve(declaration, values, owner)
    default = declaration()
    return tuple((n, getattr(parameters, n)) for n in sorted(values) if getattr(parameters, n) != getattr(default, n))
