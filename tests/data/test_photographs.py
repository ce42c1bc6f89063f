"""Photographs in folders in the layouts of ImageNet and Tiny ImageNet, written by this file; and what may be wrong."""

import dataclasses
import functools
import hashlib
import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from snnbench.cli import main
from snnbench.data import photographs
from snnbench.data.catalog import CATALOG
from snnbench.data.entry import Cropping, DataSetInfo
from snnbench.data.images import DataSet
from snnbench.data.loading import blank, load
from snnbench.errors import DataError

WNIDS = ("n00000100", "n00000203", "n00000301")
TRAIN, TEST = 20, 4

pytestmark = pytest.mark.filterwarnings("ignore::snnbench.data.loading.UnofficialDataWarning")


def photograph(seed: int, width: int, height: int, mode: str = "RGB", kind: str = "JPEG") -> bytes:
    coarse = np.frombuffer(hashlib.sha512(b"%d" % seed).digest()[:60], np.uint8).reshape(5, 4, 3)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((width, height)).convert(mode).save(stream, kind)
    return stream.getvalue()


@functools.cache
def tiny() -> dict[str, bytes]:
    """The files of tiny-imagenet-200."""
    files, rows = {}, []
    for c, wnid in enumerate(WNIDS):
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"not read"
        for n in range(TRAIN):
            files[f"train/{wnid}/images/{wnid}_{n}.JPEG"] = photograph(100 * c + n, 64, 64, "RGB" if n else "L")
    for n in range(TEST * len(WNIDS)):
        files[f"val/images/val_{n}.JPEG"] = photograph(1000 + n, 64, 64)
        rows.append(f"val_{n}.JPEG\t{WNIDS[n % len(WNIDS)]}\t0\t0\t62\t62\n")
    files["val/val_annotations.txt"] = "".join(rows).encode()
    files["test/images/test_0.JPEG"] = b"without a label: not read"
    return files


@functools.cache
def imagenet(by_class: bool) -> dict[str, bytes]:
    """The files of ILSVRC 2012, each photograph of its own size; one in four colours, one a PNG, as there."""
    files = {}
    for c, wnid in enumerate(WNIDS):
        for n in range(TRAIN):
            mode, kind = ("CMYK", "JPEG") if n == 1 else ("RGB", "PNG" if n == 2 else "JPEG")
            files[f"train/{wnid}/{wnid}_{n}.JPEG"] = photograph(100 * c + n, 40 + 2 * n, 60 - n, mode, kind)
    numbers = [n % len(WNIDS) for n in range(TEST * len(WNIDS))]
    for n, c in enumerate(numbers, start=1):
        place = f"val/{WNIDS[c]}" if by_class else "val"
        files[f"{place}/ILSVRC2012_val_{n:08d}.JPEG"] = photograph(1000 + n, 50, 40 + n)
    if not by_class:
        # ILSVRC's own numbers of the classes are in another order than the wnids.
        ids = {wnid: i for i, wnid in enumerate(reversed(WNIDS), start=1)}
        synsets = np.array([(i, w) for w, i in ids.items()], [("ILSVRC2012_ID", object), ("WNID", object)])
        stream = io.BytesIO()
        savemat(stream, {"synsets": synsets[:, None]})
        kit = "ILSVRC2012_devkit_t12/data"
        files[f"{kit}/meta.mat"] = stream.getvalue()
        truth = "".join(f"{ids[WNIDS[c]]}\n" for c in numbers)
        files[f"{kit}/ILSVRC2012_validation_ground_truth.txt"] = truth.encode()
    return files


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        os.utime(place, (1e9, 1e9))
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, DataSetInfo]:
    """The catalog with three classes, and pixels that are made quickly."""
    changed = {
        "tinyimagenet": {"sizes": {"search": 54, "validation": 6, "test": 12}},
        "imagenet": {"cropping": Cropping(32, 28), "shape": (3, 28, 28)},
    }
    for name, changes in changed.items():
        monkeypatch.setitem(CATALOG, name, dataclasses.replace(CATALOG[name], classes=len(WNIDS), **changes))
    return CATALOG


@pytest.fixture
def folder(tmp_path: Path, small: dict[str, DataSetInfo]) -> Path:
    return written(tmp_path / "named" / "tiny-imagenet-200", tiny())


