"""The server of a running training's page."""

import re
import signal
import socket
import struct
import threading
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path

import pytest

from alexnet.reports.watch import LivePage, serving
from alexnet.training.run_folder import RunFolder
from support.commands import Alexnet


def ask(address: str, method: str = "GET", **headers: str) -> tuple[int, Message, str]:
    """The status, the headers and the body of an answer."""
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, ""


@pytest.mark.slow
def test_the_page_follows_the_run_and_nothing_else_is_served(own: RunFolder) -> None:
    lines = own.metrics.read_text().splitlines(keepends=True)
    own.metrics.write_text(lines[0])
    own.result.unlink()
    own.model.unlink()
    with serving(own.path) as address:
        status, before, page = ask(address)
        assert status == 200
        assert "after epoch 1" in page
        fc8 = re.search(r"fc8</.*?</tr>", page, re.DOTALL)
        assert fc8, "the network is shown before there is a model"
        assert re.search(r">12<", fc8[0]), "with the classes of the data"
        assert "connect-src &#39;self&#39;" in page
        assert ask(address, "HEAD")[1]["ETag"] == before["ETag"]
        own.metrics.write_text("".join(lines[:2]))
        assert ask(address, "HEAD")[1]["ETag"] != before["ETag"]
        assert "after epoch 2" in ask(address)[2]
        for path in ("config.json", "../config.json", "%2e%2e/", "?x"):
            assert ask(address + path)[0] == 404
        assert ask(address, Host="evil.example")[0] == 404
        assert ask(address, "POST")[0] == 501
    with pytest.raises(OSError, match="refused"):
        ask(address)


def test_head_has_no_length_since_the_page_is_not_made_for_it(
    own: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LivePage, "page", lambda live: ("1", b"a page"))
    with serving(own.path) as address:
        status, headers, _ = ask(address, "HEAD")
        assert (status, headers["Content-Length"]) == (200, None)
        assert ask(address)[1]["Content-Length"] == "6"


def test_a_browser_that_leaves_and_a_page_that_fails_print_nothing(
    own: RunFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    left = threading.Event()

    def page(live: LivePage) -> tuple[str, bytes]:
        assert left.wait(10)
        return "1", bytes(2**24)

    monkeypatch.setattr(LivePage, "page", page)
    with serving(own.path) as address:
        port = urllib.parse.urlsplit(address).port
        with socket.create_connection(("127.0.0.1", port or 0)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reset = struct.pack("ii", 1, 0)  # a close that does not wait
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        left.set()
        monkeypatch.setattr(LivePage, "page", lambda live: 1 // 0)
        assert ask(address)[0] == 500
    for thread in threading.enumerate():  # of the first answer
        if "process_request_thread" in thread.name:
            thread.join(10)
    assert capfd.readouterr().err == ""


def test_the_version_tells_that_a_training_was_killed(
    own: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = LivePage(own.path)
    finished = page.version()
    monkeypatch.setattr(RunFolder, "is_locked", lambda run: True)
    assert page.version() == finished, "a finished run is not trained"
    own.result.unlink()
    running = page.version()
    monkeypatch.setattr(RunFolder, "is_locked", lambda run: False)
    assert page.version() != running


@pytest.mark.slow
def test_the_command_waits_for_a_training_that_has_not_begun(
    own: RunFolder, tmp_path: Path, alexnet_process: Alexnet
) -> None:
    later = tmp_path / "later"
    process = alexnet_process("report", later, "--watch")
    assert process.stderr
    assert process.stdout
    assert process.stderr.readline().startswith(f"waiting for a training into {later}")
    own.path.rename(later)
    assert ask(process.stdout.readline().strip())[0] == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
