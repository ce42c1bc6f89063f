"""The restricted reader of pickled data files."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snnbench.data.pickles import read_dictionary
from snnbench.errors import DataError

DATA = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["|u1", "<i8", ">i4"])
def test_reads_what_python_2_wrote(protocol: int, dtype: str, write_pickle: Callable[[Any, int], bytes]) -> None:
    content = write_pickle({"data": DATA.astype(dtype), "labels": [0, 300, 2], "name": "caf\xe9"}, protocol)
    assert pickle.loads(content, encoding="latin1")["name"] == "caf\xe9"  # noqa: S301 - the writer is right itself
    record = read_dictionary(content, "file")
    np.testing.assert_array_equal(record["data"], DATA)
    assert record["data"].dtype == np.dtype(dtype)
    assert (record["labels"], record["name"]) == ([0, 300, 2], "caf\xe9")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", [DATA, np.asfortranarray(DATA), DATA.astype(np.int64)], ids=["C", "F", "int64"])
def test_reads_what_python_3_writes(protocol: int, array: np.ndarray) -> None:
    record = read_dictionary(pickle.dumps({"data": array, b"labels": [1, 2]}, protocol=protocol), "file")
    np.testing.assert_array_equal(record["data"], array)
    assert record["labels"] == [1, 2]


class Attack:
    """Pickles to a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_not_executed(protocol: int, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    attacks = [
        Attack(os.mkdir, str(victim)),
        Attack(eval, f"__import__('os').mkdir({str(victim)!r})"),
        Attack(np.load, "x"),
    ]
    for attack in attacks:
        with pytest.raises(DataError, match="which no data file needs"):
            read_dictionary(pickle.dumps({"data": attack}, protocol=protocol), "batch_1")
    assert not victim.exists()
    pickle.loads(pickle.dumps(attacks[0]))  # noqa: S301 - an ordinary reader does fall for it
    assert victim.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle at all",
        pickle.dumps({"data": DATA})[:-20],
        pickle.dumps([1, 2]),
        pickle.dumps({"data": np.array([object()])}),
        pickle.dumps({"data": DATA.astype(float)}),
        b"cnumpy\nndarray\n(tR(I1\n(I1000000000\nI1000\ntcnumpy\ndtype\n(S'u1'\ntRI00\nS'x'\ntb.",
        b"cnumpy\nndarray\n(tR(I1\n(I-1\nI-1\ntcnumpy\ndtype\n(S'u1'\ntRI00\nS'x'\ntb.",
    ],
    ids=["empty", "text", "truncated", "list", "objects", "floats", "huge", "negative"],
)
def test_anything_else_is_one_clear_error(content: bytes) -> None:
    with pytest.raises(DataError, match="batch_1 is not a readable data file"):
        read_dictionary(content, "batch_1")
