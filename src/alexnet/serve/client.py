"""A client of `alexnet serve`, which needs no torch."""

from __future__ import annotations

import base64
import http.client
import io
import json
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from numbers import Real
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, urlencode, urlsplit

import numpy as np

from alexnet.data.images.decode import upright_rgb
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.errors import AlexNetError, DataError, UsageError, require
from alexnet.inference.inputs import ImageInput, Input, read_inputs
from alexnet.inference.predictions import ClassProbability, Prediction, Predictions
from alexnet.io.text import short_repr

IMAGES_PER_REQUEST, BYTES_PER_REQUEST = 16, 16_000_000
TOO_SLOW, TOO_LARGE, WRONG_TYPE, TOO_BUSY = 408, 413, 415, 503
MAX_TIMEOUT_SECONDS = 1e6  # poll(2) has 31 bits for milliseconds
UNREADABLE = "Unreadable image"
"""The title of a problem with an image, as in `problems`."""


class _File(NamedTuple):
    """An image file to be sent, or why it cannot be read here."""

    name: str
    content: bytes
    error: str = ""


class _RefusalError(AlexNetError):
    """The server answered with a status other than 200."""

    def __init__(self, url: str, status: int, title: str, detail: str, retry: str) -> None:
        super().__init__(f"{url} answers {status}: {detail}")
        self.detail = detail
        is_busy = status == TOO_BUSY and retry.isdecimal()
        self.retry_seconds = float(retry) if is_busy else 0.0
        self.is_too_much = status in (TOO_SLOW, TOO_LARGE)
        self.is_of_images = status in (TOO_LARGE, WRONG_TYPE) or title == UNREADABLE


class Client:
    """A client of one server: `alexnet.Client("http://127.0.0.1:8000").predict("a.jpg")`.

    Args:
        url: the server's address.
        token: the server's, if it has one; white space around it is ignored.
        timeout_seconds: how long a request may take, from connecting to the end of its answer; a
            server that is too busy is asked again until then. Many images are several requests.

    Raises:
        UsageError: the address, the token or the time cannot be one.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", token: str = "", timeout_seconds: float = 60.0
    ) -> None:
        for name, text in (("url", url), ("token", token)):
            require(isinstance(text, str), f"{name} must be a text", UsageError)
        token = token.strip()
        if not (token.isascii() and token.isprintable()):
            raise UsageError("a server's token has letters, digits and signs of ASCII alone")
        is_number = isinstance(timeout_seconds, Real)
        if not (is_number and 0 < timeout_seconds <= MAX_TIMEOUT_SECONDS):
            limits = f"a number above 0 and at most {MAX_TIMEOUT_SECONDS:,.0f}"
            raise UsageError(f"timeout_seconds is {limits}, not {short_repr(timeout_seconds)}")
        self.url, self.timeout_seconds = _address(url), timeout_seconds
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(
        self,
        images: ImageInput | Iterable[ImageInput],
        top: int = 5,
        crops: Literal[1, 10] = 1,
        *,
        min_probability: float = 0.0,
        model: str = "",
    ) -> Predictions:
        """The `top` most probable classes of every image, as `alexnet.predict` gives them.

        An image that cannot be read, or that is too large for the server, has an `error`.

        Args:
            images: as for `alexnet.predict`; files are read here and sent as they are, other
                images as PNG.
            top: classes per image.
            crops: 10 averages the center and the corners, each also flipped.
            min_probability: probability, 0 to 1, below which the most probable class is unsure.
            model: its name on the server; the server's first one unless given.

        Raises:
            AlexNetError: the server cannot be reached, or refuses; the message is its reason.
            UsageError: `images` are none.
        """
        found = Predictions()
        words = {"top": top, "crops": crops, "min_probability": min_probability, "model": model}
        for part in _parts(_files(read_inputs(images))):
            sent = [file for file in part if not file.error]
            answers = iter(self._predict(sent, **words))
            found += [Prediction(f.name, (), f.error) if f.error else next(answers) for f in part]
        return found

    def _predict(self, part: Sequence[_File], **words: Any) -> list[Prediction]:
        """The predictions for files, in several requests if one would be too large or too slow."""
        if not part:
            return []
        try:
            answers = self._ask("/v1/predict", "predictions", part, **words)["predictions"]
        except _RefusalError as refusal:
            is_alone = len(part) == 1
            if is_alone and refusal.is_of_images:
                return [Prediction(part[0].name, (), refusal.detail)]
            if is_alone or not (refusal.is_of_images or refusal.is_too_much):
                raise
            size = len(part) // 2 if refusal.is_too_much else 1  # else no image can be read
            parts = (part[start : start + size] for start in range(0, len(part), size))
            return [one for few in parts for one in self._predict(few, **words)]
        least = words["min_probability"]
        return [_prediction(f.name, one, least) for f, one in zip(part, answers, strict=True)]

    def explain(
        self,
        image: ImageInput,
        class_name: str = "",
        layer: str = "",
        methods: Sequence[str] = ("grad_cam",),
        *,
        model: str = "",
    ) -> dict[str, Any]:
        """The answer of /v1/explain, with `maps` as a dict of float32 arrays [H, W] by method.

        Raises:
            AlexNetError: as for `predict`, or the image cannot be read.
            UsageError: it is not one image.
        """
        inputs = list(islice(read_inputs(image), 2))
        if len(inputs) != 1:
            raise UsageError(f"explain takes one image, not {'several' if inputs else 'none'}")
        files = list(_files(inputs))
        if files[0].error:
            raise DataError(f"{files[0].name}: {files[0].error}")
        words = {"class_name": class_name, "layer": layer, "methods": methods, "model": model}
        answer = self._ask("/v1/explain", "maps", files, **words)
        return {**answer, "maps": {one["method"]: _array(one) for one in answer["maps"]}}

    def models(self) -> list[dict[str, Any]]:
        """The served models: their names, classes and errors.

        Raises:
            AlexNetError: as for `predict`.
        """
        models: list[dict[str, Any]] = self._ask("/v1/models", "models")["models"]
        return models

    def _ask(
        self, path: str, key: str, files: Sequence[_File] = (), **words: object
    ) -> dict[str, Any]:
        """The answer, which has this key; a server that is too busy is asked again."""
        end = time.monotonic() + self.timeout_seconds
        while True:
            try:
                return self._ask_once(path, key, files, end, **words)
            except _RefusalError as refusal:
                if not refusal.retry_seconds or time.monotonic() + refusal.retry_seconds > end:
                    raise
                time.sleep(refusal.retry_seconds)

    def _ask_once(
        self, path: str, key: str, files: Sequence[_File], end: float, **words: object
    ) -> dict[str, Any]:
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        target = f"{self.url.path.rstrip('/')}{path}?{urlencode(words, doseq=True)}"
        content_type, body = _form(files)
        headers = {**self._headers, "Content-Type": content_type}
        request = ("POST" if files else "GET", target, body, headers)
        try:
            connection = kind[self.url.scheme](self.url.netloc, timeout=_seconds_left(end))
            with closing(connection):
                response, content = _exchange(connection, request, end)
        except (OSError, http.client.HTTPException, ValueError) as error:  # also a name's encoding
            raise AlexNetError(f"{self.url.geturl()} does not answer: {error}") from error
        answer = _json_object(content)
        if response.status != http.client.OK:
            title, detail = answer.get("title", ""), answer.get("detail", response.reason)
            retry = response.headers.get("Retry-After", "")
            raise _RefusalError(self.url.geturl(), response.status, title, detail, retry)
        if key not in answer:
            reason = f"its answer is no JSON with {key!r}"
            raise AlexNetError(f"{self.url.geturl()} is no alexnet serve: {reason}")
        return answer


def _address(url: str) -> SplitResult:
    """Parse a server's address; error messages leave out what may be a password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        is_valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        is_valid = False
    if not is_valid:
        shown = url.rpartition("@")[2]
        raise UsageError(f"{shown!r} is no address of a server, such as http://127.0.0.1:8000")
    if "@" in parts.netloc:
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise UsageError(f"write {shown!r} without a user or password; token= takes a token")
    return parts


