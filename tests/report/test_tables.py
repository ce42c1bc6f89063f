"""Rankings as Markdown, LaTeX and CSV: the right numbers, and no name that does anything."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from snnbench.report.tables import escape_csv, escape_latex, escape_markdown, formatted
from snnbench.stats.ranking import rank

HOSTILE = "=cmd|' /C calc'!A0 <img src=x onerror=alert(1)> \\input{/etc/passwd} [a](javascript:b) $x_1^2$ & 50 % #1"


def results(names, problems=3, seeds=6, lost=()):
    rng = np.random.default_rng(0)
    rows = [
        {
            "run": f"runs/p{p}/{i}/{seed}", "problem": f"p{p}", "version": 1, "variant": "", "algorithm": name,
            "seed": seed, "budget": 100, "objectives": "error", "status": "failed" if name in lost else "complete",
            "device": "cpu", "official": True, "reference": False, "ideal": 0.0, "worst": 1.0,
            "test": np.inf if name in lost else 0.1 * (i + 1) + 0.01 * rng.normal(),
        }
        for p in range(problems) for i, name in enumerate(names) for seed in range(seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_csv_holds_every_number_in_full():
    ranking = rank(results(["a", "b", "c"], lost=("c",)))
    rows = list(csv.DictReader(io.StringIO(formatted(ranking, "csv"))))
    assert len(rows) == 3 + 9
    across = {row["algorithm"]: row for row in rows if not row["problem"]}
    for standing in ranking.standings:
        row = across[standing.algorithm]
        assert float(row["value"]) == standing.value
        assert (int(row["rank"]), int(row["runs"]), int(row["failed"])) == (
            standing.rank,
            standing.runs,
            standing.failed,
        )
    lost = next(row for row in rows if row["problem"] == "p1" and row["algorithm"] == "c")
    assert float(lost["value"]) == np.inf
    assert next(row for row in rows if row["problem"] == "p1")["measure"] == "test"


def test_markdown_tables_are_whole():
    ranking = rank(results(["a", HOSTILE], problems=2))
    text = formatted(ranking, "markdown", problems=True)
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4  # across, all medians, two problems
    for block in blocks:
        counts = [line.replace("\\|", "").count("|") for line in block]
        assert len(set(counts)) == 1, block
    assert "<img" not in text.replace("\\<", "")
    assert "**0.1" in text


def test_latex_has_only_the_commands_of_its_own():
    text = formatted(rank(results(["a_b", HOSTILE], problems=1)), "latex")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    assert r"\toprule" in text
    assert r"a\_b & 1 &" in text
    assert r"\input" not in text.replace(r"\textbackslash{}input", "")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3
    assert {line.replace(r"\&", "").count("&") for line in rows} == {5}
    body = text.replace(r"\{", "").replace(r"\}", "")
    assert body.count("{") == body.count("}")
    for special in "$#%":
        unescaped = text.split("\n", 1)[1].replace("\\" + special, "")
        assert special not in unescaped, special


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\uff1d1", " =1"])
def test_no_cell_is_a_formula(text):
    assert escape_csv(text).startswith("'")
    ranking = rank(results(["plain", text], problems=1))
    cells = [cell for row in csv.reader(io.StringIO(formatted(ranking, "csv"))) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r", " ")) or cell == "-1"]


def test_texts_are_one_line_in_one_direction():
    for escape in (escape_csv, escape_latex, escape_markdown):
        assert escape("a\nb\x00c\u202ed\u2028e") == "a b c d e"
    assert escape_latex("a--b \N{EN DASH} c") == "a-{}-b -- c"


def test_one_algorithm_alone():
    ranking = rank(results(["only"]), alone=True)
    assert ranking.standings == []
    assert "only" in formatted(ranking, "markdown", problems=True)
    assert formatted(ranking, "latex").count(r"\begin{table}") == 1
