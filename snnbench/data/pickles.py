"""Read the pickled dictionaries of the official CIFAR files without trusting them.

A pickle is a program. The few global names that a numpy array needs in it are replaced here by inert stand-ins of
ours, so nothing outside this module is ever called by a file, not even numpy's own reconstruction code. Anything else
that a file asks for is refused.
"""

import io
import math
import pickle
from typing import Any

import numpy as np

from snnbench.errors import DataError


class _DType:
    """Stand-in for ``numpy.dtype``: plain integers only."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        self.dtype = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
        if self.dtype.kind not in "iu":
            raise pickle.UnpicklingError(f"an array of {self.dtype}, not of integers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order: Any = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stand-in for ``numpy.ndarray``; `value` holds the array once its state is set."""

    value: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _DType) or order not in ("C", "F"):
        raise pickle.UnpicklingError("a malformed array")
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    if any(not isinstance(n, int) or n < 0 for n in shape) or math.prod(shape) * dtype.dtype.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array of shape {shape} with {len(data)} bytes")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order=order)


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.value = _array(raw, dtype, shape, order)
    return array


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("a string in an unexpected encoding")
    return text.encode("latin1")


_ALLOWED = {
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encode,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data file needs")
        return _ALLOWED[module, name]


def read_dictionary(content: bytes, where: str) -> dict[str, Any]:
    """Decode a pickled dictionary of strings, integers, lists and integer arrays.

    Parameters
    ----------
    content
        The file's bytes; Python 2 and Python 3 pickles of every protocol.
    where
        Name of the file, for messages.

    Raises
    ------
    DataError
        If it is no such pickle, or asks for anything but numpy arrays.
    """
    try:
        loaded = _RestrictedUnpickler(io.BytesIO(content), encoding="latin1").load()
    # A damaged pickle can raise nearly any exception; all of them mean the same to the user.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{where} is not a readable data file: {reason}") from error
    if not isinstance(loaded, dict):
        raise DataError(f"{where} is not a readable data file: it holds no dictionary")
    plain = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in loaded.items()}
    return {key: value.value if isinstance(value, _Array) else value for key, value in plain.items()}
