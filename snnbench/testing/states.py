"""Checks of saved states: the same future, and nothing shared."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from snnbench.experiment import checkpoint
from snnbench.testing.candidates import generations, recommended, reference
from snnbench.testing.check import check
from snnbench.testing.loops import Loop, Nonconformance, ask, require, same_global_state
from snnbench.testing.subject import Subject


@check("seeds", "global_random_state")
def saved_state(subject: Subject) -> str:
    """A state saved between `tell` and `ask` has exactly the same future, and saving disturbs nothing."""
    task, expected = subject.task(), reference(subject)
    original = subject.loop(task, 3)
    moments = [0, 1, 2, 7]
    if subject.slow:  # at the start, and before the last two generations
        moments = [0, max(1, generations(subject) - 2)]
    saved: list[tuple[int, dict[str, Any]]] = []
    points: list[torch.Tensor] = []
    for moment in range(moments[-1] + 1):
        if moment in moments:
            saved.append((original.told, through_a_file(original.algorithm.state_dict())))
        if original.left == 0:
            break
        points.append(original.run(asks=1))
    points.append(original.run())
    require(torch.equal(torch.cat(points), expected), "calling state_dict changed what it asked for next")
    for told, state in saved:
        restored = subject.make(task, seed=4)
        restored.load_state_dict(state)
        asks = None if subject.slow or told == 0 else 12
        future = Loop(restored, subject.function(task), told).run(asks)
        require(
            torch.equal(future, expected[told : told + len(future)]),
            f"restored after {told} evaluations, it asked for other candidates; is all that changes in `state`?",
        )
    return ""


@check("saved_state")
def shared_memory(subject: Subject) -> str:
    """Two instances from one state share no memory."""
    task = subject.task()
    original = subject.loop(task, 3)
    original.run(asks=3 if not subject.slow else max(1, generations(subject) - 2))
    told = original.told
    copy = subject.make(task, seed=4)
    copy.load_state_dict(original.algorithm.state_dict())
    expected = original.run()
    found = Loop(copy, subject.function(task), told).run()
    require(
        torch.equal(found, expected),
        "an instance changed the tensors of another one that was loaded from its state; "
        "clone what load_state_dict gets, or what is changed in place",
    )
    return ""


@check("recommendation", "saved_state")
def short_tell(subject: Subject) -> str:
    """When the budget ends within a generation, `tell` gets its first rows; then the state is saved once more."""
    task = subject.task()
    asks = 4 if not subject.slow else generations(subject) - 1
    for before in (asks, 0):
        for keep in (1, 3):
            loop = subject.loop(task, 3)
            loop.run(asks=before)
            with same_global_state():
                x = ask(loop.algorithm)
                loop.tell(x[:keep])
            best = recommended(loop.algorithm)
            state = through_a_file(loop.algorithm.state_dict())
            other = subject.make(task, seed=4)
            other.load_state_dict(state)
            again = recommended(other)
            same = again is None if best is None else again is not None and torch.equal(best, again)
            require(same, "after a short last tell, a restored instance recommends something else")
    return ""


@check("short_tell")
def small_budgets(subject: Subject) -> str:
    """Budgets of 1 and 2 evaluations are possible."""
    for budget in (1, 2):
        loop = subject.loop(subject.task(budget))
        loop.run()
        recommended(loop.algorithm)
    return ""


def through_a_file(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state as it comes back from a checkpoint; `Nonconformance` if a checkpoint cannot hold it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.safetensors"
        try:
            checkpoint.save(path, state)
        except TypeError as error:
            raise Nonconformance(f"of its state, {error}; use tensors, arrays, numbers, text, lists, dicts") from error
        return checkpoint.load(path)
