"""What the documentation says of commands, names and columns is so; links are Sphinx's business."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
import torch

import snnbench
from snnbench.cli import parser
from snnbench.errors import SnnbenchError
from snnbench.experiment import overrides
from snnbench.experiment.suite import load_suite
from snnbench.registry import entries, load
from snnbench.snn.energy import HOROWITZ_45NM
from snnbench.snn.metrics import summarise
from snnbench.snn.readings import read
from snnbench.snn.sew_resnet import SEWConfig, SEWResNet
from snnbench.snn.tally import Tally

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
REFUSED = ("cadr", "error,energy")  # examples of what is refused


def commands():
    """Every ``snnbench ...`` line in a block of code, with its continuation lines."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```(?:console|bash|sh)?\n(.*?)^```", text, re.S | re.M):
            for line in block.splitlines():
                for part in re.split(r"&&", line.removeprefix("$ ")):
                    if part.strip().startswith("snnbench "):
                        yield pytest.param(part.strip(), id=f"{page.name}: {part.strip()[:60]}")


@pytest.mark.parametrize("command", list(commands()))
def test_commands_exist(command):
    arguments = shlex.split(command.partition(" > ")[0], comments=True)[1:]  # not where a shell puts its output
    if arguments[0] == "--help":
        return
    try:
        args = parser().parse_args(arguments)
    except SystemExit:
        pytest.fail(f"`{command}` is not understood")
    if getattr(args, "suite", None):
        load_suite(args.suite)
    elif args.verb == "run" and not any(name in command for name in REFUSED):
        _known(args)


def _known(args: argparse.Namespace) -> None:
    algorithms = [name for value in args.algo for name in value.split(",") if ".py:" not in name]
    problems = [name for value in args.problem for name in value.split(",") if ".py:" not in name]
    classes = (
        {name: load("algorithm", name) for name in algorithms},
        {name: load("problem", name) for name in problems},
    )
    try:
        overrides.parse(args.settings, *classes, {name: name for group in classes for name in group})
    except SnnbenchError as error:
        pytest.fail(str(error))


def test_there_are_commands_to_check():
    assert len(list(commands())) > 10


@pytest.mark.parametrize("name", entries("algorithm"))
def test_every_algorithm_has_its_page(name):
    page = (ROOT / "docs" / "algorithms" / f"{name}.md").read_text(encoding="utf-8")
    assert f"```{{parameters}} {name}\n" in page
    for heading in ("What it is", "Parameters", "What is recorded", "Differences to", "How it was checked"):
        assert f"\n## {heading}" in page


@pytest.mark.parametrize("name", entries("problem"))
def test_every_problem_has_its_objectives_on_a_page(name):
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "problems").glob("*.md")]
    assert any(f"```{{objectives}} {name}\n" in page for page in pages)


def test_named_tests_exist():
    for page in PAGES:
        for path in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_every_metric_is_explained():
    network = SEWResNet(SEWConfig(blocks=(1, 1), width=2, channels=1, steps=3)).eval()
    tally = Tally()
    with torch.no_grad():
        logits = network(torch.rand(4, 1, 8, 8), tally)
    metrics = summarise([(read(logits, torch.zeros(4, dtype=torch.int64), tally.silent, 0.9), tally)], HOROWITZ_45NM)
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `([\w.]+)` \|", page, re.M))
    assert set(metrics) <= explained
    order = re.search(r"alphabetical order of their names\n\((.*?)\)", page, re.S)
    assert order is not None
    names = re.findall(r"`([\w.]+)`", order[1])
    assert names == [name for name in sorted(tally.spikes) if name in names]


def test_one_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {snnbench.__version__}\n" in citation
    assert snnbench.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
