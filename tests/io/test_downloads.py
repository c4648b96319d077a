"""Checked downloads, one process at a time, and folders that appear complete."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from alexnet.errors import DataError, MissingDataError
from alexnet.io.downloads import atomic_folder, download
from support.file_server import (
    BODY,
    MD5,
    Request,
    Server,
    failure,
    files,
    get,
    rest,
    serve,
    status,
    whole,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("ALEXNET_OFFLINE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "x.bin"


@pytest.mark.parametrize("moved", [False, True])
def test_download(server: Server, target: Path, moved: bool) -> None:
    server.answers = [status(302, Location="/elsewhere"), whole()] if moved else [whole()]
    assert download(server.url, target, md5=MD5, size_bytes=len(BODY)) == target
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]


def test_without_file_locks_a_download_has_a_part_of_its_own(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of another process, which may be at it, is neither continued nor removed."""

    def no_locks(lock: FileLock, timeout: float) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    target.parent.mkdir()
    target.with_name(".x.bin.part").write_bytes(b"of another")
    server.answers = [status(404), whole()]
    with pytest.raises(MissingDataError, match="404"):
        download(server.url, target, md5=MD5)
    assert files(target.parent) == {".x.bin.part": b"of another"}
    assert download(server.url, target, md5=MD5).read_bytes() == BODY
    assert set(files(target.parent)) == {".x.bin.part", "x.bin"}


def test_the_beginning_of_a_sha256_is_enough(server: Server, target: Path) -> None:
    """Some weights are published with no more than that, in the file's name."""
    server.answers = [whole()]
    digest = hashlib.sha256(BODY).hexdigest()
    assert download(server.url, target, sha256_prefix=digest[:8]).read_bytes() == BODY
    other = "0" * 8 if digest[0] != "0" else "1" * 8
    with pytest.raises(MissingDataError, match=f"its sha256 is {digest} and not {other}"):
        download(server.url, target.with_name("y.bin"), sha256_prefix=other)
    assert files(target.parent) == {"x.bin": BODY}


def test_nothing_is_downloaded_without_a_checksum(target: Path) -> None:
    with pytest.raises(ValueError, match="needs a checksum"):
        download("https://example.org/x", target)


@pytest.mark.parametrize("url", ["http://example.org/x", "file:///etc/passwd", "ftp://a.b/c"])
def test_https_only(target: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEXNET_OFFLINE")
    assert "not an https address" in failure(url, target)
    assert files(target.parent) == {}


def test_offline_makes_no_attempt(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    assert "$ALEXNET_OFFLINE is set" in failure(server.url, target)
    assert server.requests == []
    assert not target.parent.exists()


def test_a_target_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingDataError, match="could not be downloaded"):
        download(server.url, tmp_path / "file" / "x.bin", md5=MD5)


KILLED = """
import sys
from pathlib import Path
from alexnet.io.downloads import download
download(sys.argv[1], Path(sys.argv[2]), md5=sys.argv[3])
"""


def test_after_a_kill_the_next_download_resumes(server: Server, target: Path) -> None:
    stalled = threading.Event()

    def stalls(request: Request) -> None:
        request.head(200, Content_Length=len(BODY), ETag='"a"')
        request.wfile.write(BODY[:30_000])
        request.wfile.flush()
        stalled.wait(20)

    server.answers = [stalls, rest(ETag='"a"')]
    part = target.parent / ".x.bin.part"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, server.url, str(target), MD5]
    with subprocess.Popen(command, env=environment) as process:
        while not part.exists() or part.stat().st_size < 20_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    stalled.set()
    kept = part.stat().st_size
    assert 20_000 <= kept < len(BODY)
    assert get(server.url, target) == BODY
    assert server.requests[1]["range"] == f"bytes={kept}-"
    assert files(target.parent) == {"x.bin": BODY}


def test_one_downloads_and_the_others_wait(server: Server, target: Path) -> None:
    """All end with the file, and it is fetched once."""

    def slowly(request: Request) -> None:
        request.head(200, Content_Length=len(BODY))
        for i in range(0, len(BODY), 5000):
            request.wfile.write(BODY[i : i + 5000])
            request.wfile.flush()
            time.sleep(0.01)

    server.answers = [slowly]
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(get(server.url, target))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BODY] * 3
    assert len(server.requests) == 1
    assert files(target.parent) == {"x.bin": BODY}


def test_the_lock_is_held_during_the_download(server: Server, target: Path) -> None:
    seen: list[set[str]] = []

    def look(request: Request) -> None:
        seen.append({path.name for path in target.parent.iterdir()})
        whole()(request)

    server.answers = [look]
    assert get(server.url, target) == BODY
    assert seen == [{".x.bin.lock"}]


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "set"
    with atomic_folder(target) as temporary:
        (temporary / "a.txt").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.parent.rglob("*")] == ["set", "a.txt"]


def test_the_folder_of_a_failed_block_is_removed(tmp_path: Path) -> None:
    def fill_and_fail() -> None:
        with atomic_folder(tmp_path / "set") as temporary:
            (temporary / "a.txt").write_text("a")
            raise KeyError

    with pytest.raises(KeyError):
        fill_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_made_meanwhile_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "set") as temporary:
        (temporary / "late").touch()
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "first").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "first"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    message = r"set cannot be written \(Not a directory\)"
    with pytest.raises(DataError, match=message), atomic_folder(tmp_path / "file" / "set"):
        pass
