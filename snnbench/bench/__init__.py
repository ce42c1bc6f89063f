"""How fast candidates are evaluated here, against a loop that a user of another library would write."""

from snnbench.bench.cases import CASES, Case
from snnbench.bench.timing import Row, matrix_peak, measure

__all__ = ["CASES", "Case", "Row", "matrix_peak", "measure"]