def same(a: DataSet, b: DataSet) -> bool:
    return a.provenance["sha256"] == b.provenance["sha256"] and np.array_equal(a.labels, b.labels)


def test_a_folder_and_its_archive_hold_the_same(folder, tmp_path, monkeypatch) -> None:
    unpacked = load("tinyimagenet", data_dir=folder.parent, cache_dir=tmp_path / "a")
    assert not unpacked.provenance["official"]
    assert "no checksums" in unpacked.provenance["note"]
    archive = tmp_path / "packed" / "tiny-imagenet-200.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as packing:
        for name, content in reversed(tiny().items()):
            packing.writestr(f"tiny-imagenet-200/{name}", content)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    info = CATALOG["tinyimagenet"]
    official = dataclasses.replace(info, files=(dataclasses.replace(info.files[0], md5=md5),))
    monkeypatch.setitem(CATALOG, "tinyimagenet", official)
    packed = load("tinyimagenet", data_dir=archive.parent, cache_dir=tmp_path / "b")
    assert same(unpacked, packed)
    assert packed.provenance["official"]
    assert packed.provenance["split"] == "tinyimagenet-1"
    assert packed.class_names == WNIDS
    archive.unlink()
    assert same(load("tinyimagenet", cache_dir=tmp_path / "b", download=False), packed)  # pixels serve without it
    assert same(load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "c"), packed)  # the folder itself is named


def test_splits_are_disjoint_pieces_that_are_not_copied(folder, tmp_path) -> None:
    data = load("tinyimagenet", data_dir=folder, cache_dir=tmp_path)
    files = tiny()
    expected = {
        hashlib.sha256(np.asarray(Image.open(io.BytesIO(files[name])).convert("RGB")).tobytes()).digest(): name
        for name in files
        if name.endswith(".JPEG") and "test_0" not in name
    }
    found = {}
    for split, size in (("search", 54), ("validation", 6), ("test", 12)):
        pixels, labels = data.split(split)
        assert pixels.shape == (size, 3, 64, 64)
        assert np.shares_memory(pixels.numpy(), data.images)
        for image, label in zip(pixels, labels, strict=True):
            name = expected[hashlib.sha256(image.permute(1, 2, 0).numpy().tobytes()).digest()]
            found[name] = split
            number = int(name.partition("val_")[2].partition(".")[0]) % 3 if split == "test" else None
            assert data.class_names[label] == (WNIDS[number] if number is not None else name.split("/")[1])
    assert len(found) == 72
    assert {name for name, split in found.items() if split == "test"} == {n for n in found if n.startswith("val")}
    validation = [name.split("/")[1] for name, split in found.items() if split == "validation"]
    assert sorted(validation) == sorted(WNIDS * 2)
    # The first samples of the search split are a random sample: not all of the first class.
    assert len(set(data.labels[data.indices["search"][:12]].tolist())) == 3


def test_both_layouts_of_imagenets_validation_set_are_read(tmp_path, small) -> None:
    flat = load("imagenet", data_dir=written(tmp_path / "flat", imagenet(False)), cache_dir=tmp_path / "cache")
    sorted_ = load("imagenet", data_dir=written(tmp_path / "sorted", imagenet(True)), cache_dir=tmp_path / "cache")
    assert same(flat, sorted_)
    assert flat.provenance["counts"] == {"search": 59, "validation": 1, "test": 12}
    assert flat.provenance["cropping"] == {"resize": 32, "size": 28}
    assert flat.labels[flat.indices["test"]].tolist() == [0, 1, 2] * 4


@pytest.mark.parametrize(("width", "height"), [(500, 333), (333, 500), (256, 256), (256, 999), (200, 180)])
def test_a_photograph_is_resized_and_cut_as_published(width: int, height: int) -> None:
    content = photograph(1, width, height)
    whole = Image.open(io.BytesIO(content))
    size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    resized = np.asarray(whole.resize(size, Image.Resampling.BILINEAR) if whole.size != size else whole)
    top, left = round((size[1] - 224) / 2), round((size[0] - 224) / 2)
    expected = resized[top : top + 224, left : left + 224].transpose(2, 0, 1)
    np.testing.assert_array_equal(photographs.decode(content, Cropping(256, 224)), expected)


