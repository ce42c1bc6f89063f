"""Shared ways to make small runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from snnbench.experiment.plan import RunPlan, plans

TOYS = Path(__file__).with_name("toys.py")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def plan() -> Callable[..., RunPlan]:
    """``plan("Walk", "Bowl", budget=20, ...)`` for toys."""

    def make(algorithm: str = "Walk", problem: str = "Bowl", seed: int = 0, **options) -> RunPlan:
        made = plans([f"{TOYS}:{algorithm}"], [f"{TOYS}:{problem}"], seeds=[seed], device="cpu", **options)
        assert len(made) == 1
        return made[0]

    return make


class Watcher:
    """Keeps what it is told; `act` is called with every progress."""

    def __init__(self, act: Callable = lambda progress: None) -> None:
        self.seen: list[tuple] = []
        self.act = act

    def __getattr__(self, name: str) -> Callable:
        return lambda *values: self.seen.append((name, *values))

    def on_progress(self, progress) -> None:
        self.seen.append(("on_progress", progress))
        self.act(progress)

    def named(self, name: str) -> list[tuple]:
        return [values for event, *values in self.seen if event == name]


@pytest.fixture
def watcher() -> type[Watcher]:
    return Watcher
