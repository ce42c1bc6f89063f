"""Plots: what is drawn, what is written, and what happens where there is nothing to draw."""

import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as pyplot
import numpy as np
import pytest

from snnbench.cli import main
from snnbench.cli.plot import FORMATS, KINDS
from snnbench.report import plots
from snnbench.report.plots import Impossible, Material, draw, overall_plots, problem_plots, run_plots, save, svg
from snnbench.report.plots.critical_difference import MOST_BARS, groups
from snnbench.report.plots.style import COLOURS, INK, looks, spread, style
from snnbench.stats.ranking import Verdicts
from snnbench.stats.results import load_results
from snnbench.stats.selection import select
from snnbench.stats.tests import Pair

from .synthetic import write_run, write_runs

NASTY = ["<script>alert(1)</script>", '$\\alpha_{$ & "q" url(#x)', "a\nb\x07 名前 and a very long name indeed"]


def selected(folder):
    return select(load_results(folder)).runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("runs"), algorithms=3, problems=2, seeds=4, budget=30)


@pytest.fixture(scope="module")
def runs(folder):
    return selected(folder)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every plot of runs with nasty names, drawn once, and as it is put into a page."""
    runs = selected(write_runs(tmp_path_factory.mktemp("nasty"), seeds=4, budget=20, names=NASTY))
    before, figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    np.random.seed(0)  # noqa: NPY002
    found = [*overall_plots(runs), *problem_plots(runs[runs["task"] == "problem-0"])]
    shown = [(plot, svg(plot, f"p{i}")) for i, plot in enumerate(found)]
    assert np.random.random() == np.random.RandomState(0).random()  # noqa: NPY002
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == figures
    return shown


def texts(content):
    """All text in an SVG."""
    return ["".join(e.itertext()) for e in ElementTree.fromstring(content).iter() if e.tag.endswith("text")]


def line(plot, name, material):
    """Heights of an algorithm's curve, the longest line in its colour."""
    colour = looks(material)[name].colour
    return max((x.get_ydata() for x in plot.figure.axes[0].lines if x.get_color() == colour), key=len)


def test_every_plot_that_can_be(pages):
    overall = ["critical-difference", "heat-map", "rank-over-time", "runtimes", "performance-profile"]
    single = ["convergence", "final-results", "runtimes", "spikes-accuracy", "control-parameters"]
    assert [plot.name for plot, _ in pages] == overall + single


def test_the_command_writes_files(folder, tmp_path, capsys):
    arguments = ["--out", str(tmp_path), "--kind", "spikes-accuracy,heat-map", "--format", "svg,png"]
    assert main(["plot", str(folder), *arguments]) == 0
    printed = [Path(p).relative_to(tmp_path).as_posix() for p in capsys.readouterr().out.split()]
    names = ("heat-map", "problem-0/spikes-accuracy", "problem-1/spikes-accuracy")
    assert printed == [f"{name}.{suffix}" for name in names for suffix in ("svg", "png")]
    for path in printed:
        content = (tmp_path / path).read_bytes()
        assert content.startswith(b"<?xml" if path.endswith("svg") else b"\x89PNG")
    assert b"dc:date" not in (tmp_path / "heat-map.svg").read_bytes()


def test_the_command_says_what_cannot_be(folder, tmp_path, capsys):
    for arguments, reason in (
        (["--kind", "attainment"], "one objective"),
        (["--kind", "convergense"], "did you mean convergence?"),
        (["--format", "gif"], "svg, png, pdf"),
        (["--highlight", "algo-1"], "algo-01"),
        (["--kind", "heat-map", "--where", "problem=problem-1"], "there is one"),
        (["--algo", "nobody"], "no complete run"),
    ):
        assert main(["plot", str(folder), "--out", str(tmp_path), *arguments]) == 2
        said = capsys.readouterr()
        assert said.err.startswith("snnbench: ")
        assert said.err.count("\n") == 1
        assert reason in said.err
    assert list(tmp_path.iterdir()) == []


def test_the_command_knows_the_plots_and_formats_without_importing_them():
    assert set(KINDS) == {*plots.OVERALL, *plots.PROBLEM, *plots.RUN}
    assert FORMATS == plots.FORMATS


def test_same_bytes_every_time_in_every_format(runs, tmp_path):
    for suffix in plots.FORMATS:
        contents = []
        for attempt in ("a", "b"):
            (plot,) = draw(plots.OVERALL, Material(runs), "critical-difference")
            save(plot, tmp_path / f"{attempt}.{suffix}")
            contents.append((tmp_path / f"{attempt}.{suffix}").read_bytes())
        assert contents[0] == contents[1]
        assert not list(tmp_path.glob("*.tmp"))


