"""The recommended candidates themselves."""

import math
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from snnbench.experiment.digest import digests, finite
from snnbench.experiment.packing import LARGEST_VECTORS
from snnbench.space import SearchSpace
from snnbench.validation.files import small
from snnbench.validation.findings import Report
from snnbench.validation.runs import Run


def read_vectors(run: Run, folder: Path, left_out: Collection[Path], report: Report) -> torch.Tensor | None:
    """The vectors of a run's recommendation, (k, d), checked; ``None`` if there are none to rely on.

    Those that an archive leaves out are a note if they are as large as that allows.
    """

    def wrong(text: str) -> None:
        report.add("error", "vectors", run.path, text)

    if not run.final:
        return None
    file, shape = (
        folder / run.path / "recommendation.safetensors",
        [len(run.final), run.content["problem"]["dimension"]],
    )
    if run.path / file.name in left_out and not file.exists() and 4 * math.prod(shape) > LARGEST_VECTORS // 2:
        report.add("note", "vectors", run.path, "the recommended candidate is not in the archive, nor measured again")
        return None
    if not small(file):
        wrong("no recommendation.safetensors" if not file.exists() else "recommendation.safetensors is not opened")
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            found = opened.get_slice("x").get_shape() if "x" in opened.keys() else None  # noqa: SIM118
            x = opened.get_tensor("x") if found == shape else None
    except (SafetensorError, OSError) as error:
        wrong(f"recommendation.safetensors is truncated or none ({str(error).splitlines()[0]})")
        return None
    if x is None or x.dtype != torch.float32:
        wrong(f"recommendation.safetensors holds no float32 x of shape {tuple(shape)}")
        return None
    if not finite(x):
        wrong("a recommended candidate is not finite")
        return None
    expected = [point["digest"] for point in run.final]
    for number, (one, other) in enumerate(zip(digests(x).tolist(), expected, strict=True)):
        if one != other:
            wrong(f"point {number} is not the candidate that was measured: its digest differs")
            return None
    return x


def check_box(run: Run, x: torch.Tensor, space: SearchSpace, report: Report) -> None:
    """Whether every recommended candidate is a point of the search space."""
    inside = (space.clip_(x.clone()) == x).all(dim=1)
    for number in (~inside).nonzero().flatten().tolist():
        report.add("error", "vectors", run.path, f"point {number} is outside the box of the search space")
