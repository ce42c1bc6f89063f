"""States of algorithms as one safetensors file: tensors as such, everything else as JSON in its header.

The format (8 bytes of length, a JSON header, raw little-endian data) is written here and not by its library, which
copies all tensors first: a population may fill half of the memory.
"""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from snnbench.errors import RecordError
from snnbench.experiment.disk import replacing

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
_SLICE = 1 << 24  # elements brought to the CPU at a time
_GUESSED_SPEED = 4e8  # bytes per second to disk, until the first checkpoint tells
SHARE = 0.05  # of the run's time that may go into writing checkpoints


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested mappings, lists and tuples of tensors, arrays, numbers, text, bytes and None, atomically.

    Raises
    ------
    TypeError
        For a value of another kind, with its place in the state.
    DiskFull
        When the disk is full; the previous checkpoint stays.
    """
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_encode(state, "", tensors))
    header: dict[str, Any] = {"__metadata__": {"state": tree}}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            _write(file, tensor)


def size(state: Mapping[str, Any]) -> int:
    """Bytes of the tensors that `save` would write; raises what it would raise for a state it cannot hold."""
    tensors: dict[str, torch.Tensor] = {}
    _encode(state, "", tensors)
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote; tensors come back on the CPU.

    Raises
    ------
    RecordError
        For a file that is truncated or none of ours. Deleting it is safe: the record can be replayed without it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tree = json.loads(file.metadata()["state"])
            state: dict[str, Any] = _decode(tree, file)
            return state
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise RecordError(
            f"{path} is truncated or no checkpoint ({reason}); delete it and resume: the record is replayed without it"
        ) from None


class CheckpointClock:
    """Says when the next checkpoint is due: not before `interval` seconds, and at `SHARE` of the time at most."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.spent = 0.0
        self._cost = 0.0
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed."""
        return time.monotonic() - self._last >= max(self.interval, self._cost / SHARE)

    def expect(self, size: int) -> None:
        """Before the first checkpoint: guess its cost from its bytes."""
        self._cost = size / _GUESSED_SPEED

    def written(self, seconds: float) -> None:
        """Take note of a checkpoint and of what it took."""
        self._cost, self._last = seconds, time.monotonic()
        self.spent += seconds


def _encode(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("__") for key in value):
            return {k: _encode(v, f"{place}.{k}" if place else k, tensors) for k, v in value.items()}
        pairs = value.items()
        return {"__items__": [[_encode(k, place, tensors), _encode(v, f"{place}[{k!r}]", tensors)] for k, v in pairs]}
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{place}[{i}]", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"__tuple__": items}
    if isinstance(value, torch.Tensor) and value.dtype in _DTYPES and value.layout == torch.strided:
        return {"__tensor__": _keep(value.detach(), place, tensors)}
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        kind = "__array__" if isinstance(value, np.ndarray) else "__scalar__"
        if array.dtype.isnative and array.dtype.kind in "biuf" and array.dtype.itemsize <= 8:
            raw = torch.from_numpy(np.array(array, order="C").reshape(-1).view(np.uint8))
            return {kind: _keep(raw, place, tensors), "dtype": array.dtype.str, "shape": list(array.shape)}
    if isinstance(value, bytes | bytearray):
        return {"__bytes__": bytes(value).hex()}
    raise TypeError(f"{place} is a {type(value).__name__}, which a checkpoint cannot hold")


def _keep(tensor: torch.Tensor, place: str, tensors: dict[str, torch.Tensor]) -> str:
    name = place if place not in tensors else f"{place}#{len(tensors)}"
    tensors[name] = tensor
    return name


def _decode(value: Any, file: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item, file) for item in value]
    if not isinstance(value, dict):
        return value
    if "__tensor__" in value:
        return file.get_tensor(value["__tensor__"])
    if "__array__" in value or "__scalar__" in value:
        raw = file.get_tensor(value.get("__array__") or value["__scalar__"]).numpy()
        array = raw.view(np.dtype(value["dtype"])).reshape(value["shape"])
        return array if "__array__" in value else array[()]
    if "__tuple__" in value:
        return tuple(_decode(item, file) for item in value["__tuple__"])
    if "__items__" in value:
        return {_decode(key, file): _decode(item, file) for key, item in value["__items__"]}
    if "__bytes__" in value:
        return bytes.fromhex(value["__bytes__"])
    return {key: _decode(item, file) for key, item in value.items()}


def _pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    if tensor.is_contiguous():
        yield from tensor.reshape(-1).split(_SLICE)
    else:  # row by row: a whole contiguous copy may not fit
        for row in tensor:
            yield from row.contiguous().reshape(-1).split(_SLICE)


def _write(file: BinaryIO, tensor: torch.Tensor) -> None:
    for piece in _pieces(tensor):
        if piece.numel():
            file.write(piece.cpu().view(torch.uint8).numpy().data)
