"""The client: what it sends at once, and what it makes of refusals."""

from __future__ import annotations

import http.server
import io
import json
import math
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import uvicorn
from PIL import ExifTags, Image

import alexnet
from alexnet.errors import AlexNetError, UsageError
from alexnet.inference.inputs import read_inputs
from alexnet.serve import client as client_module
from alexnet.serve.app import create_app
from alexnet.serve.client import _File, _files
from alexnet.serve.service import Service
from support.serving import LIMITS, DirectDecoder, image_file, made_models


@pytest.fixture(scope="module")
def client() -> Iterator[alexnet.Client]:
    """Of a server that takes 6 images and 100 kB at once."""
    service = Service(made_models("lenet5"), LIMITS, DirectDecoder(LIMITS))
    config = uvicorn.Config(create_app(service), log_config=None, ws="none")
    server = uvicorn.Server(config)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield alexnet.Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.should_exit = True
        thread.join()


GOOD, DAMAGED = image_file(), image_file()[:99]


def test_a_damaged_image_that_is_alone_in_its_request_spoils_no_other(
    client: alexnet.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "IMAGES_PER_REQUEST", 3)
    found = client.predict([GOOD, GOOD, GOOD, DAMAGED])
    assert [one.image for one in found] == [f"image {i}" for i in range(4)]
    assert [bool(one.error) for one in found] == [False, False, False, True]
    assert "the image cannot be read" in found[3].error


def test_too_many_images_for_a_request_are_sent_in_several(client: alexnet.Client) -> None:
    too_large, text = image_file(side=101), b"no image"
    found = client.predict([GOOD, too_large, DAMAGED, DAMAGED, text, bytes(100_001), GOOD])
    assert [one.label is None for one in found] == [False, *[True] * 5, False]
    reasons = {1: "101x101 pixels", 3: "cannot be read", 4: "a text file", 5: "100,000 bytes"}
    for i, reason in reasons.items():
        assert reason in found[i].error


@pytest.mark.parametrize("most", [4, 0])
def test_fewer_images_are_sent_where_many_take_too_long(most: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sizes.append(body.count(b"filename="))
            self.send_response(200 if sizes[-1] <= most else 408)
            self.end_headers()
            one = {"top_classes": [], "is_unsure": False, "error": None}
            self.wfile.write(json.dumps({"predictions": [one] * sizes[-1]}).encode())

        def log_message(self, *arguments: object) -> None:
            pass

    sizes: list[int] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = alexnet.Client(f"http://127.0.0.1:{server.server_port}")
        try:
            if most:
                found = client.predict([GOOD] * 10)
                assert [one.image for one in found] == [f"image {i}" for i in range(10)]
                assert sizes == [10, 5, 2, 2, 1, 5, 2, 2, 1]
            else:
                with pytest.raises(AlexNetError, match="answers 408"):
                    client.predict([GOOD] * 2)  # it is not the image's fault
                assert sizes == [2, 1]
        finally:
            server.shutdown()
            thread.join()


def test_pillow_images_are_sent_upright_and_in_any_mode() -> None:
    image, file, exif = Image.new("RGB", (40, 20)), io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(file, "JPEG", exif=exif)
    (sent,) = _files(read_inputs(Image.open(io.BytesIO(file.getvalue()))))
    assert Image.open(io.BytesIO(sent.content)).size == (20, 40)
    for mode in ("CMYK", "YCbCr", "L", "RGBA", "P", "I;16"):
        (sent,) = _files(read_inputs(Image.new(mode, (4, 4))))
        assert Image.open(io.BytesIO(sent.content)).size == (4, 4)


def test_what_is_wrong_with_the_question_is_an_error(client: alexnet.Client) -> None:
    with pytest.raises(AlexNetError, match="answers 422: there is no model 'other'"):
        client.predict([GOOD, DAMAGED], model="other")
    with pytest.raises(AlexNetError, match="answers 422: top: "):
        client.predict(GOOD, top=0)


def test_a_class_below_a_probability_is_unsure(client: alexnet.Client) -> None:
    (sure,) = client.predict(GOOD)
    assert sure.probability
    (unsure,) = client.predict(GOOD, min_probability=sure.probability + 1e-6)
    assert (unsure.label, unsure.is_unsure) == (None, True)
    assert unsure.top_classes == sure.top_classes
    assert client.predict(GOOD, min_probability=sure.probability) == [sure]
    with pytest.raises(AlexNetError, match="answers 422: min_probability: "):
        client.predict(GOOD, min_probability=2)


def test_an_older_server_does_not_say_what_is_unsure(
    client: alexnet.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*arguments: object, **words: object) -> dict[str, object]:
        answer = client_ask(*arguments, **words)
        for one in answer["predictions"]:
            del one["is_unsure"]
        return answer

    expected = [client.predict([GOOD, DAMAGED], min_probability=p) for p in (0, 1)]
    client_ask = client._ask
    monkeypatch.setattr(client, "_ask", ask)
    assert [client.predict([GOOD, DAMAGED], min_probability=p) for p in (0, 1)] == expected
    assert [one[0].is_unsure for one in expected] == [False, True]


def test_a_request_has_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BYTES_PER_REQUEST", 10)
    files = [_File("", bytes(size)) for size in (5, 5, 1, 30, 4, *[0] * 20)]
    sizes = [[len(file.content) for file in part] for part in client_module._parts(files)]
    assert sizes == [[5, 5], [1], [30], [4, *[0] * 15], [0] * 5]


def test_all_that_predict_takes_is_sent(client: alexnet.Client, tmp_path: Path) -> None:
    for i in range(2):
        (tmp_path / f"{i}.png").write_bytes(image_file(i))
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image_file(i)))) for i in range(2)])
    tensor, here = torch.from_numpy(pixels).movedim(-1, 1), os.fspath(tmp_path)
    with (tmp_path / "0.png").open("rb") as first, (tmp_path / "1.png").open("rb") as second:
        given = [pixels, tensor, [*tensor], tmp_path, f"{here}/*.png", [first, second]]
        given += [[bytearray(image_file(0)), memoryview(image_file(1))], iter(pixels)]
        predictions = [client.predict(images) for images in given]
    classes = [[one.top_classes for one in found] for found in predictions]
    assert len(classes[0]) == 2
    assert all(found == classes[0] for found in classes)
    names = [f"{here}{os.sep}{i}.png" for i in range(2)]
    assert [one.image for one in predictions[3]] == names
    assert [one.image for one in predictions[0]] == ["image 0", "image 1"]


