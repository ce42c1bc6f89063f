"""Suites: which problems, budgets, seeds and baselines make up a comparison, read from TOML.

A suite file says::

    name = "mine"
    version = 1
    description = "one line"
    seeds = "0:10"                      # 0 to 9; or a list
    penalty = true                      # optional: algorithms that know no constraints are told penalised objectives
    algorithms = ["random", "cade", { name = "de", settings = { mutation = "best1" } }]

    [[problems]]
    name = "threshold-digits"
    version = 1                         # the version of the problem that the suite is about
    budget = 200                        # evaluations
    objectives = ["loss"]               # optional, as are constraints and settings
"""

import importlib.resources
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnbench import registry
from snnbench.errors import SnnbenchError, UsageError, unknown

if TYPE_CHECKING:  # suites are listed without what a run needs
    from snnbench.experiment.plan import RunPlan
    from snnbench.problem import Context

_MOST_SEEDS = 100_000


@dataclass(frozen=True)
class SuiteProblem:
    """One problem of a suite.

    Attributes
    ----------
    name, version
        Of the problem.
    budget
        Evaluations per run.
    objectives
        What is minimised; empty for the problem's default.
    constraints
        Optional constraints that are switched on.
    settings
        Parameters that differ from their defaults, as ``(name, value)``.
    """

    name: str
    version: int
    budget: int
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class SuiteAlgorithm:
    """One baseline of a suite: its name, and parameters that differ from their defaults."""

    name: str
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Suite:
    """A frozen comparison.

    Attributes
    ----------
    name, version
        What results refer to; a changed suite is another version.
    description
        One line.
    seeds
        Of the runs of every algorithm on every problem.
    algorithms
        Baselines.
    problems
        With their budgets.
    source
        The file.
    penalty
        Whether algorithms that know no constraints take part with penalised objectives where there are some.
    """

    name: str
    version: int
    description: str
    seeds: tuple[int, ...]
    algorithms: tuple[SuiteAlgorithm, ...]
    problems: tuple[SuiteProblem, ...]
    source: Path
    penalty: bool = False

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} (version {self.version})"