def test_figures_fit_in_one_page(pages):
    ids = []
    for plot, text in pages:
        root = ElementTree.fromstring(text)
        parts = {e.get("id"): "".join(e.itertext()) for e in root.iter() if e.get("id")}
        ids += parts
        assert root.get("role") == "img"
        assert parts[root.get("aria-labelledby")] == plot.title.replace("\x07", "")
        assert parts[root.get("aria-describedby")] == plot.alt
        assert not [e for e in root.iter() if e.tag.endswith(("style", "script", "metadata"))]
        used = [v for e in root.iter() for k, v in e.attrib.items() if k == "href" and v[0] == "#"]
        used += re.findall(r"url\((#[^)]*)\)", " ".join(v for e in root.iter() for v in e.attrib.values()))
        assert used
        assert set(used) <= {f"#{i}" for i in parts}
        assert "currentColor" in text
        assert INK not in text
    assert len(set(ids)) == len(ids)


def test_names_are_text_whatever_is_in_them(pages):
    shown = {plot.title: (plot, " ".join(texts(text)), text) for plot, text in pages}
    for name in ("Critical difference diagram", "Final results on problem-0", "Algorithms by problems"):
        plot, found, text = shown[name]
        assert NASTY[0] in found
        assert NASTY[1] in found
        assert "a\N{REPLACEMENT CHARACTER}b" in found
        assert "<script" not in text
        assert NASTY[0] in plot.alt


def test_bars_join_what_is_not_told_apart():
    names = list("ABCD")

    def verdicts(*different):
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        return Verdicts(
            {p: Pair(0.0, 1.0, 0.0) for p in pairs}, {p: 0.0 if p in different else 1.0 for p in pairs}, 0.05
        )

    assert groups(names, verdicts()) == ([["A", "B", "C", "D"]], True)
    assert groups(names, verdicts(("A", "C"), ("A", "D"), ("B", "D"))) == ([["A", "B"], ["B", "C"], ["C", "D"]], True)
    # B is told apart from both neighbours, which are not told apart from each other: no bar through B would be right.
    assert groups(names, verdicts(("A", "B"), ("B", "C"), ("A", "D"), ("B", "D"), ("C", "D"))) == ([["A", "C"]], True)
    everything = verdicts(*verdicts().pairs)
    assert groups(names, everything) == ([], True)


def test_too_many_bars_become_those_of_neighbours():
    # Pairs (2i, 2i + 1) are told apart and nothing else: 2 ** 10 largest groups.
    names = [f"{i:02}" for i in range(20)]
    pairs = {(a, b): Pair(0.0, 1.0, 0.0) for i, a in enumerate(names) for b in names[i + 1 :]}
    corrected = {(a, b): 0.0 if int(a) % 2 == 0 and int(b) == int(a) + 1 else 1.0 for a, b in pairs}
    found, complete = groups(names, Verdicts(pairs, corrected, 0.05))
    assert not complete
    assert found == [[names[i], names[i + 1]] for i in range(1, 19, 2)]
    assert len(found) <= MOST_BARS


def test_convergence_draws_medians_and_failed_runs_count(tmp_path):
    rng = np.random.default_rng(0)
    for seed, final in enumerate((0.1, 0.2, 0.3)):
        write_run(tmp_path, "p", "a", seed, 20, ("error",), final, rng)
    runs = selected(tmp_path)
    runs.loc[runs["seed"] == 0, "status"] = "failed"
    material = Material(runs)
    curves = material.curves("p", "a")
    assert np.isinf(curves[0]).all()
    assert curves[1:, -1].tolist() == [0.2, 0.3]
    (plot,) = draw(plots.PROBLEM, material, "convergence")
    assert line(plot, "a", material)[-1] == 0.3  # of inf, 0.2 and 0.3


def test_runs_far_from_all_others_do_not_squeeze_these(tmp_path):
    write_runs(tmp_path, algorithms=6, problems=1, seeds=4, budget=12)
    rows = selected(tmp_path)
    (ordinary,) = draw(plots.PROBLEM, Material(rows), "final-results")
    assert "far to the right" not in ordinary.caption
    lost = rows["algorithm"] == "algo-05"
    rows.loc[lost, "test"] = 40.0
    (plot,) = draw(plots.PROBLEM, Material(rows), "final-results")
    axes, near = plot.figure.axes[0], rows.loc[~lost, "test"].max()
    assert near <= axes.get_xlim()[1] < 2 * near
    assert [text.get_text() for text in axes.texts] == ["→ 4 at 40"]
    assert "far to the right" in plot.caption


