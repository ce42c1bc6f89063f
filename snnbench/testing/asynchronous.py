"""Checks of algorithms that declare themselves asynchronous."""

import random

import torch

from snnbench.testing.candidates import recommended
from snnbench.testing.check import Skip, check
from snnbench.testing.loops import AsynchronousLoop, require, same_global_state
from snnbench.testing.states import through_a_file
from snnbench.testing.subject import Subject
from snnbench.testing.values import failing


@check("recommendation", "seeds", "global_random_state")
def asynchronous(subject: Subject) -> str:
    """Candidates may be told one by one, in any order, while others are pending."""
    if not subject.can.asynchronous:
        raise Skip("not declared")
    found = []
    for order in (1, 1, 2):
        loop = _loop(subject, order)
        found.append(loop.run())
        recommended(loop.algorithm)
        if subject.slow and len(found) == 2:
            break
    require(torch.equal(found[0], found[1]), "the same seed and order of completion gave other candidates")
    if not subject.slow:
        loop = _loop(subject, 3)
        loop.function = failing(loop.function, "some")
        loop.run()
    return ""


@check("asynchronous", "saved_state", "failures")
def asynchronous_state(subject: Subject) -> str:
    """A state saved while candidates are pending has exactly the same future."""
    if not subject.can.asynchronous:
        raise Skip("not declared")
    task = subject.task(80, asynchronous=True)
    total = task.budget
    expected = _loop(subject, 1).run()
    original = _loop(subject, 1)
    saved = []
    for moment in (max(1, total - 6),) if subject.slow else (1, total // 2):
        with same_global_state():
            while original.told < moment:
                original.occupy()
                original.complete()
        for asked in (False, True):  # with the last completion told, and with the next candidate asked for
            if asked:
                original.occupy()
            state = through_a_file(original.algorithm.state_dict())
            saved.append((original.fork(subject.make(task, seed=4)), state))
    for loop, state in saved:
        told, pending = loop.told, len(loop.running)
        loop.algorithm.load_state_dict(state)
        future = loop.run(None if subject.slow else 30)
        require(
            torch.equal(future, expected[told : told + len(future)]),
            f"restored after {told} evaluations with {pending} pending, it asked for other candidates",
        )
    return ""


def _loop(subject: Subject, order: int) -> AsynchronousLoop:
    task = subject.task(80, asynchronous=True)
    return AsynchronousLoop(subject.make(task, 3), subject.function(task), random.Random(order))
