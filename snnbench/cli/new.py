"""``snnbench new``: files to start from."""

import argparse
import importlib.util
import keyword
import sys
from pathlib import Path

TEST = '''"""`pytest test_{module}.py` runs every conformance check on {cls}."""

from {module} import {cls}

from snnbench.testing import {Kind}Conformance


class Test{cls}({Kind}Conformance):
    {kind} = {cls}
'''

TITLES = {
    "algorithm": "a small evolution strategy, to be made into an algorithm of yours.",
    "problem": "a spiking layer on handwritten digits, to be made into a problem of yours.",
}
TEMPLATES = {"algorithm": "example.py", "problem": "problem_example.py"}
RUNS = {
    "algorithm": "--algo {target} --problem sew-digits --budget 100",
    "problem": "--algo random,de --problem {target}",
}


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the verb."""
    parser = subparsers.add_parser(
        "new",
        help="write an algorithm or a problem to start from, with its test",
        description="Write NAME.py, a small optimizer or problem that works, and test_NAME.py.",
    )
    parser.add_argument("what", choices=list(TEMPLATES), metavar="KIND", help="algorithm or problem")
    parser.add_argument("name", metavar="NAME", help="for example hill-climber")
    parser.add_argument("--out", type=Path, default=Path("."), metavar="FOLDER", help="where to (here)")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from snnbench.errors import UsageError
    from snnbench.experiment.disk import replacing

    module, cls = _names(args.name, args.out)
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"{args.out} is no folder")
    spec = importlib.util.find_spec("snnbench.testing")
    assert spec is not None
    assert spec.origin is not None
    template = Path(spec.origin).with_name(TEMPLATES[args.what]).read_text(encoding="utf-8")
    title = f'"""{args.name}: {TITLES[args.what]}"""\n'
    code = title + template.partition("\n")[2].replace("Example", cls).replace('"example"', f'"{args.name}"')
    files = {
        args.out / f"{module}.py": code,
        args.out / f"test_{module}.py": TEST.format(
            module=module, cls=cls, kind=args.what, Kind=args.what.capitalize()
        ),
    }
    for path in files:
        if path.exists():
            raise UsageError(f"{path} exists; give another name or another --out")
    args.out.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        with replacing(path) as to:
            to.write(text.encode())
        print(f"wrote {path}")
    file, test = files
    here = "./" if not file.is_absolute() else ""
    print("\nnext:")
    target = f"{here}{file}:{cls}"
    print(f"  snnbench test {target}")
    print(f"  snnbench run {RUNS[args.what].format(target=target)}")
    print(f"  pytest {test}")
    return 0


def _names(name: str, out: Path) -> tuple[str, str]:
    """Module and class of an algorithm's name.

    Raises
    ------
    UsageError
        For a name that is none for a module, or is that of a module which the file would hide.
    """
    from snnbench.errors import UsageError

    module = name.replace("-", "_").lower()
    cls = "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))
    if not (name.isascii() and module.isidentifier() and cls.isidentifier()) or keyword.iskeyword(module):
        raise UsageError(f"{name!r} is no name for a module; use letters, digits and hyphens, as in hill-climber")
    hides = module in sys.stdlib_module_names
    if not hides and not (out / f"{module}.py").exists():
        hides = importlib.util.find_spec(module) is not None
    if hides:
        raise UsageError(f"a file {module}.py would hide the module {module}; give another name")
    return module, cls
