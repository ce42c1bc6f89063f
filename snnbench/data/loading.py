"""From a data set's name to its images, labels and splits in memory."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snnbench.data.catalog import info_of
from snnbench.data.checksums import content_hash
from snnbench.data.digits import read_digits
from snnbench.data.download import Progress
from snnbench.data.entry import DataSetInfo
from snnbench.data.fetching import fetch
from snnbench.data.folders import data_folder, default_cache
from snnbench.data.idx import read_idx
from snnbench.data.images import DataSet, Split
from snnbench.data.lookup import Source, find, official_folder
from snnbench.data.photographs import convert_photographs
from snnbench.data.pickles import read_dictionary
from snnbench.data.recorded import convert_recordings, read_frames
from snnbench.data.recordings import require_readers
from snnbench.data.simulated import describe, read_cached
from snnbench.data.splits import by_path, by_rule, manifest
from snnbench.errors import DataError


class UnofficialDataWarning(UserWarning):
    """The data is used because the user named it, but it is not the official archive's."""


def load(
    name: str,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
    convert: bool = True,
) -> DataSet:
    """Load a data set.

    It is looked for in ``data_dir``, then in ``cache_dir/data/<name>``, and else downloaded to the latter. Checksums
    are taken before anything is opened, and pickles are read by a restricted reader.

    Parameters
    ----------
    name
        One of the catalog: ``digits``, ``events``, ``cifar10``, ...
    data_dir
        A folder the user named: that of the files, its parent, or one with the official archive. What lies there is
        used whatever its checksums are; if they are not the official ones, the provenance says so.
    cache_dir
        The cache; by default `snnbench.data.folders.default_cache`.
    progress
        Called with (stage, done, total) while it downloads.
    download
        Whether it may be downloaded.
    convert
        Whether recordings and photographs may be converted, which can take hours.

    Returns
    -------
    DataSet
        With frozen splits (see `snnbench.data.splits`) and provenance.

    Raises
    ------
    UsageError
        For an unknown name, or a ``data_dir`` that is no folder.
    DataError
        If it is missing and cannot be downloaded, damaged in the cache, or malformed; if it is not converted yet and
        may not be.

    Warns
    -----
    UnofficialDataWarning
        If it is not the official data.

    Examples
    --------
    >>> digits = load("digits")
    >>> pixels, labels = digits.split("search")
    >>> tuple(pixels.shape), pixels.dtype, int(pixels.max())
    ((1000, 1, 8, 8), torch.uint8, 16)
    """
    info = info_of(name)
    cache_dir = cache_dir or default_cache()
    if info.embedded:
        return _embedded(info, data_folder(cache_dir, name))
    source = find(info, data_dir, cache_dir)
    if info.converted:
        return _converted(info, source, data_dir, cache_dir, progress, download, convert)
    if source is None or (source.is_archive and not source.trusted):
        source = fetch(name, data_dir=data_dir, cache_dir=cache_dir, progress=progress, allow_download=download)
    return _images(source)


def blank(name: str) -> DataSet:
    """A data set of the published sizes with black images: to time work on data that is not there yet."""
    info = info_of(name)
    total = sum(info.sizes.values())
    starts = np.cumsum([0, *info.sizes.values()])
    indices = {split: np.arange(a, b) for split, a, b in zip(info.sizes, starts, starts[1:], strict=False)}
    return DataSet(
        name=name,
        class_names=tuple(str(k) for k in range(info.classes)),
        images=_black((total, *((info.steps,) if info.steps else ()), *info.shape)),
        labels=np.arange(total, dtype=np.int64) % info.classes,
        indices=indices,  # type: ignore[arg-type]
        scale=info.scale,
        mean=info.mean,
        std=info.std,
        provenance={"official": False, "source": "blank", "sha256": "", "split": "blank", "counts": dict(info.sizes)},
    )


