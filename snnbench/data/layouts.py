"""Which photographs a folder holds, and what they show: the layouts of ImageNet's and Tiny ImageNet's archives."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

import numpy as np

from snnbench.data.entry import DataSetInfo, Format
from snnbench.data.trees import Entry, Tree
from snnbench.errors import DataError

WNID = re.compile(r"n\d{8}")
"""A class: the offset of a noun in WordNet."""

SUFFIXES = (".jpeg", ".jpg")
DEVKIT = "ILSVRC2012_devkit_t12/data"
LARGEST_TABLE = 1 << 24


@dataclass(frozen=True)
class Photograph:
    """One photograph.

    Attributes
    ----------
    key
        "train/WNID/NAME" or "test/NAME": the same in every copy of the data.
    wnid
        Its class.
    entry
        Where it is.
    """

    key: str
    wnid: str
    entry: Entry


def photographs(info: DataSetInfo, tree: Tree) -> list[Photograph]:
    """All photographs of a data set, sorted by key.

    Raises
    ------
    DataError
        If there are none of a part, two of the same key, or the class of one is not told.
    """
    find_train, find_test = _LAYOUTS[info.format]
    train, test = find_train(tree), find_test(info, tree)
    for part, found in (("train", train), ("val", test)):
        if not found:
            raise DataError(
                f"{info.name}: {tree.root / part} holds no photographs in the layout of the official archive"
            )
    both = sorted((*train, *test), key=lambda photograph: photograph.key)
    for one, other in pairwise(both):
        if one.key == other.key:
            raise DataError(f"{info.name}: {tree.root} holds two photographs {one.key}")
    return both


def _images(tree: Tree, folder: str) -> list[tuple[tuple[str, ...], Entry]]:
    """Photographs below a folder, with the parts of their path behind it."""
    found = [(PurePosixPath(entry.path).parts[1:], entry) for entry in tree.files(folder)]
    return [(parts, e) for parts, e in found if parts[-1].lower().endswith(SUFFIXES) and not parts[-1].startswith(".")]


def _tiny_train(tree: Tree) -> list[Photograph]:
    """train/WNID/images/NAME."""
    return [
        Photograph(f"train/{parts[0]}/{parts[2]}", parts[0], entry)
        for parts, entry in _images(tree, "train")
        if len(parts) == 3 and WNID.fullmatch(parts[0]) and parts[1] == "images"
    ]


def _tiny_test(info: DataSetInfo, tree: Tree) -> list[Photograph]:
    """val/images/NAME, classes in val/val_annotations.txt."""
    found = [(parts[1], entry) for parts, entry in _images(tree, "val") if len(parts) == 2 and parts[0] == "images"]
    table = "val/val_annotations.txt"
    rows = [line.split("\t") for line in _table(info, tree, table).decode("utf-8", "replace").splitlines() if line]
    wnids = {row[0]: row[1] for row in rows if len(row) > 1}
    return _labelled(info, tree, found, wnids, table)


def _train(tree: Tree) -> list[Photograph]:
    """train/WNID/NAME."""
    return [
        Photograph(f"train/{parts[0]}/{parts[1]}", parts[0], entry)
        for parts, entry in _images(tree, "train")
        if len(parts) == 2 and WNID.fullmatch(parts[0])
    ]


def _test(info: DataSetInfo, tree: Tree) -> list[Photograph]:
    """val/WNID/NAME, as it is often sorted; or val/NAME as in the archive, with the development kit beside it."""
    images = _images(tree, "val")
    if by_class := [(p, e) for p, e in images if len(p) == 2 and WNID.fullmatch(p[0])]:
        return [Photograph(f"test/{parts[1]}", parts[0], entry) for parts, entry in by_class]
    found = [(parts[0], entry) for parts, entry in images if len(parts) == 1]
    return _labelled(info, tree, found, _ground_truth(info, tree), DEVKIT) if found else []


def _ground_truth(info: DataSetInfo, tree: Tree) -> dict[str, str]:
    """Name to class of ILSVRC's validation images: numbers in the development kit, which meta.mat translates."""
    from scipy.io import loadmat

    text, meta = f"{DEVKIT}/ILSVRC2012_validation_ground_truth.txt", f"{DEVKIT}/meta.mat"
    try:
        numbers = [int(word) for word in _table(info, tree, text).split()]
    except ValueError:
        raise DataError(f"{info.name}: {tree.root / text} does not hold one number per line") from None
    content = _table(info, tree, meta)
    try:
        synsets = loadmat(io.BytesIO(content), squeeze_me=True)["synsets"]
        ids, wnids = np.atleast_1d(synsets["ILSVRC2012_ID"]), np.atleast_1d(synsets["WNID"])
        known = {int(i): str(wnid) for i, wnid in zip(ids, wnids, strict=True)}
        return {f"ILSVRC2012_val_{n:08d}.JPEG": known[number] for n, number in enumerate(numbers, start=1)}
    # What scipy makes of a damaged file is not documented; a table without these columns fails likewise.
    except (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, NotImplementedError) as error:
        raise DataError(f"{info.name}: {tree.root / meta} is damaged, or not that of {text}: {error!r}") from error


def _table(info: DataSetInfo, tree: Tree, path: str) -> bytes:
    try:
        content = tree.read(path)
    except FileNotFoundError:
        raise DataError(
            f"{info.name}: {tree.root / path} is missing: it tells the classes of the images in val"
        ) from None
    if len(content) > LARGEST_TABLE:
        raise DataError(f"{info.name}: {tree.root / path} is too large for what it should hold")
    return content


def _labelled(
    info: DataSetInfo, tree: Tree, found: list[tuple[str, Entry]], wnids: dict[str, str], table: str
) -> list[Photograph]:
    for name, _ in found:
        if not WNID.fullmatch(wnids.get(name, "")):
            raise DataError(f"{info.name}: {tree.root / table} does not tell the class of {name}")
    return [Photograph(f"test/{name}", wnids[name], entry) for name, entry in found]


_LAYOUTS: dict[Format, tuple[Callable[[Tree], list[Photograph]], Callable[[DataSetInfo, Tree], list[Photograph]]]] = {
    "tinyimagenet": (_tiny_train, _tiny_test),
    "imagenet": (_train, _test),
}
