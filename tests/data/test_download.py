"""Downloads over bad lines, and archives that cannot be trusted."""

import hashlib
import io
import socket
import tarfile
from pathlib import Path
from typing import Any

import pytest

from snnbench.data.archive import extract
from snnbench.data.download import TransferError, download
from snnbench.errors import DataError

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tiny.tar.gz"


def get(site: Any, target: Path, content: bytes = CONTENT, **changes: Any) -> Path:
    """Download what ought to be `content`."""
    expected = {
        "size": len(content),
        "md5": hashlib.md5(content).hexdigest(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "timeout": 5.0,
        "pause": 0.0,
    }
    return download(site.url, target, **(expected | changes))


def part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def test_download(site: Any, target: Path) -> None:
    site.content = CONTENT
    seen: list[tuple[str, int, int]] = []
    get(site, target, progress=lambda *step: seen.append(step))
    assert target.read_bytes() == CONTENT
    assert not part(target).exists()
    assert [done for _, done, _ in seen] == sorted({done for _, done, _ in seen})
    assert seen[-1] == ("download tiny.tar.gz", len(CONTENT), len(CONTENT))


def test_a_truncated_transfer_goes_on_where_it_stopped(site: Any, target: Path) -> None:
    site.content, site.cut = CONTENT, [300_000, 200_000]
    get(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests == ["", "bytes=300000-", "bytes=500000-"]


def test_it_goes_on_where_another_process_stopped(site: Any, target: Path) -> None:
    site.content, site.cut = CONTENT, [300_000, 0, 0]
    with pytest.raises(TransferError, match="ended after 300000 of"):
        get(site, target, attempts=2)
    assert not target.exists()
    get(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests[-1] == "bytes=300000-"


def test_a_server_without_ranges_sends_everything_again(site: Any, target: Path) -> None:
    site.content, site.cut, site.ranges = CONTENT, [300_000], False
    get(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests == ["", "bytes=300000-"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(site: Any, target: Path) -> None:
    site.content, site.cut, site.ranges = CONTENT, [300_000] * 9, False
    with pytest.raises(TransferError, match="cannot download"):
        get(site, target, attempts=3)
    assert len(site.requests) == 4


def test_a_wrong_checksum_removes_the_file(site: Any, target: Path) -> None:
    site.content = CONTENT[::-1]
    with pytest.raises(DataError, match=r"is not the expected file: MD5 \w+, expected \w+"):
        get(site, target)
    assert list(target.parent.iterdir()) == []


def test_the_sha256_counts_too(site: Any, target: Path) -> None:
    site.content = CONTENT
    with pytest.raises(DataError, match="not the expected file"):
        get(site, target, sha256="0" * 64)
    assert not target.exists()


def test_a_part_of_something_else_is_thrown_away(site: Any, target: Path) -> None:
    site.content = CONTENT
    target.parent.mkdir()
    part(target).write_bytes(b"x" * 1000)
    get(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests == ["bytes=1000-", ""]


@pytest.mark.parametrize("extra", [0, 10])
def test_a_part_that_is_complete_or_too_long(extra: int, site: Any, target: Path) -> None:
    site.content = CONTENT
    target.parent.mkdir()
    part(target).write_bytes(CONTENT + b"x" * extra)
    get(site, target)
    assert target.read_bytes() == CONTENT
    assert site.requests == ([""] if extra else [])


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", CONTENT + b"more"], ids=["short", "long"])
def test_something_of_another_size_is_not_even_received(content: bytes, site: Any, target: Path) -> None:
    site.content = content
    seen: list[Any] = []
    with pytest.raises(DataError, match=f"not the expected file: {len(content)} bytes"):
        get(site, target, progress=lambda *step: seen.append(step))
    assert seen == []
    assert list(target.parent.iterdir()) == []


def test_a_busy_server_is_asked_again(site: Any, target: Path) -> None:
    site.content, site.statuses = CONTENT, [503, 500]
    get(site, target)
    assert len(site.requests) == 3


def test_a_missing_page_is_not(site: Any, target: Path) -> None:
    site.content, site.statuses = CONTENT, [404, 0]
    with pytest.raises(TransferError, match="Not Found"):
        get(site, target)
    assert len(site.requests) == 1


def test_without_a_network_it_fails_at_once(target: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/tiny.tar.gz"
        with pytest.raises(TransferError, match=r"cannot download .*refused"):
            download(url, target, size=1, md5="", pause=60.0)


def test_a_full_disk_is_said(site: Any, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, block: Any) -> int:
            return super().write(block[:10])

    monkeypatch.setattr("snnbench.data.download.open", lambda path, mode, **_: Full(path, mode), raising=False)
    site.content = CONTENT
    with pytest.raises(DataError, match="No space left on device"):
        get(site, target)
    assert len(site.requests) == 1
    assert not target.exists()


def archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def plain(name: str, content: bytes = b"content") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_extract_takes_what_is_expected_and_nothing_else(tmp_path: Path) -> None:
    members = [plain("set/a", b"A"), plain("set/readme.html"), plain("other/a"), plain("set/deep/b"), plain("set/b")]
    packed = archive(tmp_path / "x.tar.gz", members)
    folder = extract(packed, "set", ["a", "b"], tmp_path / "out")
    assert folder == tmp_path / "out" / "set"
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")} == {
        "set",
        "set/a",
        "set/b",
    }
    assert (folder / "a").read_bytes() == b"A"


def test_extract_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "out" / "set").mkdir(parents=True)
    (tmp_path / "out" / "set" / "a").write_bytes(b"damaged")
    (tmp_path / "out" / ".extract-killed").mkdir()
    extract(archive(tmp_path / "x.tar.gz", [plain("set/a", b"A")]), "set", ["a"], tmp_path / "out")
    assert (tmp_path / "out" / "set" / "a").read_bytes() == b"A"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]


@pytest.mark.parametrize(
    "bad",
    [
        plain("../evil"),
        plain("set/../../evil"),
        plain("/tmp/evil"),
        plain("set\\..\\evil"),
        plain("C:evil"),
        link("set/a", "../../evil"),
        link("set/a", "/etc/passwd", tarfile.LNKTYPE),
        link("set/a", "", tarfile.FIFOTYPE),
        plain("set/b"),
    ],
    ids=["parent", "inner parent", "absolute", "backslash", "drive", "symlink", "hard link", "fifo", "repeated"],
)
def test_an_archive_that_reaches_out_is_refused(bad: tuple[tarfile.TarInfo, bytes], tmp_path: Path) -> None:
    packed = archive(tmp_path / "x.tar.gz", [plain("set/b"), bad, plain("set/a")])
    with pytest.raises(DataError, match="is refused"):
        extract(packed, "set", ["a", "b"], tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.tar.gz"]
    assert list((tmp_path / "out").iterdir()) == []


def test_too_large_a_member_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnbench.data.archive.LARGEST_MEMBER", 3)
    packed = archive(tmp_path / "x.tar.gz", [plain("set/a", b"1234")])
    with pytest.raises(DataError, match="too large"):
        extract(packed, "set", ["a"], tmp_path / "out")


def test_an_archive_that_is_incomplete_or_none(tmp_path: Path) -> None:
    packed = archive(tmp_path / "x.tar.gz", [plain("set/a")])
    with pytest.raises(DataError, match="lacks set/b"):
        extract(packed, "set", ["a", "b"], tmp_path / "out")
    packed.write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be extracted"):
        extract(packed, "set", ["a"], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
