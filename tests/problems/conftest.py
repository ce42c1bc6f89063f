"""sew-digits, prepared once with settings that take seconds, and tiny data in the layout of the CIFAR archives."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnbench.parameters import resolve
from snnbench.problem import Context
from snnbench.problems.sew import SEWDigits, SEWProblem

TINY = {"members": 3, "source_epochs": 2, "epochs": 1, "batch": 32, "width": 4, "blocks": "1-1-1", "calibration": 64}


class Stages:
    """A progress display that remembers what was done."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.seen.append(stage)


@pytest.fixture(scope="session")
def make() -> Callable[..., tuple[SEWProblem, Stages]]:
    """``make(SEWDigits, cache, width=4, ...)``: a problem, unprepared, and the stages it will report."""

    def build(
        cls: type[SEWProblem], cache: Path, objectives: tuple[str, ...] = (), data: Path | None = None, **settings: Any
    ) -> tuple[SEWProblem, Stages]:
        stages = Stages()
        context = Context(data_dir=data, cache_dir=cache, progress=stages)
        return cls(resolve(cls.Parameters, TINY | settings, cls.name), objectives, context), stages

    return build


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def digits(make, cache) -> SEWProblem:
    problem, _ = make(SEWDigits, cache)
    problem.prepare()
    return problem


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few noisy images of both CIFAR data sets."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)

    def write(path: Path, n: int, classes: int, key: str, **extra: Any) -> None:
        labels = np.arange(n) % classes
        pixels = rng.integers(0, 128, (n, 3072)) + labels[:, None] * 127 // classes
        record = {"data": pixels.astype(np.uint8), key: labels.tolist(), **extra}
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pickle.dumps(record, protocol=2))

    ten, hundred = root / "cifar-10-batches-py", root / "cifar-100-python"
    for i in range(1, 6):
        write(ten / f"data_batch_{i}", 40, 10, "labels")
    write(ten / "test_batch", 20, 10, "labels")
    (ten / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"kind {i}" for i in range(10)]}, protocol=2))
    write(hundred / "train", 200, 100, "fine_labels", coarse_labels=[0] * 200)
    write(hundred / "test", 100, 100, "fine_labels")
    (hundred / "meta").write_bytes(pickle.dumps({"fine_label_names": [f"kind {i}" for i in range(100)]}, protocol=2))
    return root
