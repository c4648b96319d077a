"""A server in a process of its own: through a socket, with decoders that are killed, to its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import alexnet
from alexnet.errors import AlexNetError
from support.narrow_nets import narrow_classifier
from support.server_process import Server, running_server
from support.serving import PNG, image_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LeNet with random weights."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    narrow_classifier("lenet5").save(path)
    return path


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with running_server(model, "--decoders", 2, "--max-megapixels", 1) as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_client_gets_what_the_library_gives(server: Server, model: Path) -> None:
    client = alexnet.Client(server.url)
    pixels = np.random.default_rng(1).integers(0, 256, (50, 60, 3), np.uint8)
    images = [image_file(2), Image.fromarray(pixels), pixels, image_file(3)[:50]]
    found = client.predict(images, top=2)
    local = alexnet.load(model).optimized().predict(images[:3], top=2)
    assert [one.top_classes for one in found] == [*(one.top_classes for one in local), ()]
    assert "cannot be read" in found[3].error
    explained = client.explain(pixels)
    expected = alexnet.load(model).explain(pixels, methods=["grad_cam"])
    assert explained["class_name"] == expected.class_name
    np.testing.assert_allclose(explained["maps"]["grad_cam"], expected.maps["grad_cam"], rtol=1e-4)
    assert [one["name"] for one in client.models()] == ["small"]
    with pytest.raises(AlexNetError, match="answers 422: there is no model 'other'"):
        client.predict(pixels, model="other")
    with pytest.raises(AlexNetError, match="does not answer"):
        alexnet.Client("http://127.0.0.1:1").models()


def test_a_killed_decoder_is_replaced_and_nobody_notices_but_its_image(server: Server) -> None:
    client = alexnet.Client(server.url)
    before = server.decoders
    assert len(before) == 2
    for process in before:
        os.kill(process, signal.SIGKILL)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.predict, image_file(seed)) for seed in range(24)]
    failed = [error for one in asked if (error := one.result()[0].error)]
    assert len(failed) <= 2
    assert all("the process that decoded it has ended" in error for error in failed)
    until(lambda: len(server.decoders) == 2 and not set(server.decoders) & set(before))
    assert not client.predict(image_file())[0].error


def test_a_bomb_is_refused_by_its_head(server: Server) -> None:
    bomb = Image.new("1", (12_000, 12_000))
    (found,) = alexnet.Client(server.url).predict(bomb)
    assert "12000x12000 pixels are more than" in found.error


def answers_until_refused(server: Server, seed: int, is_under_load: threading.Event) -> list[int]:
    """The statuses of all answers until no connection is possible any more.

    Raises:
        OSError: a request got no answer.
    """
    statuses: list[int] = []
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        try:
            connection.connect()
        except OSError:
            return statuses
        with closing(connection):
            while connection.sock:  # closed by an answer that says so
                connection.request("POST", "/v1/predict", image_file(seed), PNG)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
                if len(statuses) == 3:
                    is_under_load.set()


def test_a_reload_and_the_end_lose_no_request(model: Path) -> None:
    with (
        running_server(model, "--decoders", 1) as server,
        ThreadPoolExecutor(8) as pool,
    ):
        is_under_load = threading.Event()
        clients = [
            pool.submit(answers_until_refused, server, seed, is_under_load) for seed in range(8)
        ]
        assert is_under_load.wait(60)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert server.end() == 0
        statuses = [client.result(60) for client in clients]
    assert all(statuses)
    assert {status for one in statuses for status in one} == {200}


def test_after_a_reload_the_new_file_answers_and_a_damaged_one_changes_nothing(
    tmp_path: Path,
) -> None:
    model, image = tmp_path / "small.safetensors", image_file()
    classifier = narrow_classifier("lenet5")
    classifier.save(model)
    with running_server(model, "--decoders", 1) as server:
        client = alexnet.Client(server.url)
        (old,) = client.predict(image)
        with torch.no_grad():
            classifier.network.get_parameter("fc5.bias")[3] += 100
        model.unlink()
        classifier.save(model)
        expected = alexnet.load(model).optimized().predict([image], top=5)[0].top_classes
        assert expected != old.top_classes
        server.process.send_signal(signal.SIGHUP)
        until(lambda: client.predict(image)[0].top_classes == expected)
        model.write_bytes(model.read_bytes()[:-9])
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert client.predict(image)[0].top_classes == expected


def test_a_connection_too_many_is_told_and_closed(model: Path) -> None:
    def ask(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        connection.request("GET", "/healthz")
        return connection.getresponse()

    with (
        running_server(model, "--decoders", 1, "--max-connections", 2) as server,
        ExitStack() as all_,
    ):
        first, second, third = (
            all_.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.port)))
            for _ in range(3)
        )
        assert [ask(one).read() for one in (first, second)] == [b'{"status":"ok"}'] * 2
        refused = ask(third)
        problem = json.loads(refused.read())
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["content-type"] == "application/problem+json"
        assert problem["detail"].startswith("the server has as many connections as it takes")
        first.close()
        until(lambda: ask(third).status == 200)


def test_a_monitor_asks_with_head(server: Server) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        for path in ("/healthz", "/readyz", "/", "/v1/models"):
            answers = []
            for method in ("HEAD", "GET"):
                connection.request(method, path)
                answer = connection.getresponse()
                answers.append((answer.status, answer.headers["content-length"], answer.read()))
            (head, length, nothing), (get, same, content) = answers
            assert (head, get, length, nothing) == (200, 200, same, b"")
            assert len(content) == int(length)


def test_a_head_that_does_not_arrive_closes_its_connection(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        started_at = time.monotonic()
        assert connection.recv(99) == b""
        assert 5 < time.monotonic() - started_at < 30
