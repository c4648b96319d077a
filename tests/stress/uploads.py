"""Hostile uploads to a server: each is answered in a sentence, and so is everybody else.

Mutated image files, falsified forms and bodies that end early, one after the other, while another
client asks with a valid image all the time. Neither the server nor its decoders may end, and its
memory may not grow without bound.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from stress.image_kinds import ImageFile, paint_image_files
from stress.images import EDITS
from stress.mutators import GENERAL, flip_head, png_file, truncate
from stress.tally import Tally, counted
from support.narrow_nets import narrow_classifier
from support.server_process import Server, running_server

ANSWERS = (200, 400, 408, 413, 415, 422, 503)
MAX_RSS_BYTES = 2 << 30
FORM = "multipart/form-data; boundary=x"
Rng = np.random.Generator


def stress(count: int, seed: int, folder: Path) -> Tally:
    """Send `count` hostile uploads to one server."""
    model = folder / "model.safetensors"
    narrow_classifier("lenet5").save(model)
    kinds = paint_image_files(seed)
    outcomes: list[str] = []
    failures: list[str] = []
    with running_server(model, "--max-megapixels", 8, "--receive-seconds", 2) as server:
        with _Bystander(server, kinds[0].content) as bystander:
            for index in range(count):
                rng = np.random.default_rng([seed, index])
                make = HOSTILE[int(rng.integers(len(HOSTILE)))]
                outcome, failure = _try_one(server, make, kinds, rng)
                outcomes.append(outcome)
                failures += [f"{make.__name__}, case {index}: {failure}"] if failure else []
        failures += bystander.failures
        if server.process.poll() is not None or _rss_bytes(server) > MAX_RSS_BYTES:
            failures.append("the server has ended, or takes too much memory")
    return counted("hostile uploads", outcomes, failures)


def mutated(kinds: list[ImageFile], rng: Rng) -> tuple[str, bytes]:
    """A damaged image file."""
    original, other = (kinds[int(i)] for i in rng.integers(len(kinds), size=2))
    edit = EDITS.get(original.format)
    mutators = (*GENERAL, edit, edit) if edit else GENERAL
    mutator = mutators[int(rng.integers(len(mutators)))]
    return "image/png", mutator(original.content, other.content, rng)


def bomb(kinds: list[ImageFile], rng: Rng) -> tuple[str, bytes]:
    """A small PNG of many pixels, up to 30,000 on a side."""
    width, height = (int(side) for side in rng.integers(1000, 30_001, 2))
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    rows = zlib.compress(bytes(min(width * height, 1 << 22)))
    return "image/png", png_file([(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")])


def wrong_type(kinds: list[ImageFile], rng: Rng) -> tuple[str, bytes]:
    """Noise, or text, under any name of a type."""
    types = ("image/png", "application/json", "text/html", FORM, "application/octet-stream", "")
    text = b'{"images": [{"data": "' + rng.bytes(9) if rng.random() < 0.5 else rng.bytes(99)
    return types[int(rng.integers(len(types)))], text


def form_of_many_parts(kinds: list[ImageFile], rng: Rng) -> tuple[str, bytes]:
    """A form of up to ten thousand parts."""
    count = int(10 ** rng.uniform(0, 4))
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n\r\n'
    return FORM, part * count + b"--x--"


def falsified_form(kinds: list[ImageFile], rng: Rng) -> tuple[str, bytes]:
    """A form with an image, damaged anywhere."""
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="../../a"\r\n\r\n'
    form = head + kinds[int(rng.integers(len(kinds)))].content + b"\r\n--x--\r\n"
    damage = flip_head if rng.random() < 0.7 else truncate
    return FORM, damage(form, form, rng)


HOSTILE: tuple[Callable[[list[ImageFile], Rng], tuple[str, bytes]], ...] = (
    *(mutated,) * 6, bomb, wrong_type, form_of_many_parts, falsified_form, falsified_form,
)  # fmt: skip


def _try_one(
    server: Server,
    make: Callable[[list[ImageFile], Rng], tuple[str, bytes]],
    kinds: list[ImageFile],
    rng: Rng,
) -> tuple[str, str]:
    """How an upload ended, and what was wrong with that; "" if nothing was."""
    kind, body = make(kinds, rng)
    if rng.random() < 0.05:
        _leave_early(server, kind, body)
        return "left early", ""
    status, text = ask(server, kind, body)
    problem = json.loads(text)
    is_sentence = status == 200 or ("detail" in problem and "\n" not in problem["detail"])
    failure = "" if status in ANSWERS and is_sentence else f"{status} {text[:200]!r}"
    return str(status), failure


def ask(server: Server, kind: str, body: bytes) -> tuple[int, bytes]:
    """The answer to an upload."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        connection.request("POST", "/v1/predict", body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()


def _leave_early(server: Server, kind: str, body: bytes) -> None:
    """Send half of a body, and close the connection."""
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(f"{head}Content-Length: {len(body) + 9}\r\n\r\n".encode() + body[:4096])


def _rss_bytes(server: Server) -> int:
    """The memory of the server and its decoders."""
    pages = 0
    for process in (server.process.pid, *server.decoders):
        pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096


class _Bystander:
    """Asks with a valid image all the time, and remembers what was not answered."""

    def __init__(self, server: Server, image: bytes) -> None:
        self.server, self.image, self.failures = server, image, list[str]()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> _Bystander:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._end.wait(0.05):
            try:
                status, text = ask(self.server, "image/png", self.image)
            except (OSError, http.client.HTTPException) as error:
                status, text = 0, str(error).encode()
            if status != 200:
                self.failures.append(f"a bystander got {status} {text[:200]!r}")
