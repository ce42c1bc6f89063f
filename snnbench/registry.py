"""Names to classes. Built-in and third-party algorithms and problems are found alike: by entry point
(groups ``snnbench.algorithms`` and ``snnbench.problems``), or by ``path/to/file.py:Class``.

Listing imports nothing of what it lists: names come from entry points, and one line of description is read from
the class's source text.
"""

import ast
import dataclasses
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from snnbench import declared
from snnbench.errors import UsageError, said, unknown

Kind = Literal["algorithm", "problem"]


@dataclass(frozen=True)
class Entry:
    """A registered class: its name, and ``module:Class`` where it lives."""

    kind: Kind
    name: str
    target: str

    def load(self) -> type:
        """Import the class."""
        module, _, attribute = self.target.partition(":")
        try:
            loaded: type = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UsageError(f"{self.kind} {self.name} ({self.target}) cannot be loaded: {error}") from error
        return loaded

    def declares(self, key: str) -> Any:
        """A class attribute that is a literal, or inherited as one, read without importing its module.

        ``None`` if there is none or it cannot be read. `Capabilities` come as a dict of all their fields.
        """
        module, _, name = self.target.partition(":")
        try:
            value = declared.attribute(module, name, key)
            if isinstance(value, ast.Call):
                return declared.arguments(value, "snnbench.algorithm", "Capabilities")
        except declared.Unreadable:
            return None
        return value

    def summary(self) -> str:
        """First line of the class's docstring, read without importing its module ("" if it cannot be found)."""
        module, _, name = self.target.partition(":")
        return declared.summary(module, name)


@cache
def entries(kind: Kind) -> dict[str, Entry]:
    """Every registered name of a kind, sorted."""
    found = {e.name: Entry(kind, e.name, e.value) for e in entry_points(group=f"snnbench.{kind}s")}
    return dict(sorted(found.items()))


def load(kind: Kind, name: str) -> Any:
    """The class behind a registered name or ``file.py:Class``.

    Raises
    ------
    UsageError
        With the nearest names for an unknown one; with the reason for a file that cannot be loaded.
    """
    if ".py:" in name or name.endswith(".py"):
        return _checked(kind, name, _from_file(kind, name))
    known = entries(kind)
    if name not in known:
        raise unknown(kind, name, known, f"`snnbench list {kind}s` shows all")
    return _checked(kind, name, known[name].load())


def display_name(kind: Kind, name: str) -> str:
    """The name a class goes by in records: the registered name, or the file's stem and class."""
    if ".py:" in name:
        path, _, attribute = name.rpartition(":")
        return f"{Path(path).stem}.{attribute}"
    return name


def missing_modules(algorithm: Any) -> list[str]:
    """The modules that an algorithm's class requires and that are not installed."""
    return [name for name in algorithm.requires if importlib.util.find_spec(name) is None]


def advice(algorithm: Any) -> str:
    """How to install what an algorithm's class requires."""
    what = f"snnbench[{algorithm.extra}]" if algorithm.extra else " ".join(algorithm.requires)
    return f"pip install '{what}'"


def _checked(kind: Kind, name: str, loaded: Any) -> Any:
    """The class, if it is one of its kind and complete."""
    base = getattr(importlib.import_module(f"snnbench.{kind}"), kind.capitalize())
    if not (isinstance(loaded, type) and issubclass(loaded, base)):
        raise UsageError(f"{name} is no {kind}: it must be a class derived from snnbench.{kind}.{base.__name__}")
    if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
        raise UsageError(f"{kind} {name} lacks {', '.join(missing)}")
    declared: Any = loaded
    if not dataclasses.is_dataclass(declared.Parameters):
        raise UsageError(f"{name}: its Parameters must be a frozen dataclass: @dataclass(frozen=True)")
    if kind == "algorithm" and type(declared.capabilities).__name__ != "Capabilities":
        raise UsageError(f"{name}: its capabilities must be a snnbench.algorithm.Capabilities")
    return loaded


def _from_file(kind: Kind, name: str) -> Any:
    path, _, attribute = name.rpartition(":")
    if not path:
        raise UsageError(f"{name}: name the class too, as {name}:ClassName")
    file = Path(path).resolve()
    if not file.is_file():
        raise UsageError(f"{kind} file {path} does not exist")
    module_name = f"_snnbench_user_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path} cannot be loaded: {said(error)}") from error
    if not hasattr(module, attribute):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise unknown(f"class in {path}", attribute, classes)
    return getattr(module, attribute)
