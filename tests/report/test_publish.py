"""A published site: complete, the same every time, with links that lead somewhere, and nothing injected."""

import hashlib
import importlib.util
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest

from snnbench.errors import RecordError, UsageError
from snnbench.report.board import board
from snnbench.report.folder import SUMS, GeneratedFolder
from snnbench.report.links import slug, task_slug
from snnbench.report.site import publish
from snnbench.stats.ranking import rank
from snnbench.stats.results import load_results

SPEC = importlib.util.spec_from_file_location("synthetic", Path(__file__).with_name("synthetic.py"))
synthetic = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(synthetic)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %}",
    "../../../../outside",
    "con.aux | a_b & c",
)
ELEMENTS = (
    "html head meta title link script body a header nav ol ul li main h1 h2 h3 p div table caption thead tbody tr th "
    "td small abbr span details summary svg line path polyline text figure figcaption dl dt dd pre code strong footer"
)


class Page(HTMLParser):
    """Elements, attributes and texts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements, self.attributes, self.texts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def links(self):
        return [a["href"] for tag, a in self.elements if tag in ("a", "link") and "href" in a]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    synthetic.write_runs(folder, problems=2, seeds=4, budget=12, names=["good", "fair", *HOSTILE])
    failed = next(folder.glob("problem-0/fair/*seed1/run.json"))
    content = json.loads(failed.read_text())
    content |= {"status": "failed", "error": {"type": "<b>Type", "message": HOSTILE[1], "traceback": HOSTILE[0]}}
    content["plan"]["algorithm_settings"] = {HOSTILE[0]: HOSTILE[1]}
    content["algorithm"] |= {"parameters": {"<i>name": HOSTILE[0]}, "class": HOSTILE[1]}
    failed.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def site(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "board"
    publish(board(load_results(runs), HOSTILE[0], HOSTILE[1]), out, plots=False)
    return out


def pages(site):
    return sorted(site.rglob("*.html"))


def contents(site):
    return {str(p.relative_to(site)): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def test_every_link_leads_to_a_file_of_the_site(site):
    seen = set()
    for path in pages(site):
        for link in Page(path).links():
            parts = urlsplit(link)
            assert not parts.scheme, link
            assert not parts.netloc, link
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
                assert target.is_file(), f"{path}: {link}"
                assert target.is_relative_to(site.resolve())
                seen.add(str(target.relative_to(site.resolve())))
    unlinked = {name for name in contents(site) if name not in seen and not name.startswith("assets/")}
    assert unlinked == {"index.html"} - seen, "every page and file is reached from another"


def test_pages_are_as_accessible_as_they_can_be_checked_here(site):
    for path in pages(site):
        page = Page(path)
        tags = [tag for tag, _ in page.elements]
        assert tags.count("h1") == tags.count("main") == tags.count("title") == 1
        assert tags.count("caption") == tags.count("table")
        assert all("scope" in a for tag, a in page.elements if tag == "th"), path
        ids = [value for name, value in page.attributes if name == "id"]
        assert len(ids) == len(set(ids))


def test_nothing_recorded_becomes_markup(site):
    for path in pages(site):
        page = Page(path)
        assert {tag for tag, _ in page.elements} <= set(ELEMENTS.split()), path
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        scripts = [a for tag, a in page.elements if tag == "script"]
        assert [set(a) for a in scripts] == [{"src", "defer"}]
        policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
        assert "script-src 'self'" in policy
        assert "default-src 'none'" in policy
    text = Page(site / "index.html").text
    assert all(name in text for name in HOSTILE), "names are shown as they are"
    failed = Page(next(p for p in pages(site) if "<b>Type" in Page(p).text))
    assert HOSTILE[1] in failed.text


def test_the_same_runs_give_the_same_bytes_wherever_they_lie(runs, site, tmp_path):
    copied = tmp_path / "elsewhere" / "machine"
    shutil.copytree(runs, copied)
    publish(board(load_results(tmp_path), HOSTILE[0], HOSTILE[1]), tmp_path / "again", plots=False)
    assert contents(tmp_path / "again") == contents(site)


def test_published_records_are_ranked_as_the_runs_they_were_copied_from(runs, site):
    copied, original = load_results(site / "runs"), load_results(runs)
    columns = ["problem", "algorithm", "seed", "status", "test"]
    ordered = [t[columns].sort_values(columns[:3], ignore_index=True) for t in (copied, original)]
    pd.testing.assert_frame_equal(*ordered)
    assert [s.algorithm for s in rank(copied).standings] == [s.algorithm for s in rank(original).standings]


def test_every_file_is_listed_with_its_hash(site):
    listed = dict(reversed(line.split("  ", 1)) for line in (site / SUMS).read_text().splitlines())
    found = {name: hashlib.sha256(data).hexdigest() for name, data in contents(site).items() if name != SUMS}
    assert listed == found


def test_publishing_again_removes_what_is_gone_and_nothing_else(runs, tmp_path):
    out = tmp_path / "board"
    publish(board(load_results(runs), "t"), out, plots=False)
    (out / "mine.txt").write_text("kept")
    publish(board(load_results(runs), "t", where=["algorithm=good,fair"]), out, data=False, plots=False)
    names = set(contents(out))
    assert "mine.txt" in names
    assert not [name for name in names if name.endswith((".parquet", "run.json"))]
    assert {name.split("/")[2] for name in names if name.startswith("runs/")} == {"good", "fair"}
    assert not [p for p in out.rglob("*") if p.is_dir() and not any(p.iterdir())]
    assert "good" in Page(out / "index.html").text


def test_a_folder_with_other_files_is_refused_and_left_alone(runs, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds other files"):
        publish(board(load_results(runs), "t"), tmp_path, plots=False)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_runs_inside_the_site_are_not_published_over_themselves(site, runs, tmp_path):
    copied = tmp_path / "board"
    shutil.copytree(site, copied)
    before = contents(copied)
    with pytest.raises(UsageError, match="in each other"):
        publish(board(load_results(copied / "runs"), "t"), copied, data=False, plots=False)
    entry = tmp_path / "entry"
    shutil.copytree(runs, entry / "runs")
    (entry / "SHA256SUMS").write_text("")  # as validation writes it
    with pytest.raises(UsageError, match="holds other files"):
        publish(board(load_results(runs), "t"), entry, plots=False)
    assert contents(copied) == before


def test_a_list_of_files_that_was_tampered_with_deletes_nothing_outside(tmp_path):
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("x")
    out.mkdir()
    (out / SUMS).write_text(
        "".join(f"{'0' * 64}  {name}\n" for name in ("../precious", str(precious), "a/../../precious"))
    )
    made = GeneratedFolder(out)
    made.add("index.html", "new")
    made.save()
    assert precious.read_text() == "x"
    for path in ("../precious", "/etc/x", "a/../../b", "a\\b", ""):
        with pytest.raises(ValueError, match="leads out"):
            made.add(path, "y")


def test_names_stay_inside_and_apart():
    names = [*HOSTILE, "..", ".", "", "a/b", "a\\b", "A", "a", "a b", "a-b", "ä", "\0", "x" * 300, "con", "index"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(slugs)
    for text in slugs:
        assert re.fullmatch(r"[a-z0-9_-][a-z0-9._-]{0,95}", text), text
    task = {"problem": "p", "version": 1, "objectives": "error", "budget": 8, "variant": ""}
    changes = ({"version": 2}, {"objectives": "error,energy"}, {"budget": 9}, {"variant": "steps=2"}, {"problem": "q"})
    assert len({task_slug(task | change) for change in ({}, *changes)}) == 6


def test_links_outside_the_record_are_not_published(runs, tmp_path):
    copied = tmp_path / "runs"
    shutil.copytree(runs, copied)
    secret = tmp_path / "secret"
    secret.write_text("do not publish")
    victim = next(copied.glob("problem-1/good/*seed0"))
    (victim / "start.json").symlink_to(secret)
    publish(board(load_results(copied), "t"), tmp_path / "out", plots=False)
    assert not list((tmp_path / "out").rglob("start.json"))


@pytest.mark.parametrize(
    "change",
    [{"problem": {"name": "p", "version": 1, "objectives": "e"}}, {"environment": 3},
     {"algorithm": {"name": "good", "parameters": 5}}, {"problem": {}}, {"timings": []}],
    ids=str,
)  # fmt: skip
def test_a_record_edited_by_hand_gives_one_line_or_a_note(runs, tmp_path, change):
    copied = tmp_path / "runs"
    shutil.copytree(runs / "problem-1", copied)
    victim = next(copied.glob("good/*seed0/run.json"))
    victim.write_text(json.dumps(json.loads(victim.read_text()) | change))
    try:
        shown = board(load_results(copied), "t")
        publish(shown, tmp_path / "out", plots=False)
    except (RecordError, UsageError) as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert "\n" not in message
        assert not (tmp_path / "out").exists()
    else:
        assert any("1 unreadable run" in note for note in shown.ranking.notes)
        assert "unreadable" in Page(tmp_path / "out" / "index.html").text


def test_versions_side_by_side_have_pages_of_their_own(runs, tmp_path):
    copied = tmp_path / "runs"
    for version in (1, 2):
        shutil.copytree(runs / "problem-1", copied / str(version))
    for path in (copied / "2").rglob("run.json"):
        content = json.loads(path.read_text())
        content["problem"]["version"] = 2
        path.write_text(json.dumps(content))
    publish(board(load_results(copied), "t", mixed=True), tmp_path / "out", plots=False)
    names = {p.name for p in (tmp_path / "out" / "problems").iterdir()}
    assert names == {"problem-1-v1-error-12.html", "problem-1-v2-error-12.html"}
    assert len(load_results(tmp_path / "out" / "runs")) == 2 * 4 * 7


def test_references_are_shown_beside_the_ranking_and_all_failed_is_a_table_too(runs, tmp_path):
    copied = tmp_path / "runs"
    shutil.copytree(runs / "problem-1", copied)
    for path in copied.rglob("run.json"):
        content = json.loads(path.read_text())
        content["reference_lines"] = {"plain <average>": {"error": 0.25}, "other": {"loss": 1.0}, "broken": 3}
        name = content["algorithm"]["name"]
        content["algorithm"]["reference"] = name == "good"
        content |= {"status": "complete" if name == "good" else "failed"}
        path.write_text(json.dumps(content))
    publish(board(load_results(copied), "t"), tmp_path / "out", plots=False)
    problem = Page(next((tmp_path / "out" / "problems").iterdir())).text
    assert "plain <average> 0.25" in problem
    assert "good (uses gradients)" in problem
    assert "other" not in problem
    assert "fair inf inf \N{EN DASH} inf" in problem.replace("1 = ", "")
    assert "not ranked among the gradient-free" in Page(tmp_path / "out" / "algorithms" / "good.html").text
    assert "good (uses gradients)" not in Page(tmp_path / "out" / "index.html").text
    assert (tmp_path / "out" / "runs" / "problem-1" / "good" / "budget12-seed3" / "index.html").is_file()