def test_an_interrupted_conversion_is_continued(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(photographs, "CHUNK", 8)
    monkeypatch.setattr(photographs, "AGAIN", 4)
    whole = load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "other")
    decode, calls, interrupted_at = photographs.decode, list[int](), 30

    def counted(content: bytes, cropping: Cropping) -> np.ndarray:
        calls.append(1)
        if len(calls) == interrupted_at:
            raise KeyboardInterrupt
        return decode(content, cropping)

    monkeypatch.setattr(photographs, "decode", counted)
    with pytest.raises(KeyboardInterrupt):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache")
    with pytest.raises(DataError, match="not converted yet"):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache", convert=False)
    seen = len(calls)
    calls.clear()
    interrupted_at = 0
    continued = load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache")
    assert same(whole, continued)
    assert seen >= 30
    assert 72 - 32 + 4 < len(calls) <= 72 - 24 + 4  # it ended in the fourth eight; the last four are made again
    assert [p.name for p in (tmp_path / "cache/data/tinyimagenet").glob(".*.part")] == []
    calls.clear()
    assert same(load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache", convert=False), whole)
    assert not calls


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (cut, r"tiny-imagenet-200/train/n00000203/images/n00000203_7.JPEG: no readable photograph \(.*truncated"),
        (lambda path: path.write_bytes(b""), "n00000203_7.JPEG: no readable photograph"),
        (lambda path: path.write_bytes(b"GIF89a" + bytes(99)), "n00000203_7.JPEG: no readable photograph"),
        (lambda path: path.write_bytes(photograph(0, 9, 9) + bytes(1 << 21)), "n00000203_7.JPEG is too large"),
    ],
)
def test_a_damaged_photograph_is_named(folder, tmp_path, monkeypatch, damage, expected) -> None:
    monkeypatch.setattr("snnbench.data.trees.LARGEST_FILE", 1 << 20)
    damage(folder / f"train/{WNIDS[1]}/images/{WNIDS[1]}_7.JPEG")
    with pytest.raises(DataError, match=expected) as caught:
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("width", "height", "limit"), [(400, 300, 50_000), (4, 2000, 50_000), (4, 2000, 9_000)])
def test_a_photograph_that_would_fill_the_memory_is_refused(
    width, height, limit, folder, tmp_path, monkeypatch
) -> None:
    """Too many pixels: twice the limit, more than the limit, or only after resizing."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    (folder / f"train/{WNIDS[0]}/images/{WNIDS[0]}_3.JPEG").write_bytes(photograph(0, width, height))
    with pytest.raises(DataError, match=r"n00000100_3.JPEG: no readable photograph"):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path)


def test_links_are_not_followed_out_of_the_folder(folder, tmp_path) -> None:
    outside = tmp_path / "outside.JPEG"
    outside.write_bytes(photograph(0, 64, 64))
    images = folder / "train" / WNIDS[0] / "images"
    (images / "inside.JPEG").symlink_to(images / f"{WNIDS[0]}_0.JPEG")
    os.mkfifo(images / "pipe.JPEG")  # would be waited for
    data = load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache")
    assert sum(data.provenance["counts"].values()) == 73
    (images / "x.JPEG").symlink_to(outside)
    with pytest.raises(DataError, match=r"x\.JPEG is a link that leads outside"):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache")
    (images / "x.JPEG").unlink()
    shutil.move(folder / "train" / WNIDS[1], tmp_path / "class")
    (folder / "train" / WNIDS[1]).symlink_to(tmp_path / "class")
    with pytest.raises(DataError, match="n00000203 is a link that leads outside"):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache")
    (folder.parent / "link").symlink_to(folder)  # the user may name a link
    (folder / "train" / WNIDS[1]).unlink()
    with pytest.raises(DataError, match="not converted yet"):
        load("tinyimagenet", data_dir=folder.parent / "link" / ".." / folder.name, cache_dir=tmp_path, convert=False)


@pytest.mark.parametrize(
    ("name", "wrong", "content", "expected"),
    [
        ("tinyimagenet", "val/val_annotations.txt", None, "val_annotations.txt is missing: it tells the classes"),
        (
            "tinyimagenet",
            "val/val_annotations.txt",
            b"val_0.JPEG\tn00000100\n\xff",
            "does not tell the class of val_1.J",
        ),
        ("tinyimagenet", "val/val_annotations.txt", b"val_0.JPEG\t../x\n", "does not tell the class of val_0.JPEG"),
        ("imagenet", "ILSVRC2012_devkit_t12/data/meta.mat", None, "meta.mat is missing: it tells the classes"),
        ("imagenet", "ILSVRC2012_devkit_t12/data/meta.mat", b"MATLAB 5.0" + bytes(200), "meta.mat is damaged"),
        ("imagenet", "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", b"x", "one number per line"),
        ("imagenet", "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", b"9", "meta.mat is damaged"),
        ("imagenet", "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt", b"1", "not tell the class"),
        ("imagenet", "train/n00000999/x.JPEG", photograph(0, 40, 40), "4 classes, expected 3"),
        (
            "imagenet",
            "val/ILSVRC2012_val_00000099.JPEG",
            photograph(0, 40, 40),
            "not tell the class of ILSVRC2012_val_0",
        ),
    ],
)
def test_what_tells_the_classes_may_be_missing_or_wrong(name, wrong, content, expected, tmp_path, small) -> None:
    root = written(tmp_path / "named", imagenet(False) if name == "imagenet" else {})
    if name == "tinyimagenet":
        root = written(root / "tiny-imagenet-200", tiny())
    place = root / wrong
    place.unlink(missing_ok=True)
    if content is not None:
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    with pytest.raises(DataError, match=expected):
        load(name, data_dir=root, cache_dir=tmp_path / "cache")


def test_another_layout_is_told_apart(folder, tmp_path) -> None:
    with pytest.raises(DataError, match=r"imagenet: .*train holds no photographs in the layout"):
        load("imagenet", data_dir=folder, cache_dir=tmp_path)
    shutil.rmtree(folder / "val")
    with pytest.raises(DataError, match=r"val_annotations.txt is missing"):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path)
    (folder.parent / "train").mkdir()
    with pytest.raises(DataError, match=r"named/val is missing, other files are there"):
        load("imagenet", data_dir=folder.parent, cache_dir=tmp_path)
    for part in ("train", "val"):
        (folder.parent / f"ILSVRC2012_img_{part}.tar").touch()
    with pytest.raises(DataError, match=r"unpack ILSVRC2012_img_train.tar to train and ILSVRC2012_img_val.tar to val"):
        load("imagenet", data_dir=folder.parent, cache_dir=tmp_path)


def test_a_full_disk_is_said_before_the_work(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**6, 10**6, 1000))
    with pytest.raises(DataError, match=r"take 0.0 GB more in .*0.0 GB are free; name another --cache-dir"):
        load("tinyimagenet", data_dir=folder, cache_dir=tmp_path / "cache")


def test_the_verbs_know_photographs(folder, tmp_path, capsys) -> None:
    cache = ["--cache-dir", str(tmp_path / "cache")]
    assert main(["data", "check", "tinyimagenet", "imagenet", *cache]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "tinyimagenet: not here; `snnbench data fetch tinyimagenet` gets it"
    assert out[1].startswith("imagenet: not here; get it from https://image-net.org/")
    assert main(["data", "fetch", "imagenet", *cache]) == 1
    error = capsys.readouterr().err
    assert "imagenet: neither ILSVRC2012_img_train.tar nor train found" in error
    assert "snnbench data fetch" not in error
    assert main(["data", "check", "tinyimagenet", "--data-dir", str(folder), *cache]) == 0
    assert "not the official data, usable with --data-dir" in capsys.readouterr().out
    (tmp_path / "cache/data/tinyimagenet").mkdir(parents=True)
    (tmp_path / "cache/data/tinyimagenet/tiny-imagenet-200.zip").write_bytes(b"half")
    assert main(["data", "check", "tinyimagenet", *cache]) == 1
    assert "tiny-imagenet-200.zip is damaged" in capsys.readouterr().out


def test_a_stand_in_of_a_large_data_set_takes_no_memory() -> None:
    data = blank("imagenet")
    pixels, labels = data.split("search")
    assert pixels.shape == (1_255_544, 3, 224, 224)
    assert int(pixels[-1].sum()) == 0
    assert len(labels) == 1_255_544
