"""Networks as vectors: all trainable weights in one flat tensor, of which the network's parameters are views."""

import hashlib
import json
import math
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnbench.errors import SnnbenchError, UsageError


def flatten(network: nn.Module) -> torch.Tensor:
    """The trainable weights of a network, in the order of ``named_parameters``: (d,) float32, a copy."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def attach(network: nn.Module, vector: torch.Tensor) -> None:
    """Make every parameter of a network a view of `vector` (d,): writing into it loads weights without a copy."""
    start = 0
    for p in network.parameters():
        p.requires_grad_(False)
        p.data = vector[start : start + p.numel()].view(p.shape)
        start += p.numel()
    if start != vector.numel():
        raise ValueError(f"the network has {start} weights, the vector {vector.numel()}")


@dataclass(frozen=True)
class Codec:
    """Weights around a centre, in units of the members' spread, tensor by tensor.

    weight = centre + scale[tensor] * coordinate, with the members' mean as centre and the root mean square
    deviation of the members from it as scale, one per weight tensor (for a network whose members agree in a
    tensor: 1e-3). So a step of 1 in any coordinate is as large as the members' typical difference there, and an
    optimizer with one step size treats all layers alike.

    Attributes
    ----------
    centre
        (d,) float32.
    sizes
        Number of weights of every tensor.
    scales
        One per tensor.
    """

    centre: torch.Tensor
    sizes: tuple[int, ...]
    scales: tuple[float, ...]

    @classmethod
    def around(cls, members: torch.Tensor, sizes: Sequence[int]) -> "Codec":
        """The codec of members (n, d)."""
        centre = members.mean(dim=0)
        scales = []
        for start, size in _blocks(sizes):
            spread = (members[:, start : start + size] - centre[start : start + size]).double()
            scales.append(float(spread.square().mean().sqrt()) or 1e-3)
        return cls(centre, tuple(sizes), tuple(scales))

    def decode(self, x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """Coordinates (d,) to weights, written into `out` (d,)."""
        for (start, size), scale in zip(_blocks(self.sizes), self.scales, strict=True):
            end = start + size
            torch.add(self.centre[start:end], x[start:end], alpha=scale, out=out[start:end])
        return out

    def encode_(self, members: torch.Tensor) -> torch.Tensor:
        """Weights (n, d) to coordinates, in place."""
        members.sub_(self.centre)
        for (start, size), scale in zip(_blocks(self.sizes), self.scales, strict=True):
            members[:, start : start + size].div_(scale)
        return members


def box_radius(coordinates: torch.Tensor) -> float:
    """Half the width of the box: room for half as much again as the farthest coordinate of any member, at least 4."""
    return float(max(4, math.ceil(1.5 * float(coordinates.abs().max()))))


def tensor_hash(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def content_key(description: Mapping[str, Any]) -> str:
    """A short name for the content that a JSON-like description determines."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:24]


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors and their hash to a safetensors file, atomically."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    # Runs that share a cache may make the same checkpoint at the same time: each writes a file of its own.
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, temporary, metadata={"sha256": tensor_hash(plain)})
        temporary.replace(path)
    except SafetensorError as error:  # what safetensors makes of a full disk
        raise SnnbenchError(f"{path} cannot be written ({error}); free space or name another --cache-dir") from None
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(folder: Path) -> None:
    """Fail before hours of training, not after them, if their result cannot be kept: `UsageError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"checkpoints cannot be kept in {folder} ({error.strerror}); name another --cache-dir"
        ) from None


def load_tensors(path: Path) -> dict[str, torch.Tensor] | None:
    """Read what `save_tensors` wrote; ``None`` if the file is missing or damaged (then it is made again)."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            expected = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError, ValueError):
        return None
    return tensors if tensor_hash(tensors) == expected else None


def _blocks(sizes: Sequence[int]) -> list[tuple[int, int]]:
    starts, total = [], 0
    for size in sizes:
        starts.append((total, size))
        total += size
    return starts
