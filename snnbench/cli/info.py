"""``snnbench info``: everything about one algorithm, problem or data set."""

import argparse
import contextlib
import inspect
import json
import textwrap
from typing import Any


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser("info", help="explain an algorithm, a problem or a data set")
    parser.add_argument("name", metavar="NAME", help="registered name, or file.py:Class")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    facts = _facts(args.name)
    if args.json:
        print(json.dumps(facts, indent=2, default=str))
        return 0
    print(f"{facts['name']} ({facts['kind']})\n")
    print(facts["doc"])
    for title in (
        "family",
        "reference",
        "capabilities",
        "requires",
        "version",
        "objectives",
        "from ideal to worst",
        "constraints",
        "variables",
        "default budget",
        "classes",
        "samples",
        "shape",
        "values",
        "framing",
        "cropping",
        "licence",
        "files",
    ):
        if facts.get(title):
            print(f"\n{title}")
            value = facts[title]
            lines = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else [str(value)]
            for line in lines:
                print(textwrap.fill(line, 79, initial_indent="  ", subsequent_indent="    "))
    if facts.get("parameters"):
        how = "problem.NAME=VALUE" if facts["kind"] == "problem" else "NAME=VALUE"
        print(f"\nparameters (change with --set {how})")
        for row in facts["parameters"]:
            default = "auto" if row["default"] is None else row["default"]
            limits = f" {row['range']}" if row["range"] else ""
            source = f" (default: {row['source']})" if row["source"] else ""
            head = f"{row['name']} = {default}  [{row['type']}{limits}]"
            print(textwrap.fill(head, 79, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False))
            print(textwrap.fill(row["doc"] + source, 79, initial_indent="      ", subsequent_indent="      "))
    return 0


def _facts(name: str) -> dict[str, Any]:
    from snnbench.data.catalog import CATALOG
    from snnbench.errors import UsageError, unknown
    from snnbench.registry import entries, load

    if name in CATALOG:
        data = CATALOG[name]
        return {
            "name": name,
            "kind": "data set",
            "doc": data.doc,
            "reference": data.reference,
            "licence": data.licence,
            "files": data.origin or "embedded",
            "classes": data.classes,
            "samples": {name: f"{n:,}" for name, n in data.sizes.items()},
            "shape": "x".join(str(n) for n in data.shape) + (f", {data.steps} frames" if data.steps else ""),
            "values": data.values,
            **({"framing": data.framing.describe()} if data.framing else {}),
            **({"cropping": data.cropping.describe()} if data.cropping else {}),
        }
    if ".py:" in name:
        try:
            return _algorithm(name, load("algorithm", name))
        except UsageError as error:
            if "is no algorithm" not in str(error):
                raise
        return _problem(name, load("problem", name))
    if name in entries("algorithm"):
        return _algorithm(name, load("algorithm", name))
    if name in entries("problem"):
        return _problem(name, load("problem", name))
    known = [*entries("algorithm"), *entries("problem"), *CATALOG]
    raise unknown("name", name, known, "`snnbench list` shows all")


def _algorithm(name: str, kind: Any) -> dict[str, Any]:
    from snnbench.cli.listing import count
    from snnbench.parameters import describe

    can = kind.capabilities
    return {
        "name": name,
        "kind": "algorithm",
        "family": kind.family,
        "doc": _text(kind),
        "reference": kind.reference,
        "capabilities": {
            "objectives": count(can.min_objectives, can.objectives),
            "constraints": "yes" if can.constraints else "no",
            "dimensions": f"{can.min_dimension:,} to {f'{can.max_dimension:,}' if can.max_dimension else 'any'}",
            "depends on the budget": "yes" if can.horizon else "no",
            "asynchronous": "yes" if can.asynchronous else "no",
            "gradients": "yes" if can.gradient else "no",
        },
        "requires": _requirements(kind),
        "parameters": describe(kind.Parameters),
    }


def _requirements(kind: Any) -> dict[str, str]:
    from snnbench.cli.listing import remedy
    from snnbench.declared import missing

    absent = missing(kind.requires)
    return {name: f"not installed{remedy(kind.extra)}" if name in absent else "installed" for name in kind.requires}


def _problem(name: str, kind: Any) -> dict[str, Any]:
    from snnbench.parameters import describe

    objectives = {}
    for key, objective in kind.objectives.items():
        default = " (default)" if key in kind.default_objectives else ""
        objectives[key] = objective.doc + (f" [{objective.unit}]" if objective.unit else "") + default
    constraints = (
        {"always": f"{kind.constraints}, part of the problem: its page says which"} if kind.constraints else {}
    )
    for key, constraint in kind.optional_constraints.items():
        constraints[key] = f"{constraint.doc} (off; --constraints {key} switches it on)"
    return {
        "name": name,
        "kind": "problem",
        "doc": _text(kind),
        "version": kind.version,
        "objectives": objectives,
        **_frozen(kind),
        "constraints": constraints,
        "requires": _requirements(kind),
        "default budget": f"{kind.default_budget:,} evaluations",
        "parameters": describe(kind.Parameters),
    }


def _frozen(kind: Any) -> dict[str, dict[str, str]]:
    """Reference points and variables with default parameters, as far as they are known without preparing anything."""
    from snnbench.report.text import number

    found = {}
    # A problem from a file may need anything; what cannot be said is left out.
    with contextlib.suppress(Exception):
        problem = kind()
        points = problem.reference_points()
        found["from ideal to worst"] = {k: f"{number(a)} to {number(b)}" for k, (a, b) in points.items()}
        found["variables"] = {"number": f"{problem.dimension:,}"}
        found["variables"] = {v.pop("name"): _range(v) for v in problem.space.describe()}
    return found


def _range(variable: dict[str, Any]) -> str:
    kind = variable["type"].removeprefix("Reversed").lower()
    if "choices" in variable:
        return f"{kind}, one of {', '.join(map(str, variable['choices']))}"
    size = f"{variable['size']:,} coordinates, " if "size" in variable else f"{kind}, "
    return f"{size}{variable['low']:g} to {variable['high']:g}{', logarithmic' if variable.get('log') else ''}"


def _text(kind: type) -> str:
    """The docstring up to its sections."""
    text = inspect.getdoc(kind) or ""
    lines: list[str] = []
    for line in text.splitlines():
        if line and set(line) == {"-"}:
            lines.pop()
            break
        lines.append(line)
    return "\n\n".join(_filled(paragraph) for paragraph in "\n".join(lines).strip().split("\n\n"))


def _filled(paragraph: str) -> str:
    """A paragraph, or every item of a list, in lines of at most 79 characters."""
    items: list[str] = []
    for line in paragraph.splitlines():
        if not items or line.lstrip().startswith(("- ", "* ")):
            items.append(line)
        else:
            items[-1] += " " + line.strip()
    return "\n".join(
        textwrap.fill(item, 79, subsequent_indent="  " if item.lstrip().startswith(("- ", "* ")) else "")
        for item in items
    )
