"""Algorithms that break the contract in one way each. The key of `INTENDED` names the check that has to notice."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from snnbench.algorithm import Capabilities
from snnbench.parameters import param
from snnbench.space import Categorical
from snnbench.testing.example import Example


class Undocumented(Example):
    def ask(self):
        return super().ask()


class LongWinded(Example):
    """An evolution strategy about which there is so much to say that the list of algorithms has no room for it."""


class NoReference(Example):
    """Says not where it is from."""

    reference = "unpublished"


@dataclass(frozen=True)
class Sourceless:
    population: int = param(16, "candidates per generation")
    step: float = param(0.05, "initial step size", source="ours")


class NoSource(Example):
    """Says not where a default is from."""

    Parameters = Sourceless


@dataclass(frozen=True)
class OutOfRange:
    population: int = param(16, "candidates per generation", high=8, source="ours")
    step: float = param(0.05, "initial step size", source="ours")


class BadDefault(Example):
    """Has a default that cannot be set."""

    Parameters = OutOfRange


class Nan(Example):
    """Returns NaN in its third ask."""

    asked = 0

    def ask(self):
        self.asked += 1
        return super().ask() * (float("nan") if self.asked == 3 else 1.0)


class WrongShape(Example):
    """Returns one coordinate too few."""

    def ask(self):
        return super().ask()[:, 1:]


class Array(Example):
    """Returns an array."""

    def ask(self):
        return super().ask().numpy()


class Double(Example):
    """Returns float64."""

    def ask(self):
        return super().ask().double()


class Outside(Example):
    """Leaves the box."""

    def ask(self):
        return super().ask() + 100


class NeedsDesign(Example):
    """Cannot do without an initial design."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.mean = self.task.initial(1)[:1]
        self.mean[0] += 0


class WritesIntoEvaluations(Example):
    """Sorts what it was told in place."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        evaluations.objectives.copy_(evaluations.objectives.sort(dim=0).values)


class NoCategories(Example):
    """Knows no categories."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        if any(isinstance(variable, Categorical) for variable in self.task.space.variables):
            raise TypeError("what is a category?")


class Unscaled(Example):
    """Takes steps of the same length in every coordinate."""

    def ask(self):
        x = super().ask()
        if not self.begun or not len(self.task.space.lower.shape):
            return x
        return self.mean + 0.01 * torch.randn(x.shape, generator=self.generator)


class BadAnnotations(Example):
    """Annotates one number too few."""

    def annotations(self):
        return {"step": np.zeros(3)}


class BadRecommendation(Example):
    """Recommends a point without its first dimension."""

    def recommend(self):
        return self.mean[0]


class Deaf(Example):
    """Ignores its seed."""

    def __init__(self, task, parameters=None, seed=0):
        super().__init__(task, parameters, 1)


class Unseeded(Example):
    """Draws from a generator without a seed."""

    def ask(self):
        return super().ask() + 0.1 * float(np.random.default_rng().random())


class GlobalTorch(Example):
    """Draws from torch's global generator."""

    def ask(self):
        return super().ask() + 0.01 * torch.rand(1)


class GlobalNumpy(Example):
    """Draws from numpy's global generator."""

    def ask(self):
        return super().ask() + 0.01 * float(np.random.rand())  # noqa: NPY002


class SeedsGlobal(Example):
    """Seeds the global generator of others."""

    def ask(self):
        random.seed(0)
        return super().ask()


class ReadsGlobal(Example):
    """Depends on the global generator, and leaves it as it was."""

    def ask(self):
        before = torch.get_rng_state()
        x = super().ask() + 0.01 * torch.rand(1)
        torch.set_rng_state(before)
        return x


class Prints(Example):
    """Prints."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        print("best so far", float(evaluations.fitness.min()))


class PrintsBelow(Example):
    """Prints as libraries in C do."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        os.write(2, b"warning: nothing\n")


class Writes(Example):
    """Writes a file."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        Path("log.txt").write_text("told")


class Forgets(Example):
    """Forgets its step size."""

    state = ("mean", "begun")


class Disturbed(Example):
    """Draws a number when it is saved."""

    def state_dict(self):
        torch.rand(1, generator=self.generator)
        return super().state_dict()


class Opaque(Example):
    """Keeps something in its state that no checkpoint can hold."""

    state = (*Example.state, "thing")
    thing = object()


class Aliasing(Example):
    """Changes its mean in place."""

    def tell(self, x, evaluations):
        held, before = self.mean, self.mean.clone()
        super().tell(x, evaluations)
        new = self.mean.clone()
        del before
        self.mean = held
        self.mean.copy_(new)


class WholeOnly(Example):
    """Takes for granted that all of a generation is told."""

    def tell(self, x, evaluations):
        if self.begun:
            evaluations.fitness[self.parameters.population - 1]
        super().tell(x, evaluations)


class Spendthrift(Example):
    """Cannot do with less than a generation."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        if self.task.budget < 16:
            raise ValueError("the budget is too small")


