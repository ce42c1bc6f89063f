"""A class of the wrong kind, or an incomplete one, is refused in one line."""

import pytest

from snnbench import registry
from snnbench.errors import UsageError


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("algorithm", "class Mine: pass", "derived from snnbench.algorithm.Algorithm"),
        ("problem", "class Mine: pass", "derived from snnbench.problem.Problem"),
        ("algorithm", "Mine = 3", "derived from"),
        ("algorithm", "from snnbench.algorithm import Algorithm\nclass Mine(Algorithm): pass", "lacks ask, tell"),
    ],
)
def test_refused(tmp_path, kind, body, expected):
    file = tmp_path / "mine.py"
    file.write_text(body)
    with pytest.raises(UsageError, match=expected):
        registry.load(kind, f"{file}:Mine")
