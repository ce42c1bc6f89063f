"""Members on photographs in the user's folder, at sizes that take seconds; and their frozen settings."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image

from snnbench.cli import main
from snnbench.data.catalog import CATALOG
from snnbench.data.entry import Cropping
from snnbench.parameters import resolve
from snnbench.problem import Context
from snnbench.problems.snas import SNASTinyImageNet, SNASTinyImageNetBackward
from snnbench.problems.threshold_imagenet import ThresholdImageNet
from snnbench.snn.snas_cell import parse

WNIDS = [f"n{i:08d}" for i in range(3)]
THRESHOLD = {"layout": "4p-4p|8", "steps": 4, "held": 12, "epochs": 2, "batch": 10, "calibration": 20, "span": 5}
SNAS = {"width": 2, "hidden": 8, "steps": 2, "score_batch": 8, "short_epochs": 1, "train_samples": 20, "batch": 10}


def photograph(label: int, n: int, side: int) -> bytes:
    pixels = np.random.default_rng([label, n]).integers(0, 120, (side, side, 3)) + 60 * label
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both data sets in the layouts of their archives, 20 photographs to learn from per class and 4 to test."""
    root = tmp_path_factory.mktemp("photographs")
    rows = []
    for label, wnid in enumerate(WNIDS):
        for n in range(24):
            tiny = f"train/{wnid}/images/{wnid}_{n}.JPEG" if n < 20 else f"val/images/val_{label}{n}.JPEG"
            full = f"{'train' if n < 20 else 'val'}/{wnid}/{label}{n}.JPEG"
            for place, side in ((root / "tiny-imagenet-200" / tiny, 64), (root / full, 40)):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(photograph(label, n, side))
            rows += [f"val_{label}{n}.JPEG\t{wnid}\n"] * (n >= 20)
    (root / "tiny-imagenet-200/val/val_annotations.txt").write_text("".join(rows))
    return root


@pytest.fixture
def small(monkeypatch):
    """The catalog with three classes and, instead of 224 x 224, 16 x 16 pixels."""
    for name, changes in {"tinyimagenet": {}, "imagenet": {"cropping": Cropping(20, 16), "shape": (3, 16, 16)}}.items():
        monkeypatch.setitem(CATALOG, name, dataclasses.replace(CATALOG[name], classes=3, **changes))


def make(cls, folder, cache, objectives=(), **settings):
    context = Context(data_dir=folder, cache_dir=cache)
    return cls(resolve(cls.Parameters, settings, cls.name), objectives, context)


@pytest.mark.filterwarnings("ignore::snnbench.data.loading.UnofficialDataWarning")
def test_thresholds_on_a_folder_of_photographs(folder, small, tmp_path):
    problem = make(ThresholdImageNet, folder, tmp_path, **THRESHOLD)
    assert problem.estimate().evaluation > 0
    assert not list(tmp_path.rglob("*.npy")), "an estimate converts nothing"
    problem.prepare()
    described = problem.describe()
    assert described["splits"] == {"search": 12, "validation": 1, "test": 12}
    assert described["learnt"] == 47
    assert described["data"]["cropping"] == {"resize": 20, "size": 16}
    for images, _ in (problem._learnt, *problem._samples.values()):
        assert np.shares_memory(images.numpy(), problem.data.images), "the memory map is not copied"
    known = {image.numpy().tobytes() for image in problem._learnt[0]}
    assert not any(image.numpy().tobytes() in known for image in problem._samples["search"][0])
    # Samples are handed to the network in spans; all at once it is the same.
    x = torch.cat([problem.initial(1), problem.space.sample(2, torch.Generator().manual_seed(0))])
    found = problem.measure(x, "test")
    images, labels = problem._samples["test"]
    whole = problem._ready.evaluate(*problem.neurons_of(x), problem.network_input(images), labels)
    for i, counts in enumerate(whole):
        for name, values in problem._row(counts, "test").items():
            np.testing.assert_array_equal(found[name][i], values, err_msg=name)
    limited = make(ThresholdImageNet, folder, tmp_path, **THRESHOLD, search_samples=7, train_samples=20)
    limited.prepare()
    assert limited.describe()["splits"]["search"] == 7
    assert len(limited._learnt[1]) == 20


@pytest.mark.parametrize("cls", [SNASTinyImageNet, SNASTinyImageNetBackward])
@pytest.mark.filterwarnings("ignore::snnbench.data.loading.UnofficialDataWarning")
def test_cells_on_a_folder_of_photographs(cls, folder, small, tmp_path):
    problem = make(cls, folder, tmp_path, ("negative_score", "error"), **SNAS)
    problem.prepare()
    result = problem.evaluate(problem.encode(parse("0302 0014 0003 0000")))
    assert result.objectives.isfinite().all()
    points = problem.reference_points()
    for value, name in zip(result.objectives[0], problem.selected, strict=True):
        assert points[name][0] <= value <= points[name][1]
    assert problem.describe()["network"]["stem_stride"] == 2
    assert problem.estimate().evaluation > 0


def test_frozen_settings():
    vgg = ThresholdImageNet()
    assert vgg.dimension == 14
    assert vgg.network.layers()[-2].shape == (512, 7, 7)
    assert vgg.network.classes == 1000
    cell = SNASTinyImageNetBackward()
    assert (cell.network.width, cell.network.hidden, cell.network.votes, cell.network.classes) == (128, 4096, 5, 200)
    assert (cell.network.size, cell.network.side) == (64, 32)
    assert cell.network.stepwise


def test_without_the_folder_it_is_one_line(tmp_path, capsys):
    words = "run --algo random --problem threshold-imagenet --budget 1 --set problem.layout=2p-2p|4 --out"
    run = [*words.split(), str(tmp_path / "runs")]
    assert main([*run, "--cache-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "imagenet: neither ILSVRC2012_img_train.tar nor train found" in error
    assert "Traceback" not in error
    assert "image-net.org" in error
