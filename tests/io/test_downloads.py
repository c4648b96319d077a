"""Downloads against a server on this machine, and folders that appear whole."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alexnet.errors import DataError, MissingDataError
from alexnet.io import http as fetching
from alexnet.io.downloads import atomic_folder, download

BODY = b"flowers" * 1000
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
REDIRECTS = {
    "/moved": "/file.bin",
    "/away": "http://example.invalid/file.bin",
    "/local": "file:///",
}


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/file.bin":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(BODY)
        elif self.path == "/slow":
            time.sleep(0.6)
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("ALEXNET_OFFLINE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def refused(url: str, target: Path, md5: str = MD5, size_bytes: int | None = None) -> str:
    with pytest.raises(MissingDataError) as caught:
        download(url, target, md5=md5, size_bytes=size_bytes)
    message = str(caught.value)
    assert target.name in message
    assert url in message
    assert str(target.parent) in message
    assert "\n" not in message
    assert not target.parent.exists() or not list(target.parent.iterdir())
    return message


@pytest.mark.parametrize("path", ["/file.bin", "/moved"])
def test_download(home: str, tmp_path: Path, path: str) -> None:
    target = tmp_path / "new" / "file.bin"
    assert download(home + path, target, md5=MD5, size_bytes=len(BODY)) == target
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(
    ("path", "size_bytes", "complaint"),
    [
        ("/none", None, "HTTP Error 404"),
        ("/file.bin", len(BODY) - 1, "longer than 6999 bytes"),
        ("/away", None, "not an https address"),
        ("/local", None, "file:///"),
    ],
)
def test_what_is_wrong_is_not_kept(
    home: str, tmp_path: Path, path: str, size_bytes: int | None, complaint: str
) -> None:
    assert complaint in refused(home + path, tmp_path / "x.bin", size_bytes=size_bytes)


def test_wrong_checksum(home: str, tmp_path: Path) -> None:
    assert "its md5 is" in refused(f"{home}/file.bin", tmp_path / "x.bin", md5="0" * 32)


def test_the_beginning_of_a_sha256_is_enough(home: str, tmp_path: Path) -> None:
    """Some homes publish no more than that, in the file's name."""
    whole = hashlib.sha256(BODY).hexdigest()
    target = download(f"{home}/file.bin", tmp_path / "x.bin", sha256_prefix=whole[:8])
    assert target.read_bytes() == BODY
    other = "0" * 8 if whole[0] != "0" else "1" * 8
    with pytest.raises(MissingDataError, match=f"its sha256 is {whole} and not {other}"):
        download(f"{home}/file.bin", tmp_path / "y.bin", sha256_prefix=other)
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]


def test_nothing_is_fetched_unchecked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a checksum"):
        download("https://example.org/x", tmp_path / "x.bin")


def test_slow_server(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.1)
    assert "timed out" in refused(f"{home}/slow", tmp_path / "x.bin")


def test_nobody_answers(home: str, tmp_path: Path) -> None:
    assert "refused" in refused("http://127.0.0.1:9/x.bin", tmp_path / "x.bin")


@pytest.mark.parametrize("url", ["http://example.org/x", "file:///etc/passwd", "ftp://a.b/c"])
def test_https_only(tmp_path: Path, url: str) -> None:
    assert "not an https address" in refused(url, tmp_path / "x.bin")


def test_offline_makes_no_attempt(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    assert "$ALEXNET_OFFLINE is set" in refused(f"{home}/file.bin", tmp_path / "x.bin")


def test_target_that_cannot_be_written(home: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingDataError, match="could not be downloaded"):
        download(f"{home}/file.bin", tmp_path / "file" / "x.bin", md5=MD5)


def test_whole_folder(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "set"
    with atomic_folder(target) as aside:
        (aside / "a.txt").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.parent.rglob("*")] == ["set", "a.txt"]


def test_folder_of_a_failed_block_is_gone(tmp_path: Path) -> None:
    def fill_and_fail() -> None:
        with atomic_folder(tmp_path / "set") as aside:
            (aside / "a.txt").write_text("a")
            raise KeyError

    with pytest.raises(KeyError):
        fill_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_first_folder_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "set") as aside:
        (aside / "late").touch()
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "first").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "first"]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    lack = r"set cannot be written \(Not a directory\)"
    with pytest.raises(DataError, match=lack), atomic_folder(tmp_path / "file" / "set"):
        pass
