"""What a class declares in its body, read from source text: nothing is imported.

Only literal values can be read, and calls of dataclasses with literal arguments, such as ``Capabilities(...)``. Base
classes are followed, within a file and through ``from module import Name``.
"""

import ast
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

__all__ = ["Unreadable", "arguments", "attribute", "missing", "summary"]

DEPTH = 20
"""Imports and base classes followed at most: what is deeper is a circle."""


class Unreadable(ValueError):
    """A declaration that is no literal."""


@dataclass(frozen=True)
class Found:
    """A class's definition and the module it is in."""

    module: str
    node: ast.ClassDef


def summary(module: str, name: str) -> str:
    """First line of a class's docstring; "" if the class is not found or has none."""
    found = _find(module, name, DEPTH)
    return (ast.get_docstring(found.node) or "").partition("\n")[0] if found else ""


def attribute(module: str, name: str, key: str) -> Any:
    """Value of a class attribute, the class's own or inherited; ``None`` if nobody defines it.

    Parameters
    ----------
    module, name
        The class.
    key
        Of the attribute.

    Returns
    -------
    object
        The literal; for a call, `ast.Call` (see `arguments`).

    Raises
    ------
    Unreadable
        If it is neither.
    """
    value = _value(module, name, key, DEPTH)
    if value is None or isinstance(value, ast.Call):
        return value
    return _literal(value, f"{name}.{key}")


def arguments(call: ast.Call, module: str, name: str) -> dict[str, Any]:
    """All fields of a dataclass that is made by a call with literal arguments: given ones, and defaults.

    Parameters
    ----------
    call
        From `attribute`.
    module, name
        The dataclass.

    Raises
    ------
    Unreadable
        If an argument is no literal or none of its fields.
    """
    definition = _find(module, name, DEPTH)
    body = definition.node.body if definition else []
    fields = {
        item.target.id: None if item.value is None else _literal(item.value, item.target.id)
        for item in body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    }
    given = list(zip(fields, call.args, strict=False)) + [(item.arg, item.value) for item in call.keywords]
    for key, value in given:
        if key not in fields:
            raise Unreadable(f"{name} has no field {key}")
        fields[key] = _literal(value, key)
    return fields


def missing(modules: tuple[str, ...]) -> list[str]:
    """Those of some top-level modules that are not installed."""
    return [name for name in modules if _spec(name.partition(".")[0]) is None]


def _literal(node: ast.expr, where: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise Unreadable(f"{where} is no literal value") from None


def _value(module: str, name: str, key: str, depth: int) -> ast.expr | None:
    found = _find(module, name, depth)
    if found is None or depth == 0:
        return None
    for item in found.node.body:
        targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == key for target in targets):
            value = getattr(item, "value", None)
            if value is not None:  # else only annotated
                assert isinstance(value, ast.expr)
                return value
    for base in found.node.bases:
        if isinstance(base, ast.Name):
            inherited = _value(found.module, base.id, key, depth - 1)
            if inherited is not None:
                return inherited
    return None


def _find(module: str, name: str, depth: int) -> Found | None:
    """Where a name of a module is defined as a class, imports followed."""
    definitions, imported = _module(module)
    if name in definitions:
        return Found(module, definitions[name])
    if name in imported and depth > 0:
        return _find(*imported[name], depth - 1)
    return None


@cache
def _module(module: str) -> tuple[dict[str, ast.ClassDef], dict[str, tuple[str, str]]]:
    """Classes of a module, and names it imports from others with where from; both empty if it has no source."""
    try:
        spec = _spec(module)
        if spec is None or spec.origin is None:
            return {}, {}
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError, ValueError):
        return {}, {}
    package = (module if spec.submodule_search_locations is not None else module.rpartition(".")[0]).split(".")
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    imported: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            imported |= {alias.asname or alias.name: (source, alias.name) for alias in node.names}
    return classes, imported


@cache
def _spec(module: str) -> ModuleSpec | None:
    """Where a module is; unlike `importlib.util.find_spec`, packages around it are not imported."""
    parent, path = module.rpartition(".")[0], None
    if parent:
        package = _spec(parent)
        if package is None or package.submodule_search_locations is None:
            return None
        path = list(package.submodule_search_locations)
    specs = (finder.find_spec(module, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next((spec for spec in specs if spec is not None), None)