def test_what_cannot_be_read_here_has_an_error(client: alexnet.Client, tmp_path: Path) -> None:
    missing, damaged = tmp_path / "missing.png", Image.open(io.BytesIO(DAMAGED))
    found = client.predict([missing, GOOD, tmp_path, damaged, Image.new("F", (4, 4))])
    reasons = (
        "No such file",
        "",
        "there is no image at",
        "damaged|truncated|broken",
        "colour scale",
    )
    for one, reason in zip(found, reasons, strict=True):
        assert bool(one.error) == bool(reason)
        assert re.search(reason, one.error)
    assert client.predict(missing)[0].error == found[0].error
    assert client.predict([]) == []
    with pytest.raises(AlexNetError, match=r"missing\.png: .*No such file"):
        client.explain(missing)
    with pytest.raises(UsageError, match="explain takes one image, not several"):
        client.explain([GOOD, GOOD])
    for wrong in (3, None, {"a": 1}, np.zeros((4, 4), np.float32)):
        with pytest.raises(UsageError):
            client.predict(wrong)  # type: ignore[arg-type]


@contextmanager
def proxy(*statuses: int, retry_seconds: int = 0) -> Iterator[alexnet.Client]:
    """A client of a proxy whose server is away."""
    left = list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0))
            if retry_seconds:
                self.send_header("Retry-After", str(retry_seconds))
            self.end_headers()
            self.wfile.write(b'{"models": []}' if retry_seconds else b"<html>")

        def log_message(self, *arguments: object) -> None:
            pass

    def answer() -> None:
        for _ in statuses:
            server.handle_request()

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield alexnet.Client(f"http://127.0.0.1:{server.server_port}")
        thread.join()


def test_a_server_that_is_too_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append, monotonic=lambda: float(sum(waits)))
    monkeypatch.setattr(client_module, "time", clock)
    with proxy(503, 503, 200, retry_seconds=3) as client:
        assert client.models() == []
    assert waits == [3, 3]
    with (
        proxy(503, retry_seconds=99) as client,
        pytest.raises(AlexNetError, match="answers 503"),
    ):
        client.models()  # longer than an answer may take
    for seconds in (0, 10**400):
        with (
            proxy(503, retry_seconds=seconds) as client,
            pytest.raises(AlexNetError, match="answers 503"),
        ):
            client.models()
    assert waits == [3, 3]
    waits.clear()
    with (
        proxy(503, 503, 503, retry_seconds=25) as client,
        pytest.raises(AlexNetError, match="answers 503"),
    ):
        client.models()
    assert waits == [25, 25]


