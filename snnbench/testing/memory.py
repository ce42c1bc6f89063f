"""Memory peak of an algorithm on a large space, measured in a process that does nothing else.

``python -m snnbench.testing.memory`` reads requests ``[target, settings]`` as one JSON list from its standard input,
forks for each, so that none sees what another one left, and prints one line of JSON per request.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import torch

from snnbench.algorithm import Task
from snnbench.space import RealVector, SearchSpace
from snnbench.testing.check import Skip, check
from snnbench.testing.loops import evaluations, require
from snnbench.testing.subject import OFFERED, Subject

DIMENSION = 100_000
SMALLEST = 10_000  # dimensions below which a population is lost among everything else
GENERATIONS = 3
_KNOWN: dict[str, dict[str, Any]] = {}


@check("candidates")
def memory(subject: Subject) -> str:
    """Memory peak in populations, with 100,000 dimensions (judged only where a limit is promised)."""
    if reason := unmeasurable(subject):
        raise Skip(reason)
    measure([subject])
    found = _KNOWN[_key(subject.target, subject.settings)]
    require("error" not in found, f"in {DIMENSION:,} dimensions: {found.get('error')}")
    peak = found["peak"] / found["population"]
    text = f"{peak:.1f} populations of {found['rows']} in {found['dimension']:,} dimensions"
    if subject.populations is not None:
        require(peak <= subject.populations, f"peak of {text}; promised are {subject.populations:g}")
    return text


def unmeasurable(subject: Subject) -> str:
    """Why nothing can be measured, or "" if it can."""
    most = subject.can.max_dimension
    if most is not None and most < SMALLEST:
        return f"limited to {most:,} dimensions"
    if subject.can.gradient:
        return "no population"
    if not hasattr(os, "fork"):
        return "this platform cannot measure it"
    if "<locals>" in subject.target or "__main__" in subject.target:
        return "not at the top level of a module that another process could import"
    return ""


def measure(subjects: Sequence[Subject]) -> None:
    """Measure what is not known yet, all in one process: starting one takes longer than measuring."""
    requests = [(subject.target, subject.settings) for subject in subjects]
    new = [request for request in requests if _key(*request) not in _KNOWN]
    if not new:
        return
    # A process that has started threads cannot fork.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "snnbench.testing.memory"],
        input=json.dumps(new),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    lines = done.stdout.splitlines()
    for request, line in zip(new, lines + [""] * (len(new) - len(lines)), strict=True):
        reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        _KNOWN[_key(*request)] = json.loads(line) if line else {"error": reason}


def _key(target: str, settings: dict[str, Any]) -> str:
    return json.dumps([target, settings], sort_keys=True)


def _main() -> None:
    torch.set_num_threads(1)
    for target, settings in json.load(sys.stdin):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            with os.fdopen(writer, "w") as file, open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                file.write(json.dumps(_measured(target, settings)))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            answer = file.read()
        _, status = os.waitpid(child, 0)
        print(answer or json.dumps({"error": f"ended by signal {os.WTERMSIG(status)}"}), flush=True)


def _measured(target: str, settings: dict[str, Any]) -> dict[str, Any]:
    try:
        subject = Subject(_class(target), settings)
        _drive(subject, subject.dimension)  # imports what it imports
        before = _peak()
        rows, d = _drive(subject, min(DIMENSION, subject.can.max_dimension or DIMENSION))
        return {"peak": _peak() - before, "rows": rows, "dimension": d, "population": 4 * rows * d}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}


def _drive(subject: Subject, dimension: int) -> tuple[int, int]:
    """A few generations, without anything of the size of a population besides what the algorithm holds."""
    space = SearchSpace([RealVector("w", dimension, -5.0, 5.0)])
    names = tuple(f"f{j + 1}" for j in range(subject.objectives))
    task = Task(space, names, 10_000, lambda n: space.sample(min(n, OFFERED), torch.Generator().manual_seed(99)))
    algorithm, told, largest = subject.make(task), 0, 0
    with torch.no_grad():
        for _ in range(GENERATIONS):
            x = space.clip_(algorithm.ask())
            fitness = torch.tensor([[float((row - 0.1 * j).norm()) for j in range(len(names))] for row in x])
            algorithm.tell(x, evaluations((fitness.double(), torch.empty(len(x), 0)), told))
            told, largest = told + len(x), max(largest, len(x))
            del x
    return largest, dimension


def _class(target: str) -> Any:
    if ".py:" in target or ":" not in target:
        return target
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _peak() -> int:
    import resource  # not on every platform

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    _main()
