"""Every kind of damage is found by the check that is there for it, and nothing else is said."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from snnbench.errors import UsageError
from snnbench.experiment.digest import digests
from snnbench.experiment.seeds import streams
from snnbench.validation import CHECKS, validate, write_manifest

BUDGET = 13  # of the runs in conftest.py


def errors(report):
    return {finding.check for finding in report.findings if finding.severity == "error"}


def text(report, check):
    return "\n".join(finding.message for finding in report.of(check))


def test_sound_runs_are_valid(entry):
    write_manifest(entry.folder)
    report = entry.validated(sample=3, sample_seed=5)
    assert report.valid, report.findings
    assert {f.severity for f in report.findings} == {"note"}
    assert report.of("suite")[0].place == "threshold-digits (error,energy)/de"  # cannot, so it is not missed
    assert (report.runs, report.algorithms, report.problems) == (6, ["de", "random"], ["threshold-digits"])
    assert [row["difference"] for row in report.sample["runs"]] == [0.0] * 3
    assert report.sample["runs"] == entry.validated(sample=3, sample_seed=5).sample["runs"]
    drawn = [entry.validated(sample=1).sample["seed"] for _ in range(3)]
    assert len(set(drawn)) > 1  # nobody knows beforehand which runs are measured again


def edit(run, change, name="run.json"):
    """Change a JSON file of a run by hand."""
    content = json.loads((run / name).read_text())
    change(content)
    (run / name).write_text(json.dumps(content))


def edit_rows(run, column, row, value):
    """Change one number of the evaluations, leaving everything else."""
    path = run / "evaluations.parquet"
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[row] = value
    i = table.column_names.index(column)
    pq.write_table(table.set_column(i, table.schema.field(i), pa.array(values, table.schema.field(i).type)), path)


def plan(run, **changes):
    edit(run, lambda content: content["plan"].update(changes))


def problem(run, **changes):
    edit(run, lambda content: content["problem"].update(changes))


def final(run, change):
    edit(run, lambda content: change(content["final"][0]), "recommendation.json")


def shortened(path):
    path.write_bytes(path.read_bytes()[:-40])


def rows(run, change):
    path = run / "evaluations.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def reseeded(run, seed):
    """The same results passed off as those of another seed."""
    other = run.with_name(run.name.replace("seed0", f"seed{seed}"))
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(run, other)
    edit(other, lambda content: (content["plan"].update(seed=seed), content.update(seeds=streams(seed))))


def moved(run, by, honest=False):
    """The recommended vector replaced, with its digest if that is to look right."""
    path = run / "recommendation.safetensors"
    x = load_file(path)["x"] + by
    save_file({"x": x}, path)
    if honest:
        final(run, lambda point: point.update(digest=int(digests(x)[0]), evaluation=None))


DAMAGE = {
    "truncated run.json": (lambda run: shortened(run / "run.json"), "schema", "truncated"),
    "nested too deep": (lambda run: (run / "run.json").write_text("[" * 200_000), "schema", ""),
    "other schema": (lambda run: edit(run, lambda c: c.update(schema_version=99)), "schema", "schema 99"),
    "wrong type": (lambda run: problem(run, version="1"), "schema", 'problem.version is "1"'),
    "no objectives": (lambda run: problem(run, objectives=[]), "schema", "no names"),
    "plan edited": (lambda run: plan(run, algorithm="cade"), "schema", "'cade'"),
    "hidden setting": (
        lambda run: edit(run, lambda c: c["problem"]["parameters"].update(dropout=0.5)),
        "schema",
        "0.5",
    ),
    "hidden gradient": (
        lambda run: edit(run, lambda c: c["algorithm"].update(reference=True)),
        "references",
        "not use",
    ),
    "interrupted": (lambda run: edit(run, lambda c: c.update(status="interrupted")), "status", "snnbench resume"),
    "time limit": (lambda run: edit(run, lambda c: c.update(stop="time limit")), "status", "time limit"),
    "other seed": (lambda run: edit(run, lambda c: c["seeds"].update(algorithm=1)), "seeds", "not those of seed 0"),
    "no evaluations": (lambda run: (run / "evaluations.parquet").unlink(), "evaluations", "no evaluations.parquet"),
    "truncated Parquet": (lambda run: shortened(run / "evaluations.parquet"), "evaluations", "truncated"),
    "no Parquet": (lambda run: (run / "evaluations.parquet").write_text("x"), "evaluations", "no Parquet"),
    "fewer rows": (lambda run: rows(run, lambda t: t.slice(0, BUDGET - 1)), "evaluations", "12 evaluations on record"),
    "a gap": (lambda run: edit_rows(run, "evaluation", 3, 7), "evaluations", "row 3 is evaluation 7"),
    "NaN": (lambda run: edit_rows(run, "objective.error", 2, np.nan), "evaluations", "is NaN"),
    "too good": (lambda run: edit_rows(run, "objective.error", 2, -1.0), "evaluations", "better than the problem's"),
    "infinite": (lambda run: edit_rows(run, "objective.error", 2, np.inf), "evaluations", "no failure says why"),
    "one number": (lambda run: edit_rows(run, "objective.error", 2, 0.001), "evaluations", "not the metric"),
    "lacks a column": (lambda run: rows(run, lambda t: t.drop_columns("digest")), "evaluations", "no column digest"),
    "timings": (lambda run: shortened(run / "timings.parquet"), "evaluations", "timings.parquet is damaged"),
    "no recommendation": (lambda run: (run / "recommendation.json").unlink(), "recommendation", "cannot be read"),
    "search value": (lambda run: final(run, lambda p: p["search"].update(error=0.1234)), "recommendation", "measured"),
    "no number": (lambda run: final(run, lambda p: p["test"].update(error=float("nan"))), "recommendation", "finite"),
    "better than possible": (lambda run: final(run, lambda p: p["test"].update(error=-0.1)), "recommendation", "ideal"),
    "elsewhere": (lambda run: final(run, lambda p: p.update(evaluation=99)), "recommendation", "99 is not on record"),
    "truncated vectors": (lambda run: shortened(run / "recommendation.safetensors"), "vectors", "truncated"),
    "other vectors": (lambda run: moved(run, 0.01), "vectors", "its digest differs"),
    "infinite vectors": (lambda run: moved(run, np.inf), "vectors", "not finite"),
    "copied seed": (lambda run: reseeded(run, 1), "duplicates", "which has another seed"),
    "link": (
        lambda run: ((run / "timings.parquet").unlink(), (run / "timings.parquet").symlink_to("/etc/hostname")),
        "files",
        "is a link to /etc/hostname",
    ),
    "folder link": (lambda run: (run.parent / "more").symlink_to("/etc"), "files", "is a link to /etc"),
    "no file": (lambda run: os.mkfifo(run / "pipe.json"), "files", "no regular file"),
    "huge": (lambda run: os.truncate(run / "start.json", 1 << 40), "files", "at most 16"),
    "missing seed": (shutil.rmtree, "suite", "1 of 2 seeds are missing: 0"),
    "other budget": (
        lambda run: edit(run, lambda c: (c["plan"].update(budget=8), c["budget"].update(evaluations=8))),
        "suite",
        "budget 8, not 13",
    ),
    "seed of no suite": (lambda run: reseeded(run, 7), "suite", "seed 7 is none"),
    "other version": (lambda run: problem(run, version=2), "suite", "version 2, the suite is about version 1"),
}
# What follows from the damage itself.
ALSO = {
    "truncated run.json": {"suite"}, "nested too deep": {"suite"}, "other schema": {"suite"}, "wrong type": {"suite"},
    "no objectives": {"suite"}, "plan edited": {"suite"}, "seed of no suite": {"duplicates"},
    "other budget": {"evaluations"},
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_by_its_check(entry, name):
    damage, check, message = DAMAGE[name]
    run = next(path for path in entry.runs if "random" in str(path) and path.name.startswith(f"budget{BUDGET}-seed0-"))
    damage(run)
    report = entry.validated()
    assert not report.valid
    assert errors(report) == {check} | ALSO.get(name, set()), report.findings
    assert message in text(report, check)
    assert all("\n" not in finding.message for finding in report.findings)


def test_a_parameter_that_came_later_makes_no_record_invalid(entry):
    for run in entry.runs:
        edit(run, lambda content: content["problem"]["parameters"].pop("span"))
    assert entry.validated(sample=2).valid
    edit(entry.runs[0], lambda content: content["problem"]["parameters"].pop("epochs"))  # which the plan sets
    assert errors(entry.validated()) == {"schema"}


def test_every_check_is_tried():
    elsewhere = {"manifest", "versions", "data", "references", "recomputation"}
    assert {check for _, check, _ in DAMAGE.values()} | elsewhere == set(CHECKS)


def test_all_damage_is_found_in_one_go(entry):
    for run, name in zip(entry.runs, ("truncated Parquet", "NaN", "other seed", "other vectors"), strict=False):
        DAMAGE[name][0](run)
    assert errors(entry.validated()) == {"evaluations", "seeds", "vectors"}
    for run in entry.runs:
        (run / "run.json").write_text("{")
    assert len(entry.validated().of("schema")) == 6


def test_the_same_run_twice(entry):
    shutil.copytree(entry.runs[0], entry.folder / "again")
    report = entry.validated()
    assert errors(report) == {"duplicates"}
    assert "is the same run as" in text(report, "duplicates")


def test_manifest(entry):
    assert "snnbench validate FOLDER --write-manifest" in text(entry.validated(), "manifest")
    (entry.folder / "README.md").write_text("who made this")
    assert write_manifest(entry.folder) == 6 * 7 + 1
    listed = (entry.folder / "SHA256SUMS").read_text()
    assert entry.validated().of("manifest") == []
    (entry.folder / "README.md").write_text("somebody else")
    (entry.folder / "new.md").write_text("new")
    (entry.runs[0] / "checkpoint.safetensors").unlink()
    assert text(entry.validated(), "manifest").count("\n") == 2
    (entry.folder / "SHA256SUMS").write_text(listed + f"{'0' * 64}  ../../secret\n{'x' * 3}\n")
    assert "is no checksum and name" in text(entry.validated(), "manifest")


def test_what_a_maintainer_judges(entry):
    one, other = entry.runs[:2]
    edit(one, lambda content: content["environment"]["git"].update(dirty=True))
    edit(one, lambda content: content["problem"]["description"].update(official=False))
    edit(other, lambda content: content["problem"]["description"]["checkpoints"][0].update(sha256="0" * 64))
    edit(other, lambda content: content["algorithm"].update(name="sgd", reference=True))
    plan(other, algorithm="sgd")
    edit(other, lambda content: content["environment"]["versions"].update(torch="1.0"))
    report = entry.validated(suite=None)
    assert report.valid, report.findings
    assert "modified checkout" in text(report, "versions")
    assert "2 different packages" in text(report, "versions")
    assert "not made on official data" in text(report, "data")
    assert "2 different trained networks of threshold-digits" in text(report, "data")
    assert "uses gradients" in text(report, "references")


def test_recomputation_finds_what_the_record_hides(entry):
    faked, unlike, elsewhere, outside = entry.runs[:4]
    final(faked, lambda point: point["test"].update(error=0.5 * point["test"]["error"]))
    final(unlike, lambda point: point["test"].update(error=0.5 * point["test"]["error"]))
    edit(unlike, lambda content: content["problem"]["description"]["checkpoints"][0].update(sha256="0" * 64))
    final(elsewhere, lambda point: point["test"].update(error=0.5 * point["test"]["error"]))
    edit(elsewhere, lambda content: content["environment"]["hardware"].update(cpu="an abacus"))
    moved(outside, 1.0, honest=True)
    assert entry.validated().valid
    final(entry.runs[4], lambda point: point["test"].clear())  # said to be faulty, and not measured again
    report = entry.validated(sample=6)
    assert len(report.sample["runs"]) == 5
    outcomes = {row["run"]: row["outcome"] for row in report.sample["runs"]}
    assert [outcomes[str(run.relative_to(entry.folder))] for run in (faked, unlike, elsewhere)] == [
        "differs", "other networks", "another machine",
    ]  # fmt: skip
    messages = {f.place: f.severity for f in report.of("recomputation")}
    assert messages[str(unlike.relative_to(entry.folder))] == "warning"
    assert "an abacus" in text(report, "recomputation")
    assert "outside the box" in text(report, "vectors")
    assert not report.valid


EVIL = """
from pathlib import Path
Path({witness!r}).write_text("executed")
from snnbench.problems.threshold import ThresholdDigits as Evil
"""


def test_nothing_a_record_names_is_executed(entry, tmp_path):
    witness, code = tmp_path / "witness", tmp_path / "evil.py"
    code.write_text(EVIL.format(witness=str(witness)))
    for run in entry.runs:
        plan(run, problem=f"{code}:Evil", algorithm=f"{code}:Evil")
    report = entry.validated(sample=6)
    assert not witness.exists()
    assert text(report, "recomputation").count("not executed") == 6
    assert "comes from a file" in text(report, "references")
    entry.validated(sample=1, trust_code=True)
    assert witness.exists()


def test_text_of_a_record_is_harmless(entry):
    plan(entry.runs[0], algorithm_settings={"a\n::stop": "\x1b[31mred"})
    (entry.folder / "\x1b[2J").write_text("")
    report = entry.validated()
    shown = json.dumps(report.content(), ensure_ascii=False)
    assert not {"\x1b", "\n"} & set(shown)


def test_folders_without_runs(tmp_path):
    with pytest.raises(UsageError, match="is no folder"):
        validate(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no runs"):
        validate(tmp_path)


class TestCommand:
    def run(self, capsys, *arguments):
        from snnbench.cli import main

        code = main(["validate", *map(str, arguments)])
        return code, *capsys.readouterr()

    def test_report(self, entry, capsys):
        suite = entry.suite.source
        code, out, err = self.run(capsys, entry.folder, "--suite", suite, "--write-manifest")
        assert (code, err) == (0, "")
        assert "6 runs of 2 algorithms on 1 problem, compared with suite tiny (version 1)" in " ".join(out.split())
        assert out.splitlines()[-1] == "valid, 0 warnings"
        for run in entry.runs:
            edit_rows(run, "objective.error", 2, np.nan)
        code, out, _ = self.run(capsys, entry.folder)
        assert code == 1
        assert out.splitlines()[-1] == "invalid: 12 errors in 2 checks, 0 warnings"
        assert "[and 5 more]" in out
        assert len([line for line in out.splitlines() if len(line) > 80 and "/" not in line]) == 0
        code, out, _ = self.run(capsys, entry.folder, "--json")
        content = json.loads(out)
        assert (code, content["valid"], content["errors"]) == (1, False, 12)
        assert [check["name"] for check in content["checks"]] == list(CHECKS)

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["nowhere"], "is no folder"),
            ([".", "--suite", "digit"], "did you mean digits"),
            ([".", "--sample", "-1"], "0 or more"),
            ([".", "--tolerance", "2"], "[0, 1]"),
        ],
    )
    def test_bad_usage_is_one_line(self, arguments, expected, capsys, tmp_path: Path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        code, _, err = self.run(capsys, *arguments)
        assert code == 2
        assert expected in err
        assert len(err.splitlines()) == 1


def test_the_report_is_drawn_from_vectors_of_the_right_kind(entry):
    save_file({"x": torch.zeros(1, 8, dtype=torch.float64)}, entry.runs[0] / "recommendation.safetensors")
    assert "no float32 x of shape (1, 8)" in text(entry.validated(), "vectors")
