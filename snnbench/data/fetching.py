"""Bring a data set's official files into the cache."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from snnbench.data.archive import extract
from snnbench.data.catalog import info_of
from snnbench.data.checksums import file_hashes
from snnbench.data.download import Progress, TransferError, download
from snnbench.data.entry import DataSetInfo
from snnbench.data.folders import data_folder, default_cache
from snnbench.data.lookup import Source, find, missing
from snnbench.errors import DataError, UsageError


def fetch(
    name: str,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    allow_download: bool = True,
) -> Source:
    """Make sure that a data set is here; download and unpack the official archive into the cache if it is not.

    An official archive that someone has put into the cache's folder is used instead of a download; files in the
    cache that are damaged are replaced.

    Parameters
    ----------
    name
        Name of the data set.
    data_dir
        A folder the user named, looked into first.
    cache_dir
        The cache; by default `default_cache`.
    progress
        Called with (stage, bytes done, bytes in total).
    allow_download
        Whether the network may be used.

    Returns
    -------
    Source
        Where it is.

    Raises
    ------
    UsageError
        For an unknown name, or a data set that comes with an installed package.
    DataError
        If it cannot be had.
    """
    info = info_of(name)
    if info.embedded:
        raise UsageError(f"{name} comes with an installed package: there is nothing to fetch")
    cache_dir = cache_dir or default_cache()
    folder = data_folder(cache_dir, name)
    source = find(info, data_dir, cache_dir)
    if source is not None and (source.trusted or _intact(source)):
        return source
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            source = find(info, None, cache_dir)
            if source is None or not _intact(source):
                _bring(info, data_dir, cache_dir, progress, allow_download)
    except OSError as error:
        raise DataError(f"{name}: cannot write to {folder}: {error.strerror or error}") from error
    return Source(info, folder / info.folder, trusted=False)


def _bring(
    info: DataSetInfo, data_dir: Path | None, cache_dir: Path, progress: Progress | None, allow_download: bool
) -> None:
    folder = data_folder(cache_dir, info.name)
    if not info.url:
        _bring_files(info, data_dir, cache_dir, progress, allow_download)
        return
    archive = folder / info.archive
    expected = (info.archive_md5, info.archive_sha256)
    if archive.is_file() and (found := file_hashes(archive)) != expected:
        if not allow_download:
            raise DataError(
                f"{info.name}: {archive} is damaged (MD5 {found[0]}, official {info.archive_md5}); "
                f"`snnbench data fetch {info.name}` replaces it"
            )
        archive.unlink()
    if not archive.is_file():
        if not allow_download:
            raise missing(info, data_dir, cache_dir)
        try:
            download(
                info.url,
                archive,
                size=info.archive_bytes,
                md5=info.archive_md5,
                sha256=info.archive_sha256,
                progress=progress,
            )
        except TransferError as error:
            raise missing(info, data_dir, cache_dir, str(error)) from error
    extract(archive, info.folder, [file.name for file in info.files], folder)
    archive.unlink()


def _bring_files(
    info: DataSetInfo, data_dir: Path | None, cache_dir: Path, progress: Progress | None, allow_download: bool
) -> None:
    """Files that are published one by one: those that are missing or damaged."""
    folder = data_folder(cache_dir, info.name)
    for file in info.files:
        target = folder / file.name
        if target.is_file() and file_hashes(target)[0] == file.md5:
            continue
        if not allow_download or not file.url:
            if target.is_file() and file.url:
                raise DataError(f"{info.name}: {target} is damaged; `snnbench data fetch {info.name}` replaces it")
            raise missing(info, data_dir, cache_dir)
        try:
            # Only when it is complete does it take the place of what is there.
            download(file.url, target, size=file.bytes or None, md5=file.md5, progress=progress)
        except TransferError as error:
            raise missing(info, data_dir, cache_dir, str(error)) from error


def _intact(source: Source) -> bool:
    """Whether these are the official files, unpacked if they come as one archive."""
    if source.is_archive:
        return False
    if source.info.converted:
        return all(
            (path := source.path / file.name).is_file() and file_hashes(path)[0] == file.md5
            for file in source.info.files
        )
    try:
        for _ in source.read():
            pass
    except DataError:
        return False
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from fetching or converting a data set meanwhile (POSIX; elsewhere there is no lock)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(folder / ".lock", "w") as lock:
        # Some network file systems know no locks; then two processes at worst do it twice.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