def _black(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros that take no memory: every sample is the same one."""
    sample = np.zeros(shape[1:], np.uint8)
    return np.lib.stride_tricks.as_strided(sample, shape, (0, *sample.strides))


def _embedded(info: DataSetInfo, folder: Path) -> DataSet:
    frozen = manifest(info.manifest)
    expected = frozen["content_sha256"]
    images, labels = read_cached(info.framing, folder, expected) if info.framing else read_digits()
    digest = content_hash(images, labels)
    if digest != expected:
        raise DataError(
            f"{info.name}: the digits of the installed scikit-learn are not the ones the splits were frozen for "
            f"(SHA-256 {digest}, expected {expected}); install another version of scikit-learn"
        )
    parts = manifest(frozen["indices_of"]) if "indices_of" in frozen else frozen
    indices: dict[Split, np.ndarray] = {
        "search": np.array(parts["search"]),
        "validation": np.array(parts["validation"]),
        "test": np.array(parts["test"]),
    }
    provenance = {"official": True, "source": "scikit-learn", "sha256": digest, "files": {}, "note": ""}
    if info.framing:
        provenance |= {"framing": info.framing.describe(), "camera": describe()}
    names = tuple(str(digit) for digit in range(info.classes))
    return _data_set(info, names, images, labels, indices, provenance, info.manifest)


def _converted(
    info: DataSetInfo,
    source: Source | None,
    data_dir: Path | None,
    cache_dir: Path,
    progress: Progress | None,
    download: bool,
    make: bool,
) -> DataSet:
    """Frames of recorded events or pixels of photographs: from the cache, or made from what is here or is fetched."""
    found = None
    if source is None or not source.trusted:
        found = read_frames(official_folder(info, cache_dir))
    if found is None:
        if info.framing is not None:
            require_readers(info)  # before gigabytes are downloaded
        if source is None or not source.trusted:
            source = fetch(
                info.name, data_dir=data_dir, cache_dir=cache_dir, progress=progress, allow_download=download
            )
        how = convert_recordings if info.framing is not None else convert_photographs
        found = how(source, cache_dir, progress, make)
    note = (
        "" if found.about["official"] else _unofficial(info, source.path if source else cache_dir, found.about["files"])
    )
    place = str(source.path if source else official_folder(info, cache_dir))
    how_made = {"framing": info.framing.describe()} if info.framing else {}
    how_made |= {"cropping": info.cropping.describe()} if info.cropping else {}
    provenance = {**found.about, "source": place, "note": note, **how_made}
    indices = by_path(found.keys, found.labels, manifest(info.manifest))
    split = info.manifest if found.about["official"] else "derived"
    return _data_set(info, found.class_names, found.images, found.labels, indices, provenance, split)


def _unofficial(info: DataSetInfo, place: Path, md5s: Mapping[str, str]) -> str:
    reason = "other checksums" if md5s else "unpacked files have no checksums to compare"
    note = f"{info.name} from {place} is not the official data ({reason}); results do not compare"
    warnings.warn(note, UnofficialDataWarning, stacklevel=4)
    return note


def _images(source: Source) -> DataSet:
    info = source.info
    parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    names: tuple[str, ...] = tuple(str(c) for c in range(info.classes))
    md5s: dict[str, str] = {}
    arrays: dict[str, np.ndarray] = {}
    for file, content, md5s[file.name] in source.read():
        where = f"{info.name}: {source.path / file.name}"
        if info.format == "idx":
            arrays[file.name] = read_idx(content, 3 if "images" in file.name else 1, where)
            continue
        record = read_dictionary(content, where)
        if file.role == "meta":
            names = _class_names(record, info, where)
        else:
            parts[file.name] = _batch(record, info, where)
    if info.format == "idx":
        parts, names = _idx_parts(source, arrays), info.class_names
    train = [parts[file.name] for file in info.files if file.role == "train" and file.name in parts]
    test = [parts[file.name] for file in info.files if file.role == "test" and file.name in parts]
    images = np.concatenate([part[0] for part in (*train, *test)])
    labels = np.concatenate([part[1] for part in (*train, *test)])

    n_train = sum(len(part[1]) for part in train)
    frozen = manifest(info.manifest)
    search, validation = by_rule(images[:n_train], labels[:n_train], frozen)
    indices: dict[Split, np.ndarray] = {
        "search": search,
        "validation": validation,
        "test": np.arange(n_train, len(images)),
    }
    official = md5s == {file.name: file.md5 for file in info.files}
    note = ""
    if not official:
        note = _unofficial(info, source.path, md5s)
    provenance = {
        "official": official,
        "source": str(source.path),
        "sha256": content_hash(images, labels),
        "files": md5s,
        "note": note,
    }
    return _data_set(info, names, images, labels, indices, provenance, info.manifest if official else "derived")


def _data_set(
    info: DataSetInfo,
    names: tuple[str, ...],
    images: np.ndarray,
    labels: np.ndarray,
    indices: dict[Split, np.ndarray],
    provenance: dict[str, Any],
    split: str,
) -> DataSet:
    counts = {name: len(index) for name, index in indices.items()}
    # How many recordings each archive of events holds is taken from their descriptions; the checksums decide.
    if provenance["official"] and info.framing is None and counts != dict(info.sizes):
        raise DataError(f"{info.name}: official data with {counts} samples, expected {dict(info.sizes)}")
    if empty := [name for name, count in counts.items() if not count]:
        raise DataError(f"{info.name}: too few samples in {provenance['source']}, the {empty[0]} split is empty")
    return DataSet(
        name=info.name,
        class_names=names,
        images=images,
        labels=labels,
        indices=indices,
        scale=info.scale,
        mean=info.mean,
        std=info.std,
        provenance={**provenance, "split": split, "counts": counts},
    )


def _idx_parts(source: Source, arrays: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images and labels of the training and the test files, under the names of the image files."""
    info, parts = source.info, {}
    for name, images in arrays.items():
        if "images" not in name:
            continue
        partner = name.replace("images-idx3", "labels-idx1")
        labels = arrays[partner]
        where = f"{info.name}: {source.path / name}"
        if images.shape != (len(labels), *info.shape[1:]):
            raise DataError(f"{where} holds {images.shape}, expected {(len(labels), *info.shape[1:])}")
        if len(labels) and labels.max() >= info.classes:
            raise DataError(f"{info.name}: {source.path / partner}: its labels go beyond {info.classes - 1}")
        parts[name] = images[:, None], labels.astype(np.int64)
    return parts


def _class_names(record: dict[str, Any], info: DataSetInfo, where: str) -> tuple[str, ...]:
    names = record.get(info.names_key)
    if not isinstance(names, list) or len(names) != info.classes:
        raise DataError(f"{where} does not hold a list of {info.classes} names under {info.names_key!r}")
    return tuple(name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names)


def _batch(record: dict[str, Any], info: DataSetInfo, where: str) -> tuple[np.ndarray, np.ndarray]:
    data, labels = record.get("data"), record.get(info.label_key)
    width = info.shape[0] * info.shape[1] * info.shape[2]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != width:
        raise DataError(f"{where} does not hold a uint8 matrix with {width} columns under 'data'")
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        labels = np.array(labels) if labels else np.empty(0, np.int64)  # numbers beyond 64 bits become objects
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != (len(data),):
        raise DataError(f"{where} does not hold one integer per image under {info.label_key!r}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < info.classes:
        raise DataError(f"{where} holds a label outside 0..{info.classes - 1}")
    return data.reshape(-1, *info.shape), labels.astype(np.int64)
