"""The 1,797 handwritten digits that come with scikit-learn."""

import importlib.util
from pathlib import Path

import numpy as np

from snnbench.errors import DataError


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 1, 8, 8) uint8 with the exact values 0..16, and labels (1797,) int64, in scikit-learn's order.

    Raises
    ------
    DataError
        If scikit-learn is missing.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("digits: scikit-learn, which holds them, is not installed; `pip install scikit-learn`")
    # Importing sklearn.datasets takes about 2 s, its table 30 ms; the caller checks the content's hash either way.
    table = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if table.is_file():
        rows = np.loadtxt(table, delimiter=",", dtype=np.int64)
        return rows[:, :64].astype(np.uint8).reshape(-1, 1, 8, 8), rows[:, 64]
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images[:, None].astype(np.uint8), bunch.target.astype(np.int64)
