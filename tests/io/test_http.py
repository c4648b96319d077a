"""Downloads from a server on this machine that drops, stalls, lies and changes its file."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.io.downloads import download
from support.file_server import (
    BODY,
    FAST,
    MD5,
    Answer,
    Request,
    Server,
    failure,
    files,
    get,
    lies,
    rest,
    serve,
    status,
    whole,
)

OTHER = os.urandom(len(BODY))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("ALEXNET_OFFLINE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "x.bin"


def test_a_broken_connection_is_resumed_where_it_broke(server: Server, target: Path) -> None:
    server.answers = [rest(send=9000, ETag='"a"'), rest(send=20_000, ETag='"a"'), rest(ETag='"a"')]
    assert get(server.url, target) == BODY
    assert [headers.get("range") for headers in server.requests] == [
        None,
        "bytes=9000-",
        "bytes=29000-",
    ]
    assert [headers.get("if-range") for headers in server.requests] == [None, '"a"', '"a"']
    assert files(target.parent) == {"x.bin": BODY}


def test_what_was_received_is_kept_for_the_next_call(server: Server, target: Path) -> None:
    server.answers = [rest(send=9000), rest(send=0)]
    message = failure(server.url, target)
    assert "the connection broke after 9000 bytes" in message
    assert "9,000 bytes are kept, and the next try resumes there" in message
    assert files(target.parent) == {
        ".x.bin.part": BODY[:9000],
        ".x.bin.part.from": f"{server.url}\n\n".encode(),
    }
    server.answers = [rest()]
    server.requests.clear()
    assert get(server.url, target) == BODY
    assert server.requests[0]["range"] == "bytes=9000-"
    assert files(target.parent) == {"x.bin": BODY}


def test_a_server_without_ranges_sends_all_again(server: Server, target: Path) -> None:
    server.answers = [rest(send=9000), whole()]
    assert get(server.url, target) == BODY
    assert server.requests[1]["range"] == "bytes=9000-"


def test_a_server_without_ranges_that_always_breaks_is_given_up(
    server: Server, target: Path
) -> None:
    server.answers = [lies(len(BODY), BODY[:9000])]
    assert "the connection broke after 9000 bytes" in failure(server.url, target)
    assert len(server.requests) == 2


def test_a_file_that_changed_between_two_tries_is_fetched_anew(
    server: Server, target: Path
) -> None:
    """By its validator: the server answers 200 to an If-Range that is no longer true."""
    server.answers = [rest(OTHER, send=9000, ETag='"old"'), rest(OTHER, send=0)]
    failure(server.url, target)
    server.answers = [whole(ETag='"new"')]
    server.requests.clear()
    assert get(server.url, target) == BODY
    assert server.requests[0]["if-range"] == '"old"'


def test_a_change_without_a_validator_is_found_by_the_checksum(
    server: Server, target: Path
) -> None:
    server.answers = [rest(OTHER, send=9000), rest(OTHER, send=0)]
    failure(server.url, target)
    server.answers = [rest(), whole()]
    server.requests.clear()
    assert get(server.url, target) == BODY
    assert [headers.get("range") for headers in server.requests] == ["bytes=9000-", None]


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": 'W/"weak"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
         "Mon, 01 Jan 2024 00:00:00 GMT"),
        ({"ETag": 'W/"weak"'}, None),
        ({"ETag": '"strong"', "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, '"strong"'),
    ],
)  # fmt: skip
def test_only_a_strong_validator_is_used(
    server: Server, target: Path, headers: dict[str, str], validator: str | None
) -> None:
    plain = {name.replace("-", "_"): value for name, value in headers.items()}
    server.answers = [rest(send=9000, **plain), rest()]
    assert get(server.url, target) == BODY
    assert server.requests[1].get("if-range") == validator


def test_a_stalled_transfer_is_resumed(server: Server, target: Path) -> None:
    def stalls(request: Request) -> None:
        request.head(200, Content_Length=len(BODY))
        request.wfile.write(BODY[:9000])
        request.wfile.flush()
        time.sleep(0.6)

    server.answers = [stalls, rest()]
    assert get(server.url, target) == BODY
    assert server.requests[1]["range"] == "bytes=9000-"


@pytest.mark.slow
def test_a_server_that_does_not_answer(server: Server, target: Path) -> None:
    server.answers = [lambda request: time.sleep(0.6)]
    assert "timed out" in failure(server.url, target)
    assert files(target.parent) == {}


def test_a_slow_transfer_is_given_up(server: Server, target: Path) -> None:
    def trickles(request: Request) -> None:
        request.head(200, Content_Length=len(BODY))
        for i in range(30):
            request.wfile.write(BODY[i : i + 1])
            request.wfile.flush()
            time.sleep(0.02)

    policy = replace(FAST, stall_seconds=0.1, max_tries=2)
    server.answers = [trickles]
    message = failure(server.url, target, policy=policy)
    assert re.search(r"only \d+ bytes were received in", message)


def test_the_number_of_tries_is_limited(server: Server, target: Path) -> None:
    """Each receives one byte."""
    server.answers = [rest(send=1)]
    assert "20 bytes are kept" in failure(server.url, target)
    assert len(server.requests) == 20


@pytest.mark.parametrize(
    ("answer", "size_bytes", "message"),
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
        (status(204), None, "the server answers with status 204"),
        (status(302, Location="/x.bin"), None, "infinite loop"),
        (status(302, Location="http://example.invalid/x"), None, "not an https address"),
        (status(302, Location="file:///etc/passwd"), None, "file:///etc/passwd"),
        (lambda request: request.wfile.write(b"nonsense\r\n\r\n"), None, "nonsense"),
    ],
)
def test_what_cannot_be_the_file_leaves_nothing(
    server: Server, target: Path, answer: Answer, size_bytes: int | None, message: str
) -> None:
    server.answers = [answer]
    assert message in failure(server.url, target, size_bytes)
    assert files(target.parent) == {}


def test_more_is_announced_than_sent(server: Server, target: Path) -> None:
    """The second try receives nothing; what was received is kept, and is whole."""
    server.answers = [lies(len(BODY) + 500, BODY), status(416, Content_Range="bytes */50000")]
    assert get(server.url, target) == BODY


def test_more_is_sent_than_announced(server: Server, target: Path) -> None:
    server.answers = [lies(len(BODY), BODY + b"more")]
    assert get(server.url, target) == BODY


def test_a_chunked_transfer_without_a_length(server: Server, target: Path) -> None:
    def chunks(request: Request) -> None:
        request.head(200, Transfer_Encoding="chunked")
        for i in range(0, len(BODY), 10_000):
            request.wfile.write(b"2710\r\n" + BODY[i : i + 10_000] + b"\r\n")
        request.wfile.write(b"0\r\n\r\n")

    server.answers = [chunks]
    assert get(server.url, target) == BODY


def test_a_broken_chunked_transfer_is_resumed(server: Server, target: Path) -> None:
    def chunks(request: Request) -> None:
        request.head(200, Transfer_Encoding="chunked")
        request.wfile.write(b"2710\r\n" + BODY[:10_000] + b"\r\n2710\r\n" + BODY[10_000:10_002])

    server.answers = [chunks, rest()]
    assert get(server.url, target) == BODY
    assert server.requests[1]["range"] == "bytes=10002-"


def test_an_early_end_without_a_length(server: Server, target: Path) -> None:
    def ends(request: Request) -> None:
        request.head(200)
        request.wfile.write(BODY[:9000])

    server.answers = [ends, rest()]
    assert get(server.url, target, len(BODY)) == BODY


@pytest.mark.parametrize(
    "content_range", ["bytes 0-49999/50000", "", "bytes 9001-49999/50000", "words"]
)
def test_another_range_than_was_asked_for(server: Server, target: Path, content_range: str) -> None:
    def answer(request: Request) -> None:
        request.head(206, Content_Length=10, Content_Range=content_range)
        request.wfile.write(BODY[:10])

    server.answers = [rest(send=9000), answer]
    assert "which were not requested" in failure(server.url, target)
    assert files(target.parent) == {}


def test_a_range_that_the_server_does_not_have(server: Server, target: Path) -> None:
    """The file is shorter now than what was received of the old one."""
    target.parent.joinpath(".x.bin.part").write_bytes(OTHER * 2)
    target.parent.joinpath(".x.bin.part.from").write_text(f"{server.url}\n\n")
    server.answers = [status(416, Content_Range=f"bytes */{len(BODY)}"), whole()]
    assert get(server.url, target) == BODY


@pytest.mark.usefixtures("server")
def test_a_complete_part_needs_no_server(target: Path) -> None:
    """The run was killed between the last byte and the renaming."""
    url = "http://127.0.0.1:9/x.bin"
    target.parent.joinpath(".x.bin.part").write_bytes(BODY)
    target.parent.joinpath(".x.bin.part.from").write_text(f"{url}\n\n")
    assert download(url, target, md5=MD5).read_bytes() == BODY
    assert files(target.parent) == {"x.bin": BODY}


@pytest.mark.parametrize("source_info", ["http://127.0.0.1:9/other.bin\n\n", "", None, "\udcff"])
def test_a_part_of_another_file_is_not_resumed(
    server: Server, target: Path, source_info: str | None
) -> None:
    target.parent.joinpath(".x.bin.part").write_bytes(OTHER[:100])
    if source_info is not None:
        target.parent.joinpath(".x.bin.part.from").write_bytes(
            source_info.encode("utf-8", "surrogateescape")
        )
    server.answers = [whole()]
    assert get(server.url, target) == BODY
    assert "range" not in server.requests[0]


def test_redirects_keep_the_range(server: Server, target: Path) -> None:
    server.answers = [rest(send=9000), status(302, Location="/elsewhere"), rest()]
    assert get(server.url, target) == BODY
    assert server.requests[2]["range"] == "bytes=9000-"


@pytest.mark.usefixtures("server")
def test_without_a_network_it_fails_at_once(target: Path) -> None:
    began = time.monotonic()
    assert "refused" in failure("http://127.0.0.1:9/x.bin", target)
    assert time.monotonic() - began < 5
    assert files(target.parent) == {}


def test_on_a_full_disk_the_part_is_kept(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    server.answers = [rest()]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "No space left on device" in failure(server.url, target)
    assert get(server.url, target) == BODY