def test_the_page_of_a_proxy_is_told_by_its_status() -> None:
    with proxy(502) as client, pytest.raises(AlexNetError, match="answers 502: Bad Gateway"):
        client.models()
    with proxy(200) as client, pytest.raises(AlexNetError, match=r"no alexnet serve: .* no JSON"):
        client.models()


def test_what_cannot_be_an_address_a_token_or_a_time_is_refused() -> None:
    for url in ("http://host:abc", "host:70000", "http://[::1", "ftp://host", "http://", "host:0"):
        with pytest.raises(UsageError, match=f"^{re.escape(repr(url))} is no address of a server"):
            alexnet.Client(url)
    for url in ("http://me:secret@host:80", "me:secret@host:80", "me:secret@host:no"):
        with pytest.raises(UsageError, match=r"'http://host:80'|'host:no'") as error:
            alexnet.Client(url)
        assert "secret" not in f"{error.value}{error.value.__context__}"
    for token in ("a\nb", "a\x7fb", "ä"):
        with pytest.raises(UsageError, match="a server's token has"):
            alexnet.Client(token=token)
    for seconds in (0, -1, math.nan, math.inf):
        with pytest.raises(UsageError, match="timeout_seconds is a number above 0"):
            alexnet.Client(timeout_seconds=seconds)


@contextmanager
def raw_server(
    answer: Callable[[socket.socket], object],
    token: str = "",
    scheme: str = "http",
    timeout_seconds: float = 30.0,
) -> Iterator[alexnet.Client]:
    """A client of a server that does this with its connection, until the client has gone."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            answer(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        yield alexnet.Client(f"{scheme}://127.0.0.1:{port}", token, timeout_seconds=timeout_seconds)
        socket.create_connection(("127.0.0.1", port)).close()  # if the client's time was too short
        thread.join()


@pytest.mark.parametrize("start", ["", "HTTP/1.1 200 OK\r\n\r\n"])
def test_the_time_is_one_of_the_whole_request(start: str) -> None:
    """Whether its head or its body is slow; each byte comes in time."""

    def trickle(connection: socket.socket) -> None:
        connection.sendall(start.encode())
        for _ in range(400):
            time.sleep(0.05)
            connection.sendall(b" ")

    with (
        raw_server(trickle, timeout_seconds=0.2) as client,
        pytest.raises(AlexNetError, match="timed out"),
    ):
        client.models()


def test_sending_has_the_time_of_the_request() -> None:
    has_given_up = threading.Event()

    def read_slowly(connection: socket.socket) -> None:
        while connection.recv(100_000) and not has_given_up.wait(0.05):
            pass

    with raw_server(read_slowly, timeout_seconds=0.2) as client:
        with pytest.raises(AlexNetError, match="timed out"):
            client.predict(bytes(20_000_000))
        has_given_up.set()


def test_a_reset_in_the_handshake_is_told_as_one() -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    message = r"does not answer: .*[Rr]eset"
    with raw_server(reset, scheme="https") as client, pytest.raises(AlexNetError, match=message):
        client.models()


def test_an_answer_before_all_is_sent_is_read() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with raw_server(refuse) as client, pytest.raises(AlexNetError, match="answers 401"):
        client.predict(bytes(20_000_000))


def test_the_token_of_a_file_is_sent_without_the_end_of_its_line() -> None:
    received: list[bytes] = []
    with (
        raw_server(lambda server: received.append(server.recv(10_000)), "a secret\n") as client,
        pytest.raises(AlexNetError, match="does not answer"),
    ):
        client.models()
    assert b"\r\nAuthorization: Bearer a secret\r\n" in received[0]


def test_another_program_that_serves_models_is_told() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"data": []}')
        connection.recv(10_000)

    message = "is no alexnet serve: its answer is no JSON with 'models'"
    with raw_server(answer) as client, pytest.raises(AlexNetError, match=message):
        client.models()


def test_names_that_cannot_be_looked_up_do_not_answer() -> None:
    for host in ("a" * 70, "a..b", "a b"):
        with pytest.raises(AlexNetError, match="does not answer"):
            alexnet.Client(f"http://{host}").models()
