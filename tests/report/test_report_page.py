"""One page of a run or of several: self-contained, right in every state of a run; one line where it cannot be made."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from snnbench.cli import main

SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
synthetic = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(synthetic)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return synthetic.write_runs(folder, problems=2, seeds=4, budget=12, names=["good", "fair"])


def edited(run, **changes):
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return run


def text(path):
    """What a reader sees: without markup, styles and drawings."""
    html = re.sub(r"(?s)<(style|svg)\b.*?</\1>", " ", path.read_text(encoding="utf-8"))
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_a_set_of_runs(runs, tmp_path, capsys):
    out = tmp_path / "new folder" / "page.html"
    assert main(["report", str(runs), "--out", str(out), "--title", "Two on two"]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: ")
    html, shown = out.read_text(encoding="utf-8"), text(out)
    for expected in (
        "Two on two",
        "2 problems, 2 algorithms, 4 seeds, 16 runs",
        "too few to tell any two apart",
        "snnbench run --algo random --problem problem-0,problem-1 --budget 12 --seeds 0:4",
    ):
        assert expected in shown
    assert html.count("<svg") > 4
    assert "<script" not in html
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html), "nothing is fetched, nothing leads elsewhere"
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids)), "drawings keep their ids apart"


def test_one_algorithm_has_medians_and_nothing_to_be_compared_with(runs, tmp_path):
    out = tmp_path / "page.html"
    assert (
        main(["report", str(runs), "--where", "algorithm=good", "--where", "problem=problem-0", "--out", str(out)]) == 0
    )
    assert "One algorithm: nothing to compare it with" in text(out)


def test_one_run(runs, tmp_path):
    run = next(runs.glob("problem-0/good/*seed2"))
    out = tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(out)]) == 0
    shown = text(out)
    assert shown.startswith("good on problem-0, seed 2")
    assert "error (objective) 0.9" in shown
    assert "--budget 12 --seed 2" in shown
    assert "<svg" in out.read_text(encoding="utf-8")
    assert main(["report", str(run), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == out.read_bytes()


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_run_without_a_recommendation(tmp_path, status):
    synthetic.write_runs(tmp_path, problems=1, seeds=1, budget=12, names=["good"])
    run = edited(next(tmp_path.glob("*/*/*")), status=status, error={"type": "ValueError", "message": "no <b>luck"})
    (run / "recommendation.json").unlink()
    assert main(["report", str(run)]) == 0
    shown = text(run / "report.html")
    assert ("status interrupted" if status == "running" else "status failed") in shown
    assert "ValueError : no &lt;b&gt;luck" in shown


def test_several_objectives_show_the_recommended_set(tmp_path):
    synthetic.write_runs(tmp_path, problems=1, seeds=1, budget=12, names=["good"], objectives=("error", "energy"))
    assert main(["report", str(next(tmp_path.glob("*/*/*"))), "--out", str(tmp_path / "page.html")]) == 0
    assert "Recommended set" in text(tmp_path / "page.html")


def test_a_suite_keeps_its_runs_and_counts_the_others(runs, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'name = "mine"\nversion = 3\ndescription = "a <small> suite"\nseeds = "0:3"\nalgorithms = ["random"]\n'
        '[[problems]]\nname = "problem-1"\nversion = 1\nbudget = 12\n'
    )
    out = tmp_path / "page.html"
    assert main(["report", str(runs), "--suite", str(suite), "--out", str(out)]) == 0
    shown = text(out)
    assert shown.startswith("Report: mine (version 3)")
    assert "a &lt;small&gt; suite" in shown
    assert "1 problem, 2 algorithms, 3 seeds, 6 runs" in shown
    assert "10 runs not of the suite mine (version 3) left out" in shown
    suite.write_text(suite.read_text().replace("budget = 12", "budget = 13"))
    assert main(["report", str(runs), "--suite", str(suite), "--out", str(out)]) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["report", "nowhere"], "no such folder"),
        (["report", "{runs}", "--where", "colour=red"], "column=value"),
        (["report", "{runs}", "--out", "{runs}"], "is a folder"),
        (["report", "{runs}", "--suite", "none"], "unknown suite"),
        (["report", "{runs}", "--measure", "hypervolume"], "one objective"),
        (["publish", "{runs}"], "--out"),
        (["publish", "{runs}", "--where", "algorithm=good", "--out", "x"], "only one algorithm"),
        (["publish", "{runs}", "--out", "{runs}/board"], "found as runs next time"),
        (["publish", "{runs}/problem-0", "--out", "{runs}"], "in each other"),
        (["publish", "nowhere", "--out", "x"], "no such folder"),
        (["rank", "{runs}", "--targets", "--format", "latex"], "not as latex"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_takes_one_line(runs, tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    try:
        code = main([argument.format(runs=runs) for argument in arguments])
    except SystemExit as ended:
        code = ended.code
    found = capsys.readouterr()
    assert code == 2
    assert expected in found.err
    assert len(found.err.splitlines()) == 1
    assert not (tmp_path / "x").exists()
