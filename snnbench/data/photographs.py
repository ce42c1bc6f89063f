"""Photographs as pixels of one size: decoded, resized and cut once, then read from the cache as a memory map."""

import contextlib
import hashlib
import io
import os
import shutil
import struct
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from snnbench.data.checksums import content_hash
from snnbench.data.entry import Cropping, DataSetInfo
from snnbench.data.layouts import Photograph, photographs
from snnbench.data.lookup import Source, frames_folder
from snnbench.data.recorded import PIXELS, Frames, Progress, kept_or_made, labels_of, located_files
from snnbench.data.splits import by_path, manifest
from snnbench.data.trees import FolderTree, Tree, ZipTree
from snnbench.errors import DataError

CHUNK = 256
AGAIN = 1024
"""Photographs that a resumed conversion makes once more: a crash of the machine may have lost what was written last."""

FORMATS = ("JPEG", "PNG")  # one of ImageNet's .JPEG files is a PNG
DAMAGED = (OSError, EOFError, ValueError, SyntaxError, IndexError, TypeError, struct.error)
"""What Pillow raises for files that are not what they seem to be."""


def convert_photographs(source: Source, cache_dir: Path, progress: Progress | None = None, make: bool = True) -> Frames:
    """Pixels of a data set's photographs, from the cache if these files were converted before.

    They are in the order search, validation, test, so that every split is one piece of the memory map; within the
    search split in the order of the SHA-256 of their keys, so that its first n are a random sample. An interrupted
    conversion is continued.

    Parameters
    ----------
    source
        Where the archive or the folder is.
    cache_dir
        The cache.
    progress
        Called with (stage, photographs done, photographs in all).
    make
        Whether they may be made; else it is an error if the cache does not have them.

    Raises
    ------
    DataError
        If a file is missing, damaged or unreadable, or the cache cannot be written.
    """
    info = source.info
    located = located_files(source)
    tree = _tree(source, located[0][1])
    found = photographs(info, tree)
    content = [[shot.key, shot.wnid, shot.entry.bytes, shot.entry.stamp] for shot in found]
    kept = frames_folder(info, cache_dir, hashlib.sha256(repr(content).encode()).hexdigest())
    write = partial(_write, info, tree, found, progress=progress or (lambda stage, done, total: None)) if make else None
    return kept_or_made(source, located, kept, cache_dir, _unfinished, write)


def decode(content: bytes, cropping: Cropping) -> np.ndarray:
    """Pixels (3, size, size) uint8 of a photograph.

    The shorter side is resized bilinearly (Pillow, with its antialiasing), then the middle is cut out, as
    torchvision's ``Resize`` and ``CenterCrop`` do.

    Raises
    ------
    DataError
        If it is damaged or cut off, no photograph, or too large to be one.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS).convert("RGB")
        width, height = image.size
        share = cropping.resize / min(width, height)
        # Rounded down like torchvision's, but for the shorter side, which is exact.
        width, height = (cropping.resize if n == min(image.size) else int(n * share) for n in (width, height))
        if width * height > (Image.MAX_IMAGE_PIXELS or np.inf):
            raise ValueError(f"{image.size[0]} x {image.size[1]} pixels is no photograph")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = (round((n - cropping.size) / 2) for n in (width, height))
        image = image.crop((left, top, left + cropping.size, top + cropping.size))
    except (*DAMAGED, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"no readable photograph ({error})") from error
    return np.asarray(image).transpose(2, 0, 1)


def _tree(source: Source, path: Path) -> Tree:
    """The tree of one data set: its zip archive, its one folder, or the folder of its parts."""
    file = source.info.files[0]
    if path.name != file.name:
        return FolderTree(source.path / (file.unpacked[0] if len(source.info.files) == 1 else ""))
    if path.suffix == ".zip":
        return ZipTree(path, file.unpacked[0])
    parts = " and ".join(f"{f.name} to {f.unpacked[0]}" for f in source.info.files)
    raise DataError(f"{source.info.name}: {path} is packed; unpack {parts} beside it")


@contextlib.contextmanager
def _unfinished(final: Path) -> Iterator[Path]:
    """A folder that outlives an interruption, so that the next attempt finds what there is."""
    place = final.with_name(f".{final.name}.part")
    place.mkdir(exist_ok=True)
    yield place
    for left in final.parent.glob(".*.part"):  # of files that have changed since
        shutil.rmtree(left)


def _write(info: DataSetInfo, tree: Tree, found: list[Photograph], folder: Path, progress: Progress) -> dict[str, Any]:
    """Pixels in the order of the splits; returns their keys, labels and hash."""
    labels, names = labels_of(info, [photograph.wnid for photograph in found])
    order = _by_split([photograph.key for photograph in found], labels, manifest(info.manifest))
    found, labels = [found[i] for i in order], labels[order]
    assert info.cropping is not None
    _write_pixels(info, tree, found, folder / PIXELS, progress)
    images = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    return {
        "keys": [photograph.key for photograph in found],
        "labels": labels.tolist(),
        "class_names": names,
        "sha256": content_hash(images, labels),
    }


def _by_split(keys: list[str], labels: np.ndarray, rule: dict[str, Any]) -> np.ndarray:
    """Sample numbers of the search, validation and test split, one after the other."""
    splits = by_path(keys, labels, rule)
    search = sorted(splits["search"], key=lambda i: hashlib.sha256(keys[i].encode()).digest())
    return np.concatenate([np.array(search, np.int64), splits["validation"], splits["test"]])


def _write_pixels(info: DataSetInfo, tree: Tree, found: list[Photograph], path: Path, progress: Progress) -> None:
    assert info.cropping is not None
    stage, total = f"converting {info.name} to pixels", len(found)
    header, row = _header((total, *info.shape)), int(np.prod(info.shape))
    # Written as a plain file, not through a memory map: a full disk is then an error and not the end of the process.
    with open(path, "ab"), open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        _require_space(info, path, len(header) + row * total - size)
        done = max(0, (size - len(header)) // row - AGAIN)
        file.seek(0)
        file.write(header)
        file.seek(len(header) + done * row)
        file.truncate()
        progress(stage, done, total)
        for pixels in _decoded(info, tree, found[done:]):
            file.write(pixels.tobytes())
            done += 1
            if done % CHUNK == 0 or done == total:
                progress(stage, done, total)
        file.flush()
        os.fsync(file.fileno())


def _decoded(info: DataSetInfo, tree: Tree, found: list[Photograph]) -> Iterator[np.ndarray]:
    """Pixels of photographs, in order; Pillow decodes outside Python's lock, so threads share the work."""
    from PIL import Image

    assert info.cropping is not None
    cropping = info.cropping

    def one(photograph: Photograph) -> np.ndarray:
        try:
            return decode(tree.read(photograph.entry.path), cropping)
        except FileNotFoundError:
            raise DataError(f"{info.name}: {tree.root / photograph.entry.path} is gone") from None
        except DataError as error:
            raise DataError(f"{info.name}: {tree.root / photograph.entry.path}: {error}") from error

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # damaged EXIF data, which nobody reads here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(found), CHUNK):
            yield from pool.map(one, found[start : start + CHUNK])


def _header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _require_space(info: DataSetInfo, path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise DataError(
            f"{info.name}: its pixels take {needed / 1e9:.1f} GB more in {path.parent.parent}, but {free / 1e9:.1f} GB "
            "are free; name another --cache-dir"
        )
