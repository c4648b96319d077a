"""Files of a hub, from a server on this machine: which file, which address, the token, refusals."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alexnet.errors import MissingDataError, UsageError
from alexnet.io.cache import cache_entries
from alexnet.io.hub import HubAddress, hub_file, parse_address
from support.file_server import BODY, Server, rest, serve, status, whole


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("ALEXNET_OFFLINE", "HF_TOKEN", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url.rpartition("/")[0])
        yield running


def test_addresses() -> None:
    assert parse_address("hf:a/b.c") == HubAddress(owner="a", name="b.c")
    found = parse_address("hf:a/b@v1.0/x/y.pth")
    assert found == HubAddress(owner="a", name="b", revision="v1.0", file="x/y.pth")
    assert parse_address("hf:a/b/x/y/z.pth") == HubAddress(owner="a", name="b", file="x/y/z.pth")
    assert found.url("x/y z") == "https://huggingface.co/a/b/resolve/v1.0/x/y%20z"
    for text in (
        "hf:a", "hf:a/", "hf:a/b/", "hf:a/b@/x", "hf:../b", "hf:a/..", "hf:a/b/../../x",
        "hf:a/b@../x", "hf:a/b/c//d", "hf:a b/c", "hf:a/b//etc/passwd",
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"not of the form hf:OWNER/NAME"):
            parse_address(text)


def test_the_first_file_that_is_there_is_downloaded_once(server: Server, cache: Path) -> None:
    server.answers = [status(404), whole()]
    seen: list[tuple[int, int]] = []
    path = hub_file("hf:a/b", lambda done, total: seen.append((done, total)))
    assert path == cache / "hub" / "a--b" / "main" / "pytorch_model.bin"
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert len(server.requests) == 2
    assert "authorization" not in server.requests[0]
    assert hub_file("hf:a/b") == path
    assert len(server.requests) == 2


def test_a_download_that_is_found_again_counts_as_used(cache: Path) -> None:
    folder = cache / "hub" / "me--photos"
    file = folder / "main" / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    for path in (file, file.parent, folder):
        os.utime(path, (1000, 1000))
    assert [entry.used_at for entry in cache_entries(cache)] == [1000]
    assert hub_file("hf:me/photos") == file
    assert [entry.used_at > time.time() - 60 for entry in cache_entries(cache)] == [True]


def test_the_token_is_not_sent_where_a_redirect_leads(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    server.answers = [status(302, Location="/elsewhere"), whole()]
    assert hub_file("hf:a/b/x.pth").read_bytes() == BODY
    assert [headers.get("authorization") for headers in server.requests] == ["Bearer secret", None]


@pytest.mark.slow
def test_a_part_is_only_resumed_if_the_server_can_say_that_it_belongs_to_it(
    server: Server,
) -> None:
    for tag, expected in (({"ETag": '"a"'}, "bytes=9000-"), ({}, None)):
        server.answers = [rest(send=9000, **tag), rest(send=0, **tag)]
        with pytest.raises(MissingDataError, match="hf:a/b/x cannot be downloaded"):
            hub_file("hf:a/b/x")
        server.requests.clear()
        server.answers = [rest(**tag)]
        path = hub_file("hf:a/b/x")
        assert path.read_bytes() == BODY
        assert server.requests[0].get("range") == expected
        path.unlink()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (404, r"there is no model.safetensors or pytorch_model.bin at .*: name a file|name a file"),
        (401, r"the server answers 401; check the name, and set \$HF_TOKEN"),
        (403, r"the server answers 403"),
        (500, r"hf:a/b cannot be downloaded: "),
    ],
)
def test_refusals(server: Server, code: int, sentence: str) -> None:
    server.answers = [status(code)]
    with pytest.raises(MissingDataError, match=sentence):
        hub_file("hf:a/b")


def test_offline_and_unsafe_servers_are_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
    with pytest.raises(MissingDataError, match="not an https address"):
        hub_file("hf:a/b")
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    with pytest.raises(MissingDataError, match=r"\$ALEXNET_OFFLINE is set; fetch .*--from FILE"):
        hub_file("hf:a/b")
    assert server.requests == []
