"""Finding, checking and decoding data sets."""

import dataclasses
import io
import shutil
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snnbench.data.catalog import CATALOG
from snnbench.data.folders import default_cache
from snnbench.data.images import DataSet
from snnbench.data.loading import UnofficialDataWarning, load
from snnbench.errors import DataError, UsageError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_digits_need_nothing(cache: Path) -> None:
    digits = load("digits", cache_dir=cache)
    assert {split: digits.size(split) for split in digits.indices} == {"search": 1000, "validation": 400, "test": 397}
    pixels, labels = digits.split("validation")
    assert pixels.shape == (400, 1, 8, 8)
    assert pixels.dtype == torch.uint8
    assert int(pixels.max()) == digits.scale == 16
    assert labels.dtype == torch.int64
    assert set(labels.tolist()) == set(range(10))
    assert digits.provenance["official"]
    assert digits.provenance["split"] == "digits-1"
    assert not cache.exists()


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    digits, bunch = load("digits"), load_digits()
    np.testing.assert_array_equal(digits.images[:, 0], bunch.images)
    np.testing.assert_array_equal(digits.labels, bunch.target)


def test_standardized_digits_have_zero_mean_and_unit_variance() -> None:
    digits = load("digits")
    images = digits.standardize(digits.to_unit(digits.split("search")[0]))
    assert float(images.mean()) == pytest.approx(0, abs=1e-3)
    assert float(images.std()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("place", ["the folder itself", "its parent", "a folder by name", "an archive"])
def test_official_files_where_the_user_says(place: str, tiny: Any, cache: Path, tmp_path: Path) -> None:
    named = {"the folder itself": tiny.folder, "its parent": tiny.root}.get(place, tmp_path / "other")
    if place == "a folder by name":
        shutil.copytree(tiny.folder, named / "tiny" / tiny.info.folder)
    elif place == "an archive":
        named.mkdir()
        shutil.copy(tiny.archive, named)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load("tiny", data_dir=named, cache_dir=cache, download=False)
    assert data.provenance["official"]
    assert data.provenance["split"] == "cifar10-1"
    assert data.provenance["counts"] == {"search": 81, "validation": 9, "test": 12}
    assert data.provenance["files"] == {file.name: file.md5 for file in tiny.info.files}
    assert data.class_names == ("cat", "dog", "ship")
    np.testing.assert_array_equal(data.images, tiny.images)
    np.testing.assert_array_equal(data.labels, tiny.labels)
    pixels, labels = data.split("test")
    np.testing.assert_array_equal(pixels, tiny.images[90:])
    np.testing.assert_array_equal(labels, tiny.labels[90:])
    assert not cache.exists()


def test_other_data_is_used_and_marked_where_the_user_says(tiny: Any, cache: Path) -> None:
    official = load("tiny", data_dir=tiny.root, cache_dir=cache)
    tiny.rewrite("test_batch", data=tiny.images[90:].reshape(12, 48)[::-1].copy())
    with pytest.warns(UnofficialDataWarning, match="not the official data"):
        data = load("tiny", data_dir=tiny.root, cache_dir=cache)
    assert not data.provenance["official"]
    assert data.provenance["split"] == "derived"
    assert str(tiny.folder) in data.provenance["note"]
    assert data.provenance["sha256"] != official.provenance["sha256"]
    np.testing.assert_array_equal(data.indices["validation"], official.indices["validation"])


def test_class_names_are_optional_where_the_user_says(tiny: Any, cache: Path) -> None:
    (tiny.folder / "batches.meta").unlink()
    with pytest.warns(UnofficialDataWarning):
        assert load("tiny", data_dir=tiny.root, cache_dir=cache).class_names == ("0", "1", "2")


def in_cache(tiny: Any, cache: Path) -> Path:
    return Path(shutil.copytree(tiny.folder, cache / "data" / "tiny" / tiny.info.folder))


def test_the_cache_is_used_after_the_named_folder(tiny: Any, cache: Path, tmp_path: Path) -> None:
    folder = in_cache(tiny, cache)
    assert load("tiny", data_dir=tiny.root, cache_dir=cache).provenance["source"] == str(tiny.folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert load("tiny", data_dir=empty, cache_dir=cache).provenance["source"] == str(folder)
    assert load("tiny").provenance["source"] == str(folder)  # $SNNBENCH_CACHE is this cache


def test_damaged_files_in_the_cache_are_refused_before_they_are_opened(tiny: Any, cache: Path) -> None:
    (in_cache(tiny, cache) / "batch_2").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(DataError, match=r"batch_2 is damaged \(MD5 \w+, official \w+\); `snnbench data fetch tiny`"):
        load("tiny", cache_dir=cache)


def test_an_incomplete_folder_names_what_is_missing(tiny: Any, cache: Path) -> None:
    (in_cache(tiny, cache) / "batch_2").unlink()
    with pytest.raises(DataError, match=r"batch_2 is missing.*data fetch tiny"):
        load("tiny", cache_dir=cache)
    (tiny.folder / "test_batch").unlink()
    with pytest.raises(DataError, match="test_batch is missing"):
        load("tiny", data_dir=tiny.folder, cache_dir=cache)


@pytest.mark.parametrize("download", [True, False])
def test_no_data_and_no_network(download: bool, tiny: Any, cache: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError) as error:
        load("tiny", data_dir=empty, cache_dir=cache, download=download)
    text = str(error.value)
    for part in ("batch_1", "tiny.tar.gz", str(empty), str(cache / "data" / "tiny"), tiny.info.url, "--data-dir"):
        assert part in text
    assert "\n" not in text


def test_it_is_downloaded_once(tiny: Any, site: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOG, "tiny", dataclasses.replace(tiny.info, url=site.url))
    site.content = tiny.archive.read_bytes()
    seen: list[tuple[str, int, int]] = []
    for _ in range(2):
        data = load("tiny", cache_dir=cache, progress=lambda *step: seen.append(step))
        assert data.provenance["official"]
    assert site.requests == [""]
    assert seen[-1] == ("download tiny.tar.gz", len(site.content), len(site.content))
    left = {path.name for path in (cache / "data" / "tiny").iterdir()} - {".lock"}
    assert left == {tiny.info.folder}


def test_an_archive_put_into_the_cache_needs_no_network(tiny: Any, cache: Path) -> None:
    folder = cache / "data" / "tiny"
    folder.mkdir(parents=True)
    shutil.copy(tiny.archive, folder)
    assert load("tiny", cache_dir=cache, download=False).provenance["official"]
    shutil.rmtree(folder / tiny.info.folder)
    (folder / "tiny.tar.gz").write_bytes(b"truncated")
    with pytest.raises(DataError, match=r"tiny\.tar\.gz is damaged"):
        load("tiny", cache_dir=cache, download=False)


def test_a_broken_archive_of_the_user(tiny: Any, cache: Path, tmp_path: Path) -> None:
    named = tmp_path / "other"
    named.mkdir()
    (named / "tiny.tar.gz").write_bytes(tiny.archive.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read"):
        load("tiny", data_dir=named, cache_dir=cache)
    with tarfile.open(named / "tiny.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("tiny-batches-py/batch_1")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(DataError, match="batch_1 is not a readable data file"):
        load("tiny", data_dir=named, cache_dir=cache)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": np.zeros((50, 47), np.uint8)}, "uint8 matrix with 48 columns"),
        ({"data": np.zeros((50, 48), np.int32)}, "uint8 matrix with 48 columns"),
        ({"data": "zeros"}, "uint8 matrix with 48 columns"),
        ({"labels": [0] * 49}, "one integer per image"),
        ({"labels": ["0"] * 50}, "one integer per image"),
        ({"labels": [3] * 50}, r"label outside 0\.\.2"),
        ({"labels": [-1] * 50}, r"label outside 0\.\.2"),
    ],
)
def test_malformed_content(changes: dict[str, Any], reason: str, tiny: Any, cache: Path) -> None:
    tiny.rewrite("batch_1", **changes)
    with pytest.raises(DataError, match=f"batch_1.*{reason}"):
        load("tiny", data_dir=tiny.root, cache_dir=cache)


def test_malformed_class_names(tiny: Any, cache: Path) -> None:
    tiny.rewrite("batches.meta", label_names=["cat"])
    with pytest.raises(DataError, match=r"batches\.meta.*3 names"):
        load("tiny", data_dir=tiny.root, cache_dir=cache)


def test_too_few_images_for_a_split(tiny: Any, cache: Path) -> None:
    tiny.rewrite("test_batch", data=np.zeros((0, 48), np.uint8), labels=[])
    with (
        pytest.raises(DataError, match="the test split is empty"),
        pytest.warns(UnofficialDataWarning),
    ):
        load("tiny", data_dir=tiny.root, cache_dir=cache)


def test_wrong_requests(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean cifar10"):
        load("cifar-10")
    with pytest.raises(UsageError, match="is no folder"):
        load("cifar10", data_dir=tmp_path / "nowhere")


def test_subset_keeps_splits_and_renumbers() -> None:
    digits = load("digits")
    some = digits.subset([7, 2])
    assert some.class_names == ("7", "2")
    for split in digits.indices:
        pixels, labels = digits.split(split)
        chosen, renumbered = some.split(split)
        expected = (labels == 7) | (labels == 2)
        assert torch.equal(chosen, pixels[expected])
        assert torch.equal(renumbered == 0, labels[expected] == 7)
    assert some.provenance["subset"] == [7, 2]
    assert sum(some.provenance["counts"].values()) == int(((digits.labels == 7) | (digits.labels == 2)).sum())


@pytest.mark.parametrize("classes", [[0, 0], [10], [-1]])
def test_subset_of_classes_that_are_not(classes: list[int]) -> None:
    with pytest.raises(UsageError, match="not distinct classes"):
        load("digits").subset(classes)


def test_loading_is_repeatable(tiny: Any, cache: Path) -> None:
    first: DataSet = load("tiny", data_dir=tiny.root, cache_dir=cache)
    second: DataSet = load("tiny", data_dir=tiny.root, cache_dir=cache)
    assert first.provenance == second.provenance
    assert all(np.array_equal(first.indices[split], second.indices[split]) for split in first.indices)


def test_default_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_cache().name == "cache"
    monkeypatch.delenv("SNNBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache() == Path("/xdg/snnbench")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_cache() == Path.home() / ".cache" / "snnbench"


def test_the_catalog_is_consistent() -> None:
    for info in CATALOG.values():
        assert len(info.mean) == len(info.std) == info.shape[0]
        assert set(info.sizes) == {"search", "validation", "test"}
        if info.url:
            assert info.url.startswith("https://")
            assert info.archive.endswith(".tar.gz")
            assert [len(info.archive_md5), len(info.archive_sha256)] == [32, 64]
            assert all(len(file.md5) == 32 for file in info.files)
            assert {file.role for file in info.files} == {"train", "test", "meta"}
        elif not info.embedded:
            assert all(len(file.md5) == 32 for file in info.files)
            assert all(file.url.startswith("http") for file in info.files) or info.page.startswith("https://")
            assert {file.role for file in info.files} in ({"train", "test"}, {"all"})
        assert (info.kind == "events") == (info.steps is not None)