class _TimedReader(io.RawIOBase):
    """Reads from a socket until `end`; a socket's own timeout holds for each read."""

    def __init__(self, source: socket.socket, end: float) -> None:
        self._source, self._end = source, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._source.settimeout(_seconds_left(self._end))
        return self._source.recv_into(buffer)


def _seconds_left(end: float) -> float:
    """The seconds until `end` on time.monotonic().

    Raises:
        TimeoutError: none.
    """
    if (seconds := end - time.monotonic()) <= 0:
        raise TimeoutError("timed out")
    return seconds


def _exchange(
    connection: http.client.HTTPConnection,
    request: tuple[str, str, bytes, dict[str, str]],
    end: float,
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request; return the response and its body."""
    connection.connect()
    connection.sock.settimeout(_seconds_left(end))  # holds for all of sendall
    with suppress(ConnectionError):  # it may have said why before
        connection.request(*request)
    response = http.client.HTTPResponse(connection.sock)
    response.fp = io.BufferedReader(_TimedReader(connection.sock, end))
    response.begin()
    return response, response.read()


def _json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in an answer; empty for what is none, such as a proxy's page."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _parts(files: Iterable[_File]) -> Iterator[list[_File]]:
    """Divide files into requests, by their number and size."""
    part: list[_File] = []
    size_bytes = 0
    for file in files:
        size_bytes += len(file.content)
        if part and (len(part) == IMAGES_PER_REQUEST or size_bytes > BYTES_PER_REQUEST):
            yield part
            part, size_bytes = [], len(file.content)
        part.append(file)
    if part:
        yield part


def _files(images: Iterable[Input]) -> Iterator[_File]:
    for index, image in enumerate(images):
        name = image.name or f"image {index}"
        try:
            content = image.content() if image.content else _png(image)
        except IMAGE_ERRORS as error:
            yield _File(name, b"", rejection_reason(error, name))
        else:
            yield _File(name, content)


def _png(image: Input) -> bytes:
    """The image as PNG bytes, with exactly the pixels that `alexnet.predict` would use."""
    file = io.BytesIO()
    with image.open(0) as opened:
        upright_rgb(opened).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _form(files: Sequence[_File]) -> tuple[str, bytes]:
    """The content type and the body of a multipart form with files."""
    boundary = secrets.token_hex(16)
    head = 'Content-Disposition: form-data; name="files"; filename=""\r\n\r\n'
    parts = (f"--{boundary}\r\n{head}".encode() + file.content + b"\r\n" for file in files)
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--".encode()


def _prediction(name: str, answer: dict[str, Any], min_probability: float) -> Prediction:
    classes = tuple(ClassProbability(**one) for one in answer["top_classes"])
    error = answer["error"]["detail"] if answer["error"] else ""
    is_unsure = bool(classes) and classes[0].probability < min_probability
    return Prediction(name, classes, error, answer.get("is_unsure", is_unsure))


def _array(values: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(values["values"]), "<f4")
    return flat.reshape(values["height"], values["width"])
