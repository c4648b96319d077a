"""Downloads from a real server on this machine that drops, stalls, lies and changes its mind."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alexnet.errors import MissingDataError
from alexnet.io import http as fetching
from alexnet.io.downloads import download

BODY = os.urandom(50_000)
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
OTHER = os.urandom(50_000)

Answer = Callable[["Visit"], None]


@dataclass
class Home:
    """A server: what it will answer, one after the other (the last again and again)."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)


class Visit(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    home: Home

    def do_GET(self) -> None:
        self.close_connection = True
        self.home.asked.append({name.lower(): value for name, value in self.headers.items()})
        number = min(len(self.home.asked), len(self.home.answers)) - 1
        self.home.answers[number](self)

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    @property
    def start(self) -> int:
        """Where the bytes that are asked for begin."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def log_message(self, format: str, *args: object) -> None:
        pass


def whole(body: bytes = BODY, **headers: object) -> Answer:
    """The file, from the beginning, whatever was asked for."""

    def answer(visit: Visit) -> None:
        visit.head(200, Content_Length=len(body), **headers)
        visit.wfile.write(body)

    return answer


def rest(body: bytes = BODY, send: int = 10**9, **headers: object) -> Answer:
    """What was asked for, of which `send` bytes come before the connection breaks."""

    def answer(visit: Visit) -> None:
        part, start = body[visit.start :], visit.start
        told = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        visit.head(206 if start else 200, Content_Length=len(part), **told, **headers)
        visit.wfile.write(part[:send])

    return answer


def status(code: int, **headers: object) -> Answer:
    return lambda visit: visit.head(code, Content_Length=0, **headers)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name in ("ALEXNET_OFFLINE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(fetching, "TIMEOUT_SECONDS", 0.5)
    made = Home()
    handler = type("Here", (Visit,), {"home": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}/x.bin"
        yield made
        server.shutdown()
        thread.join()


def get(home: Home, target: Path, size_bytes: int | None = None) -> bytes:
    return download(home.url, target, md5=MD5, size_bytes=size_bytes).read_bytes()


def refused(home: Home, target: Path, size_bytes: int | None = None) -> str:
    with pytest.raises(MissingDataError) as caught:
        get(home, target, size_bytes)
    message = str(caught.value)
    assert "\n" not in message
    assert home.url in message
    assert str(target.parent) in message
    assert not target.exists()
    return message


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "x.bin"


def test_a_connection_that_breaks_is_taken_up_where_it_broke(home: Home, target: Path) -> None:
    home.answers = [rest(send=9000, ETag='"a"'), rest(send=20_000, ETag='"a"'), rest(ETag='"a"')]
    assert get(home, target) == BODY
    assert [asked.get("range") for asked in home.asked] == [None, "bytes=9000-", "bytes=29000-"]
    assert [asked.get("if-range") for asked in home.asked] == [None, '"a"', '"a"']
    assert left(target.parent) == {"x.bin": BODY}


def test_what_has_come_is_kept_for_the_next_call(home: Home, target: Path) -> None:
    home.answers = [rest(send=9000), rest(send=0)]
    message = refused(home, target)
    assert "the connection broke after 9000 bytes" in message
    assert "9,000 bytes are kept, and the next try goes on there" in message
    assert left(target.parent) == {
        ".x.bin.part": BODY[:9000],
        ".x.bin.part.from": f"{home.url}\n\n".encode(),
    }
    home.answers = [rest()]
    home.asked.clear()
    assert get(home, target) == BODY
    assert home.asked[0]["range"] == "bytes=9000-"
    assert left(target.parent) == {"x.bin": BODY}


def test_a_server_that_gives_no_parts_gives_all_again(home: Home, target: Path) -> None:
    home.answers = [rest(send=9000), whole()]
    assert get(home, target) == BODY
    assert home.asked[1]["range"] == "bytes=9000-"


def test_a_server_that_gives_no_parts_and_always_breaks_is_given_up(
    home: Home, target: Path
) -> None:
    def breaks(visit: Visit) -> None:
        visit.head(200, Content_Length=len(BODY))
        visit.wfile.write(BODY[:9000])

    home.answers = [breaks]
    assert "the connection broke after 9000 bytes" in refused(home, target)
    assert len(home.asked) == 2


def test_a_file_that_changed_between_two_tries_is_fetched_anew(home: Home, target: Path) -> None:
    """By its mark: the server answers 200 to an If-Range that is no longer true."""
    home.answers = [rest(OTHER, send=9000, ETag='"old"'), rest(OTHER, send=0)]
    refused(home, target)
    home.answers = [whole(ETag='"new"')]
    home.asked.clear()
    assert get(home, target) == BODY
    assert home.asked[0]["if-range"] == '"old"'


def test_a_change_that_no_mark_tells_is_found_by_the_checksum(home: Home, target: Path) -> None:
    home.answers = [rest(OTHER, send=9000), rest(OTHER, send=0)]
    refused(home, target)
    home.answers = [rest(), whole()]
    home.asked.clear()
    assert get(home, target) == BODY
    assert [asked.get("range") for asked in home.asked] == ["bytes=9000-", None]


@pytest.mark.parametrize(
    ("headers", "mark"),
    [
        ({"ETag": 'W/"weak"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
         "Mon, 01 Jan 2024 00:00:00 GMT"),
        ({"ETag": 'W/"weak"'}, None),
        ({"ETag": '"strong"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, '"strong"'),
    ],
)  # fmt: skip
def test_only_a_mark_that_names_every_byte_is_used(
    home: Home, target: Path, headers: dict[str, str], mark: str | None
) -> None:
    plain = {name.replace("-", "_"): value for name, value in headers.items()}
    home.answers = [rest(send=9000, **plain), rest()]
    assert get(home, target) == BODY
    assert home.asked[1].get("if-range") == mark


def test_a_stall_ends_and_goes_on(home: Home, target: Path) -> None:
    def stalls(visit: Visit) -> None:
        visit.head(200, Content_Length=len(BODY))
        visit.wfile.write(BODY[:9000])
        visit.wfile.flush()
        time.sleep(1.0)

    home.answers = [stalls, rest()]
    assert get(home, target) == BODY
    assert home.asked[1]["range"] == "bytes=9000-"


def test_a_server_that_says_nothing(home: Home, target: Path) -> None:
    home.answers = [lambda visit: time.sleep(1.0)]
    assert "timed out" in refused(home, target)
    assert left(target.parent) == {}


def test_a_trickle_is_given_up(home: Home, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trickles(visit: Visit) -> None:
        visit.head(200, Content_Length=len(BODY))
        for i in range(30):
            visit.wfile.write(BODY[i : i + 1])
            visit.wfile.flush()
            time.sleep(0.02)

    monkeypatch.setattr(fetching, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(fetching, "MOST_TRIES", 2)
    home.answers = [trickles]
    assert re.search(r"only \d+ bytes came in", refused(home, target))


def test_as_many_tries_as_there_are(home: Home, target: Path) -> None:
    """Each brings a byte, and there is an end to it."""
    home.answers = [rest(send=1)]
    assert "20 bytes are kept" in refused(home, target)
    assert len(home.asked) == 20


def lies(announced: int, sent: bytes) -> Answer:
    def answer(visit: Visit) -> None:
        visit.head(200, Content_Length=announced)
        visit.wfile.write(sent)

    return answer


@pytest.mark.parametrize(
    ("answer", "size_bytes", "complaint"),
    [
        (lies(len(BODY) - 1, BODY), None, "its md5 is"),
        (lies(len(BODY) - 1, BODY), len(BODY), "it ended after 49999 of 50000 bytes"),
        (lies(10**12, BODY), None, "it is longer than 4294967296 bytes"),
        (lies(len(BODY) + 1, BODY + b"x"), len(BODY), "it is longer than 50000 bytes"),
        (whole(OTHER), len(BODY), "its md5 is"),
        (whole(b""), None, "its md5 is"),
        (status(404), None, "HTTP Error 404"),
        (status(500), None, "HTTP Error 500"),
        (status(503, Retry_After=1), None, "HTTP Error 503"),
        (status(416), None, "HTTP Error 416"),
        (status(204), None, "it answers 204"),
        (status(302, Location="/x.bin"), None, "infinite loop"),
        (status(302, Location="http://example.invalid/x"), None, "not an https address"),
        (status(302, Location="file:///etc/passwd"), None, "file:///etc/passwd"),
        (lambda visit: visit.wfile.write(b"nonsense\r\n\r\n"), None, "nonsense"),
    ],
)
def test_what_cannot_be_the_file_leaves_nothing(
    home: Home, target: Path, answer: Answer, size_bytes: int | None, complaint: str
) -> None:
    home.answers = [answer]
    assert complaint in refused(home, target, size_bytes)
    assert left(target.parent) == {}


def test_a_length_that_promises_too_much(home: Home, target: Path) -> None:
    """Two tries, and the second brings nothing; what came is kept, and is whole."""
    home.answers = [lies(len(BODY) + 500, BODY), status(416, Content_Range="bytes */50000")]
    assert get(home, target) == BODY


def test_more_than_was_announced_is_cut_off(home: Home, target: Path) -> None:
    home.answers = [lies(len(BODY), BODY + b"more")]
    assert get(home, target) == BODY


def test_in_chunks_without_a_length(home: Home, target: Path) -> None:
    def chunks(visit: Visit) -> None:
        visit.head(200, Transfer_Encoding="chunked")
        for i in range(0, len(BODY), 10_000):
            visit.wfile.write(b"2710\r\n" + BODY[i : i + 10_000] + b"\r\n")
        visit.wfile.write(b"0\r\n\r\n")

    home.answers = [chunks]
    assert get(home, target) == BODY


def test_chunks_that_break_off(home: Home, target: Path) -> None:
    def chunks(visit: Visit) -> None:
        visit.head(200, Transfer_Encoding="chunked")
        visit.wfile.write(b"2710\r\n" + BODY[:10_000] + b"\r\n2710\r\n" + BODY[10_000:10_002])

    home.answers = [chunks, rest()]
    assert get(home, target) == BODY
    assert home.asked[1]["range"] == "bytes=10002-"


def test_no_length_and_an_early_end(home: Home, target: Path) -> None:
    def ends(visit: Visit) -> None:
        visit.head(200)
        visit.wfile.write(BODY[:9000])

    home.answers = [ends, rest()]
    assert get(home, target, len(BODY)) == BODY


@pytest.mark.parametrize("told", ["bytes 0-49999/50000", "", "bytes 9001-49999/50000", "words"])
def test_another_part_than_was_asked_for(home: Home, target: Path, told: str) -> None:
    def answer(visit: Visit) -> None:
        visit.head(206, Content_Length=10, Content_Range=told)
        visit.wfile.write(BODY[:10])

    home.answers = [rest(send=9000), answer]
    assert "not those that were asked for" in refused(home, target)
    assert left(target.parent) == {}


def test_a_part_that_the_server_does_not_have(home: Home, target: Path) -> None:
    """The file is shorter now than what has come of the old one."""
    target.parent.joinpath(".x.bin.part").write_bytes(OTHER * 2)
    target.parent.joinpath(".x.bin.part.from").write_text(f"{home.url}\n\n")
    home.answers = [status(416, Content_Range=f"bytes */{len(BODY)}"), whole()]
    assert get(home, target) == BODY


def test_a_part_that_is_whole_needs_no_server(target: Path) -> None:
    """A kill came between the last byte and the renaming."""
    url = "http://127.0.0.1:9/x.bin"
    target.parent.joinpath(".x.bin.part").write_bytes(BODY)
    target.parent.joinpath(".x.bin.part.from").write_text(f"{url}\n\n")
    assert download(url, target, md5=MD5).read_bytes() == BODY
    assert left(target.parent) == {"x.bin": BODY}


@pytest.mark.parametrize("told", ["http://127.0.0.1:9/other.bin\n\n", "", None, "\udcff"])
def test_a_part_of_something_else_is_not_gone_on_with(
    home: Home, target: Path, told: str | None
) -> None:
    target.parent.joinpath(".x.bin.part").write_bytes(OTHER[:100])
    if told is not None:
        target.parent.joinpath(".x.bin.part.from").write_bytes(
            told.encode("utf-8", "surrogateescape")
        )
    home.answers = [whole()]
    assert get(home, target) == BODY
    assert "range" not in home.asked[0]


def test_redirects_keep_the_range(home: Home, target: Path) -> None:
    home.answers = [rest(send=9000), status(302, Location="/elsewhere"), rest()]
    assert get(home, target) == BODY
    assert home.asked[2]["range"] == "bytes=9000-"


def test_offline_is_said_at_once(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x.bin"
    began = time.monotonic()
    with pytest.raises(MissingDataError, match=r"refused.*fetch http.* and put it into"):
        download(url, target, md5=MD5)
    assert time.monotonic() - began < 5
    assert left(target.parent) == {}


def test_a_full_disk_keeps_what_came(
    home: Home, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    home.answers = [rest()]
    with monkeypatch.context() as patch:
        patch.setattr(fetching.os, "fsync", full)
        assert "No space left on device" in refused(home, target)
    assert get(home, target) == BODY


KILLED = """
import sys
from pathlib import Path
from alexnet.io import http as fetching
from alexnet.io.downloads import download
fetching.CHUNK_BYTES = 1000
download(sys.argv[1], Path(sys.argv[2]), md5=sys.argv[3])
"""


def test_killed_midway_the_next_one_goes_on(home: Home, target: Path) -> None:
    stalled = threading.Event()

    def stalls(visit: Visit) -> None:
        visit.head(200, Content_Length=len(BODY), ETag='"a"')
        visit.wfile.write(BODY[:30_000])
        visit.wfile.flush()
        stalled.wait(20)

    home.answers = [stalls, rest(ETag='"a"')]
    part = target.parent / ".x.bin.part"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", KILLED, home.url, str(target), MD5]
    with subprocess.Popen(words, env=environment) as process:
        while not part.exists() or part.stat().st_size < 20_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    stalled.set()
    kept = part.stat().st_size
    assert 20_000 <= kept < len(BODY)
    assert get(home, target) == BODY
    assert home.asked[1]["range"] == f"bytes={kept}-"
    assert left(target.parent) == {"x.bin": BODY}


def test_two_at_once_do_not_mix(home: Home, target: Path) -> None:
    """The second one fetches a part of its own, and both end with the whole file."""

    def slowly(visit: Visit) -> None:
        visit.head(200, Content_Length=len(BODY))
        for i in range(0, len(BODY), 5000):
            visit.wfile.write(BODY[i : i + 5000])
            visit.wfile.flush()
            time.sleep(0.01)

    home.answers = [slowly]
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(get(home, target))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BODY] * 3
    assert left(target.parent) == {"x.bin": BODY}


def test_the_lock_is_there_while_it_comes(home: Home, target: Path) -> None:
    seen: list[set[str]] = []

    def look(visit: Visit) -> None:
        seen.append({path.name for path in target.parent.iterdir()})
        whole()(visit)

    home.answers = [look]
    assert get(home, target) == BODY
    assert seen == [{".x.bin.lock"}]