def suites() -> dict[str, Path]:
    """The suites that come with snnbench: name to file."""
    folder = importlib.resources.files("snnbench.leaderboards.suites")
    found = [Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return {path.stem: path for path in sorted(found)}


def load_suite(name_or_path: str) -> Suite:
    """Read a suite by its name, or from a file ``*.toml``.

    Raises
    ------
    UsageError
        If there is none, or it says something impossible; one line that names the place.
    """
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise UsageError(f"no suite file {path}")
    else:
        known = suites()
        if name_or_path not in known:
            raise unknown("suite", name_or_path, known, "`snnbench list suites` shows all; a file ends in .toml")
        path = known[name_or_path]
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a TOML file: {error}") from None
    return _suite(content, path)


def suite_plans(
    suite: Suite,
    algorithms: Sequence[str] = (),
    problems: Sequence[str] = (),
    seeds: Sequence[int] = (),
    settings: Sequence[str] = (),
    device: str = "auto",
    context: "Context | None" = None,
    installed: bool = True,
) -> "tuple[list[RunPlan], list[str]]":
    """The runs of a suite, by seed, then problem, then algorithm: after one seed of everything there is a first table.

    Parameters
    ----------
    suite
        Which one.
    algorithms
        In the place of its baselines; registered names or ``file.py:Class``.
    problems, seeds
        Only these of its problems and seeds; empty for all.
    settings
        ``name=value`` of algorithms, as on the command line.
    device
        ``auto``, ``cpu`` or ``cuda:N``.
    context
        Folders of data and caches.
    installed
        Whether packages that runs need must be there; not where runs are only looked at.

    Returns
    -------
    list of RunPlan
        What fits.
    list of str
        Combinations that do not fit, with the reason.

    Raises
    ------
    UsageError
        For names and versions that are not there, or settings that change a problem of the suite.
    """
    from snnbench.experiment.plan import Unfit, check, plans

    if changed := [text for text in settings if _about_a_problem(text, suite)]:
        raise UsageError(f"--set {changed[0]} changes a problem: the suite {suite.name} fixes its problems")
    baselines = [SuiteAlgorithm(name) for name in algorithms] or list(suite.algorithms)
    found: list[RunPlan] = []
    reasons = []
    for problem in _chosen(suite, problems):
        for baseline in baselines:
            own = [f"{name}={value}" for name, value in baseline.settings]
            own += [f"problem.{name}={value}" for name, value in problem.settings]
            made = plans(
                [baseline.name],
                [problem.name],
                seeds or suite.seeds,
                problem.budget,
                problem.objectives,
                problem.constraints,
                settings=[*own, *_applying(settings, baseline.name)],
                device=device,
                penalty=suite.penalty,
            )
            try:
                check(made[0], context, installed)
                found += made
            except Unfit as error:
                reasons.append(str(error).partition("; algorithms that fit")[0])
    if unused := [text for text in settings if not any(_applying([text], b.name) for b in baselines)]:
        raise UsageError(f"--set {unused[0]}: no algorithm of these runs has that parameter")
    order = {seed: place for place, seed in enumerate(seeds or suite.seeds)}
    return sorted(found, key=lambda plan: order[plan.seed]), reasons


def _chosen(suite: Suite, names: Sequence[str]) -> Iterator[SuiteProblem]:
    known = {problem.name: problem for problem in suite.problems}
    for name in names:
        if name not in known:
            raise unknown(f"problem of the suite {suite.name}", name, known)
    for problem in suite.problems:
        if names and problem.name not in names:
            continue
        version = registry.load("problem", problem.name).version
        if version != problem.version:
            raise UsageError(
                f"suite {suite.title} is about {problem.name} version {problem.version}, this snnbench has version "
                f"{version}: use the snnbench or the suite that fits"
            )
        yield problem


def _about_a_problem(setting: str, suite: Suite) -> bool:
    owner = setting.partition("=")[0].rpartition(".")[0].strip()
    return owner == "problem" or owner in {problem.name for problem in suite.problems}


def _applying(settings: Iterable[str], algorithm: str) -> list[str]:
    """The settings that concern an algorithm: its own, those of the evaluation, and names that it has."""
    label = registry.display_name("algorithm", algorithm)
    kept = []
    for setting in settings:
        owner, _, name = setting.partition("=")[0].strip().rpartition(".")
        declared = registry.load("algorithm", algorithm).Parameters.__dataclass_fields__
        if owner in (algorithm, label, "evaluation") or (not owner and name in declared):
            kept.append(setting)
    return kept


def _suite(content: Mapping[str, Any], path: Path) -> Suite:
    needed = {"name", "version", "seeds", "algorithms", "problems"}
    _only(content, needed | {"description", "penalty"}, needed, str(path))
    if not isinstance(content.get("penalty", False), bool):
        raise UsageError(f"{path}: penalty must be true or false")
    problems = tuple(
        _problem(entry, f"{path}, problem {i + 1}") for i, entry in enumerate(_list(content, "problems", path))
    )
    algorithms = tuple(_algorithm(entry, path) for entry in _list(content, "algorithms", path))
    for what, entries in (("problem", problems), ("algorithm", algorithms)):
        if len(set(entries)) < len(entries):
            raise UsageError(f"{path}: the same {what} is there twice")
    return Suite(
        name=_text(content, "name", str(path)),
        version=_whole(content, "version", str(path)),
        description=_text(content, "description", str(path)) if "description" in content else "",
        seeds=_seeds(content["seeds"], path),
        algorithms=algorithms,
        problems=problems,
        source=path,
        penalty=content.get("penalty", False),
    )


def _problem(entry: Any, place: str) -> SuiteProblem:
    if not isinstance(entry, dict):
        raise UsageError(f"{place} is no table")
    needed = {"name", "version", "budget"}
    _only(entry, needed | {"objectives", "constraints", "settings"}, needed, place)
    problem = SuiteProblem(_text(entry, "name", place), _whole(entry, "version", place), _whole(entry, "budget", place))
    lists = {key: entry.get(key, []) for key in ("objectives", "constraints")}
    for key, value in lists.items():
        if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            raise UsageError(f"{place}: {key} must be a list of names")
    return replace(
        problem,
        objectives=tuple(lists["objectives"]),
        constraints=tuple(lists["constraints"]),
        settings=_settings(entry.get("settings", {}), place),
    )


def _algorithm(entry: Any, path: Path) -> SuiteAlgorithm:
    if isinstance(entry, str):
        return SuiteAlgorithm(entry)
    if not isinstance(entry, dict):
        raise UsageError(f"{path}: an algorithm is a name or a table with name and settings, got {entry!r}")
    _only(entry, {"name", "settings"}, {"name"}, f"{path}, algorithms")
    name = _text(entry, "name", f"{path}, algorithms")
    return SuiteAlgorithm(name, _settings(entry.get("settings", {}), f"{path}, {name}"))


def _settings(entry: Any, place: str) -> tuple[tuple[str, Any], ...]:
    if not isinstance(entry, dict):
        raise UsageError(f"{place}: settings must be a table")
    for name, value in entry.items():
        if not isinstance(value, str | int | float | bool):
            raise UsageError(f"{place}: setting {name} must be a single value, got {value!r}")
    return tuple(sorted(entry.items()))


def _seeds(value: Any, path: Path) -> tuple[int, ...]:
    try:
        if isinstance(value, str):
            first, _, end = value.partition(":")
            if int(end) - int(first) > _MOST_SEEDS:
                raise UsageError(f"{path}: more than {_MOST_SEEDS:,} seeds")
            value = list(range(int(first), int(end)))
        if not isinstance(value, list) or not all(type(seed) is int and seed >= 0 for seed in value):
            raise ValueError
    except ValueError:
        raise UsageError(f'{path}: seeds must look like "0:10" (0 to 9) or [1, 5, 7]') from None
    if not value:
        raise UsageError(f"{path}: there must be at least one seed")
    return tuple(dict.fromkeys(value))


def _only(content: Mapping[str, Any], allowed: set[str], needed: set[str], place: str) -> None:
    if missing := sorted(needed - set(content)):
        raise UsageError(f"{place} lacks {', '.join(missing)}")
    for name in content:
        if name not in allowed:
            error: SnnbenchError = unknown("entry", name, allowed, f"in {place}")
            raise error


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    value = content[key]
    if not isinstance(value, list) or not value:
        raise UsageError(f"{path}: {key} must be a list with at least one entry")
    return value


def _text(content: Mapping[str, Any], key: str, place: str) -> str:
    value = content[key]
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{place}: {key} must be text, got {value!r}")
    return value


def _whole(content: Mapping[str, Any], key: str, place: str) -> int:
    value = content[key]
    if type(value) is not int or value < 1:
        raise UsageError(f"{place}: {key} must be a whole number of at least 1, got {value!r}")
    return value