def test_runtimes_end_at_the_share_of_targets_reached(runs):
    rows = runs[runs["task"] == "problem-0"]
    material = Material(rows)
    (plot,) = draw(plots.PROBLEM, material, "runtimes")
    targets = np.logspace(0.0, -2.0, 51)
    for name in material.algorithms:
        best = rows.loc[rows["algorithm"] == name, "search"].to_numpy()
        assert line(plot, name, material)[-1] == pytest.approx((best[:, None] <= targets).mean())


def test_all_failed_or_one_of_everything_is_no_traceback(runs):
    failed = runs.assign(status="failed", test=np.inf, search=np.inf)
    for kind in ("critical-difference", "heat-map", "rank-over-time"):
        assert len(draw(plots.OVERALL, Material(failed), kind)) == 1
    assert list(problem_plots(failed[failed["task"] == "problem-0"])) == []
    one = runs[(runs["task"] == "problem-0") & (runs["algorithm"] == "algo-01") & (runs["seed"] == 0)]
    assert list(overall_plots(one)) == []
    for kind in ("convergence", "final-results", "runtimes"):
        assert len(draw(plots.PROBLEM, Material(one), kind)) == 1
    with pytest.raises(Impossible, match="only one algorithm"):
        draw(plots.OVERALL, Material(one), "critical-difference")


def test_several_objectives_by_pairs(tmp_path):
    write_runs(tmp_path, algorithms=2, problems=1, seeds=3, budget=20, objectives=("error", "energy", "latency"))
    runs = selected(tmp_path)
    material, pairs = Material(runs, "hypervolume"), ["error-energy", "error-latency", "energy-latency"]
    fronts = draw(plots.PROBLEM, material, "pareto-fronts")
    assert [plot.name for plot in fronts] == [f"pareto-fronts-{pair}" for pair in pairs]
    assert [p.name for p in draw(plots.PROBLEM, material, "attainment")] == [f"attainment-{pair}" for pair in pairs]
    recommended = json.loads((Path(runs["run"].iloc[0]) / "recommendation.json").read_text())["final"]
    points = {(x, y) for item in fronts[0].figure.axes[0].lines for x, y in zip(*item.get_data(), strict=True)}
    for point in recommended:
        assert min(abs(x - point["test"]["error"]) + abs(y - point["test"]["energy"]) for x, y in points) < 1e-9
    single = [p.name for p in run_plots(Path(runs["run"].iloc[-1]))]
    assert single == ["convergence", *(p.name for p in fronts), "spikes-accuracy", "control-parameters"]


def test_colours_depend_on_the_choice_only_and_the_rest_is_grey(tmp_path):
    folder = write_runs(tmp_path, algorithms=12, problems=1, seeds=3, budget=5)
    runs = selected(folder)
    few = looks(Material(runs, highlight=("algo-07", "absent", "algo-03")))
    assert (few["algo-07"].colour, few["algo-03"].colour) == (COLOURS[0], COLOURS[2])
    assert [name for name, look in few.items() if look.own] == [n for n in few if n in ("algo-07", "algo-03")]
    best = looks(Material(runs))
    assert {n for n, look in best.items() if look.own} == set(Material(runs).order[: len(COLOURS) - 1])
    with style():
        (plot,) = draw(plots.PROBLEM, Material(runs), "convergence")
        plot.figure.draw_without_rendering()
        boxes = [t.get_window_extent() for t in plot.figure.axes[0].texts]
    assert plot.figure.axes[0].texts[-1].get_text() == "6 others"
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(heights) == 7
    assert all(lower[1] <= upper[0] + 1e-6 for lower, upper in pairwise(heights))


def test_labels_are_moved_as_little_as_possible():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted = rng.random(rng.integers(1, 9))
        found = spread(wanted, 0.1, 0.0, 1.0)
        order = np.argsort(wanted)
        assert (np.diff(found[order]) >= 0.1 - 1e-9).all()
        assert found.min() >= -1e-9
        assert found.max() <= 1 + 1e-9
    assert spread([0.2, 0.8], 0.1, 0.0, 1.0).tolist() == [0.2, 0.8]
    assert spread([0.5] * 5, 0.5, 0.0, 1.0).tolist() == pytest.approx([-0.5, 0.0, 0.5, 1.0, 1.5])