class FailsOnFailures(Example):
    """Divides by the spread of its fitness values."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        weights = torch.softmax(-evaluations.fitness, 0)
        self.mean = (weights[:, None] * x).sum(dim=0, keepdim=True).float()


class NeverFails(Example):
    """Stops at a noisy problem."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        if self.task.noisy:
            raise NotImplementedError("noise")


class Lawless(Example):
    """Declares constraints and does not look at them."""

    capabilities = Capabilities(constraints=True)


class OneObjective(Example):
    """Declares any number of objectives and handles one."""

    capabilities = Capabilities(objectives=None)

    def tell(self, x, evaluations):
        (_fitness,) = evaluations.objectives.T
        super().tell(x, evaluations)


class Generational(Example):
    """Declares itself asynchronous and counts on whole generations."""

    capabilities = Capabilities(asynchronous=True)


class PendingForgotten(Example):
    """Keeps the step sizes of pending candidates, but not in its state."""

    capabilities = Capabilities(asynchronous=True)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.pending: dict[int, float] = {}
        self.asked = 0

    state = (*Example.state, "asked")

    def ask(self):
        if not self.task.asynchronous:
            return super().ask()
        step = self.step * float(torch.rand(1, generator=self.generator) + 0.5)
        self.pending[self.asked] = step
        self.asked += 1
        return self.mean + step * torch.randn(1, self.task.space.dimension, generator=self.generator)

    def tell(self, x, evaluations):
        if not self.task.asynchronous:
            super().tell(x, evaluations)
        elif evaluations.objectives.isfinite().all():
            step = self.pending.pop(int(evaluations.candidates[0]), 0.01)
            self.mean, self.step = 0.5 * (self.mean + x), 0.5 * (self.step + step)


class Clock(Example):
    """Annotates the time, so that no record can be repeated."""

    def annotations(self):
        rows = len(self.task.initial(16)) if not self.begun else self.parameters.population
        return {"now": np.full(rows, time.time())}


class Heavy(Example):
    """Keeps twelve copies of its population."""

    def tell(self, x, evaluations):
        super().tell(x, evaluations)
        self.copies = [x.clone() for _ in range(12)]


INTENDED: dict[type[Example], str] = {
    Undocumented: "declarations",
    LongWinded: "declarations",
    NoReference: "declarations",
    NoSource: "declarations",
    BadDefault: "declarations",
    Nan: "candidates",
    WrongShape: "candidates",
    Array: "candidates",
    Double: "candidates",
    Outside: "candidates",
    NeedsDesign: "candidates",
    WritesIntoEvaluations: "candidates",
    NoCategories: "mixed_space",
    Unscaled: "unequal_box",
    BadAnnotations: "annotations",
    BadRecommendation: "recommendation",
    Deaf: "seeds",
    Unseeded: "seeds",
    GlobalTorch: "global_random_state",
    GlobalNumpy: "global_random_state",
    SeedsGlobal: "global_random_state",
    ReadsGlobal: "global_random_state",
    Prints: "quiet",
    PrintsBelow: "quiet",
    Writes: "quiet",
    Forgets: "saved_state",
    Disturbed: "saved_state",
    Opaque: "saved_state",
    Aliasing: "shared_memory",
    WholeOnly: "short_tell",
    Spendthrift: "small_budgets",
    FailsOnFailures: "failures",
    NeverFails: "noise",
    Lawless: "constraints",
    OneObjective: "objectives",
    Generational: "asynchronous",
    PendingForgotten: "asynchronous_state",
    Clock: "complete_run",
    Heavy: "memory",
}

MESSAGES: dict[type[Example], str] = {
    Undocumented: "no docstring",
    NoSource: "population",
    Nan: "NaN",
    WrongShape: "(6, 5)",
    Outside: "outside the box",
    GlobalTorch: "torch",
    GlobalNumpy: "numpy",
    SeedsGlobal: "random",
    Prints: "best so far",
    PrintsBelow: "warning: nothing",
    Writes: "log.txt",
    Opaque: "thing",
    FailsOnFailures: "NaN",
    Clock: "differs",
    Heavy: "promised",
}


class Slow(Example):
    """Takes its time, as Gaussian processes do, once the initial design is told."""

    def ask(self):
        x = super().ask()
        if self.begun:
            began = time.process_time()
            while time.process_time() - began < 0.03:
                pass
            return x[:1]
        return x
