"""The client: what it sends at once, and what it makes of refusals."""

from __future__ import annotations

import http.server
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
import uvicorn
from PIL import ExifTags, Image

import alexnet
from alexnet.errors import AlexNetError
from alexnet.serve import client as client_module
from alexnet.serve.app import create_app
from alexnet.serve.client import _file
from alexnet.serve.decoders import DirectDecoder
from alexnet.serve.service import Service
from support.serving import LIMITS, image_file, made_models


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


def test_pillow_images_are_sent_upright_and_in_any_mode() -> None:
    image, file, exif = Image.new("RGB", (40, 20)), io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(file, "JPEG", exif=exif)
    _, sent = _file(Image.open(io.BytesIO(file.getvalue())))
    assert Image.open(io.BytesIO(sent)).size == (20, 40)
    for mode in ("CMYK", "YCbCr", "L", "RGBA", "P", "I;16"):
        _, sent = _file(Image.new(mode, (4, 4)))
        assert Image.open(io.BytesIO(sent)).size == (4, 4)


def test_what_is_wrong_with_the_question_is_an_error(client: alexnet.Client) -> None:
    with pytest.raises(AlexNetError, match="answers 422: there is no model 'other'"):
        client.predict([GOOD, DAMAGED], model="other")
    with pytest.raises(AlexNetError, match="answers 422: top: "):
        client.predict(GOOD, top=0)


def test_a_request_has_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BYTES_PER_REQUEST", 10)
    files = [("", bytes(size)) for size in (5, 5, 1, 30, 4, *[0] * 20)]
    sizes = [[len(content) for _, content in part] for part in client_module._parts(files)]
    assert sizes == [[5, 5], [1], [30], [4, *[0] * 15], [0] * 5]


@contextmanager
def proxy(status: int) -> Iterator[alexnet.Client]:
    """A client of a proxy whose server is away."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield alexnet.Client(f"http://127.0.0.1:{server.server_port}")
        thread.join()


def test_the_page_of_a_proxy_is_told_by_its_status() -> None:
    with proxy(502) as client, pytest.raises(AlexNetError, match="answers 502: Bad Gateway"):
        client.models()
    with proxy(200) as client, pytest.raises(AlexNetError, match=r"no alexnet serve: .* no JSON"):
        client.models()
