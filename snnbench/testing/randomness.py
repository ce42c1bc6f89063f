"""Checks of seeds, of global random generators, and of what an algorithm leaves behind outside of itself."""

import contextlib
import io
import os
import pickle
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from snnbench.testing.candidates import reference
from snnbench.testing.check import check
from snnbench.testing.loops import require, same_global_state, seed_global_state
from snnbench.testing.subject import Subject


@check("candidates")
def seeds(subject: Subject) -> str:
    """The same seed gives the same candidates, another one others."""
    task = subject.task()
    again, other = (subject.loop(task, seed).run() for seed in (3, 4))
    _same(reference(subject), again, "the same seed gave other candidates")
    require(not torch.equal(again, other), "two seeds gave the same candidates")
    return ""


@check("seeds")
def global_random_state(subject: Subject) -> str:
    """The global generators of random, numpy and torch are neither used nor touched."""
    task = subject.task()
    found = []
    with same_global_state():  # which puts back what was before
        for seed in (1, 2):
            seed_global_state(seed)
            started = _states()
            loop, points = subject.loop(task, 3), []
            while loop.left > 0:
                points.append(loop.step())
            for name, state in _states().items():
                require(state == started[name], f"changes the global state of {name}; draw from self.generator")
            found.append(torch.cat(points))
    _same(found[0], found[1], "candidates depend on the global random state")
    return ""


@check("candidates")
def quiet(subject: Subject) -> str:
    """Nothing is printed and no file is written to the working directory."""
    with _elsewhere() as (folder, printed):
        loop = subject.loop(subject.task(120), 1)
        loop.run()
        recommended = loop.algorithm.recommend()
        del recommended, loop
    text = printed[0].strip()
    require(not text, f"printed {text.splitlines()[0][:60]!r}" if text else "")
    require(not folder, f"wrote {', '.join(sorted(folder)[:3])}")
    return ""


def _same(one: torch.Tensor, other: torch.Tensor, message: str) -> None:
    if not torch.equal(one, other):
        rows = min(len(one), len(other))
        differ = (one[:rows] != other[:rows]).any(dim=1).nonzero()
        require(False, f"{message}, from candidate {int(differ[0]) if len(differ) else rows} on")


def _states() -> dict[str, object]:
    """States of the three global generators, comparable."""
    return {
        "random": random.getstate(),
        "numpy.random": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
    }


@contextlib.contextmanager
def _elsewhere() -> Iterator[tuple[list[str], list[str]]]:
    """In an empty folder, with both outputs caught; afterwards the names of new files, and what was printed."""
    names: list[str] = []
    printed: list[str] = []
    caught, here = io.StringIO(), Path.cwd()
    sys.stdout.flush(), sys.stderr.flush()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        kept = [os.dup(descriptor) for descriptor in (1, 2)]  # libraries may print past sys.stdout
        os.chdir(folder)
        try:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
            with contextlib.redirect_stdout(caught), contextlib.redirect_stderr(caught):
                yield names, printed
        finally:
            os.chdir(here)
            for descriptor, original in zip((1, 2), kept, strict=True):
                os.dup2(original, descriptor)
                os.close(original)
        names += os.listdir(folder)
        file.seek(0)
        printed.append(caught.getvalue() + file.read().decode(errors="replace"))
