"""A file from an https address: redirects, limits of size and time, and what is not read."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

import alexnet.io.url
from alexnet.errors import DataError
from alexnet.io.url import is_address, read_url
from support.file_server import BODY, Request, Server, lies, serve, status, whole


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that speaks http, which is read only here."""
    for name in ("ALEXNET_OFFLINE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(alexnet.io.url, "SCHEMES", ("https", "http"))
    with serve() as state:
        yield state


def failure(url: str, max_bytes: int = 10**6, max_seconds: float = 5.0) -> str:
    with pytest.raises(DataError) as caught:
        read_url(url, max_bytes, max_seconds)
    return str(caught.value)


def test_the_whole_content(server: Server) -> None:
    server.answers = [whole()]
    assert read_url(server.url, len(BODY), 5.0) == BODY
    assert server.requests[0]["user-agent"] == "alexnet"


def test_redirects(server: Server) -> None:
    server.answers = [status(302, Location=server.url), whole()]
    assert read_url(server.url, len(BODY), 5.0) == BODY


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "file:///etc/hostname", "ftp://x/y"])
def test_a_redirect_must_not_leave_https(
    server: Server, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    server.answers = [status(302, Location=target)]
    monkeypatch.setattr(alexnet.io.url, "is_secure", lambda url: url == server.url)
    assert re.search("is not an https address|is not allowed", failure(server.url))
    assert len(server.requests) == 1


def test_http_is_not_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alexnet.io.url, "SCHEMES", ("https",))
    assert failure(server.url).endswith("is not an https address")
    assert server.requests == []


def test_nothing_is_read_offline(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    assert "$ALEXNET_OFFLINE is set" in failure(server.url)
    assert server.requests == []


def test_a_longer_content_is_not_read(server: Server) -> None:
    server.answers = [whole()]
    assert failure(server.url, len(BODY) - 1).endswith("it is longer than 49,999 bytes")


def test_a_content_that_breaks_off(server: Server) -> None:
    server.answers = [lies(len(BODY) + 1, BODY)]
    assert failure(server.url).endswith("the connection broke after 50,000 bytes")


def test_an_error_of_the_server(server: Server) -> None:
    server.answers = [status(404)]
    assert failure(server.url) == "the server answers 404 (Not Found)"


def test_a_server_that_is_slow(server: Server) -> None:
    def drip(request: Request) -> None:
        request.head(200)
        for _ in range(20):
            request.wfile.write(b"x")
            time.sleep(0.02)

    server.answers = [drip]
    assert failure(server.url, max_seconds=0.1).endswith("it takes longer than 0.1 seconds")


def test_no_connection(server: Server) -> None:
    url = "http://127.0.0.1:9/x"
    assert re.match("it cannot be downloaded: .*refused", failure(url), re.IGNORECASE)
    assert failure("https://[::1/x").startswith("it cannot be downloaded: ")


def test_addresses_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(map(is_address, ("https://x/y.jpg", "HTTP://x", "s3://b/k", "data:image/png,x")))
    assert not any(map(is_address, ("a.jpg", "C:/a.jpg", "C:\\a.jpg", "a/b://c", "")))
    (tmp_path / "data:x").touch()
    assert not is_address("data:x")


@pytest.mark.slow
def test_a_certificate_is_checked(server: Server, tmp_path: Path) -> None:
    if not (openssl := shutil.which("openssl")):
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "1", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.answers = [whole()]
    handler = type("Handler", (Request,), {"server_state": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as secure:
        secure.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        thread = threading.Thread(target=secure.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"https://127.0.0.1:{secure.server_port}/x"
        unknown = failure(url)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", str(certificate))
            content = read_url(url, len(BODY), 5.0)
        secure.shutdown()
        thread.join()
    assert "CERTIFICATE_VERIFY_FAILED" in unknown
    assert content == BODY
