"""What is here of each data set, and whether it is genuine. Imports neither torch nor scikit-learn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snnbench.data.catalog import info_of
from snnbench.data.entry import DataSetInfo
from snnbench.data.folders import default_cache
from snnbench.data.lookup import Source, find, official_folder
from snnbench.errors import DataError

State = Literal["embedded", "official", "unofficial", "present", "damaged", "missing"]


@dataclass(frozen=True)
class DataStatus:
    """The state of one data set on this machine.

    Attributes
    ----------
    name
        The data set.
    state
        "embedded" in an installed package, "official" (every checksum is), "unofficial" (the user named it, other
        checksums), "present" (found, checksums not taken), "damaged" or "missing".
    path
        Where it was found, "" if nowhere.
    size
        Bytes on disk.
    detail
        What is wrong, if it is damaged.
    """

    name: str
    state: State
    path: str = ""
    size: int = 0
    detail: str = ""


def status(
    name: str, data_dir: Path | None = None, cache_dir: Path | None = None, *, verify: bool = True
) -> DataStatus:
    """Look for a data set, and take its files' checksums.

    Parameters
    ----------
    name
        Name of the data set.
    data_dir, cache_dir
        Where to look: as for `snnbench.data.loading.load`.
    verify
        Whether to take checksums (a second per data set); without, what is found is only "present".

    Raises
    ------
    UsageError
        For an unknown name, or a ``data_dir`` that is no folder.
    """
    info = info_of(name)
    if info.embedded:
        return DataStatus(name, "embedded", "scikit-learn")
    cache_dir = cache_dir or default_cache()
    source = find(info, data_dir, cache_dir)
    if source is None:
        return _converted(info, cache_dir)
    path, size = str(source.path), source.size()
    if not verify:
        return DataStatus(name, "present", path, size)
    if info.converted:
        return _recordings(source)
    try:
        found = {file.name: md5 for file, _, md5 in source.read()}
    except DataError as error:
        return DataStatus(name, "damaged", path, size, str(error))
    official = found == {file.name: file.md5 for file in info.files}
    return DataStatus(name, "official" if official else "unofficial", path, size)


def _converted(info: DataSetInfo, cache_dir: Path) -> DataStatus:
    """What was made of official archives serves without them."""
    if not info.converted:
        return DataStatus(info.name, "missing")
    frames = official_folder(info, cache_dir) / "frames.npy"
    if not frames.is_file():
        return DataStatus(info.name, "missing")
    return DataStatus(info.name, "official", str(frames.parent), frames.stat().st_size)


def _recordings(source: Source) -> DataStatus:
    """Archives by their checksums; unpacked folders have none."""
    from snnbench.data.checksums import file_hashes  # imports numpy, which a mere listing does without

    info, path, size = source.info, str(source.path), source.size()
    for file in info.files:
        archive = source.path / file.name
        if not archive.is_file() and not source.trusted:
            return DataStatus(info.name, "damaged", path, size, f"{info.name}: {archive} is missing")
        if not archive.is_file() or file_hashes(archive)[0] != file.md5:
            if source.trusted:
                return DataStatus(info.name, "unofficial", path, size)
            return DataStatus(info.name, "damaged", path, size, f"{info.name}: {archive} is damaged (another MD5)")
    return DataStatus(info.name, "official", path, size)
