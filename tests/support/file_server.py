"""An HTTP server on this machine that answers as a test says: ranges, broken connections, lies."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alexnet.errors import MissingDataError
from alexnet.io.downloads import download
from alexnet.io.http import RetryPolicy

BODY = os.urandom(50_000)
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
FAST = RetryPolicy(timeout_seconds=0.3, pause_seconds=0.0)
"""Gives up early, as tests need it."""

Answer = Callable[["Request"], None]


@dataclass
class Server:
    """The answers it will give, one after the other (the last one again and again)."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request."""


class Request(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server_state: Server

    def do_GET(self) -> None:
        self.close_connection = True
        state = self.server_state
        state.requests.append({name.lower(): value for name, value in self.headers.items()})
        number = min(len(state.requests), len(state.answers)) - 1
        with suppress(ConnectionError):  # the client has had enough
            state.answers[number](self)

    def head(self, status: int, **headers: object) -> None:
        """Send the status and headers, whose names have _ for -."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    @property
    def start(self) -> int:
        """The first byte that is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def log_message(self, format: str, *args: object) -> None:
        pass


def whole(body: bytes = BODY, **headers: object) -> Answer:
    """The whole file, whatever was asked for."""
    return lies(len(body), body, **headers)


def lies(announced: int, sent: bytes, **headers: object) -> Answer:
    """Some bytes, of which another number may be announced."""

    def answer(request: Request) -> None:
        request.head(200, Content_Length=announced, **headers)
        request.wfile.write(sent)

    return answer


def rest(body: bytes = BODY, send: int = 10**9, **headers: object) -> Answer:
    """What was asked for, of which `send` bytes are sent before the connection breaks."""

    def answer(request: Request) -> None:
        part, start = body[request.start :], request.start
        end = len(body) - 1
        range_ = {"Content_Range": f"bytes {start}-{end}/{len(body)}"} if start else {}
        request.head(206 if start else 200, Content_Length=len(part), **range_, **headers)
        request.wfile.write(part[:send])

    return answer


def status(code: int, **headers: object) -> Answer:
    """A status without content."""
    return lambda request: request.head(code, Content_Length=0, **headers)


@contextmanager
def serve() -> Iterator[Server]:
    """A running server; `url` is the address of its file."""
    state = Server()
    handler = type("Handler", (Request,), {"server_state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/x.bin"
        yield state
        server.shutdown()
        thread.join()


def get(url: str, target: Path, size_bytes: int | None = None, policy: RetryPolicy = FAST) -> bytes:
    """The downloaded file."""
    return download(url, target, md5=MD5, size_bytes=size_bytes, policy=policy).read_bytes()


def failure(
    url: str, target: Path, size_bytes: int | None = None, policy: RetryPolicy = FAST
) -> str:
    """The message of a download that fails: one line with the address and the folder."""
    with pytest.raises(MissingDataError) as caught:
        get(url, target, size_bytes, policy)
    message = str(caught.value)
    assert "\n" not in message
    assert url in message
    assert f"{target.name} is not here" in message
    assert str(target.parent) in message
    assert not target.exists()
    return message


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the lock of a failed download, which stays."""
    paths = sorted(folder.iterdir()) if folder.exists() else []
    return {path.name: path.read_bytes() for path in paths if path.suffix != ".lock"}
