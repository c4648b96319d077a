"""A client of `alexnet serve`, which needs no torch."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

import numpy as np
from PIL import Image, ImageOps

from alexnet.errors import AlexNetError, UsageError
from alexnet.inference.predictions import ClassProbability, Prediction, Predictions
from alexnet.io.paths import path_text

if TYPE_CHECKING:
    from torch import Tensor

ImageFile: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor"
"""A path, the bytes of an image file, a Pillow image, or uint8 values [H, W, 3] or [H, W]."""
IMAGES_PER_REQUEST, BYTES_PER_REQUEST = 16, 16_000_000
TOO_LARGE, WRONG_TYPE = 413, 415
OTHER_MODES = ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La")
"""Of Pillow's, which PNG does not have."""
UNREADABLE = "Unreadable image"
"""As in `problems`."""


class _RefusalError(AlexNetError):
    """An answer with another status than 200."""

    def __init__(self, url: str, status: int, title: str, detail: str) -> None:
        super().__init__(f"{url} answers {status}: {detail}")
        self.detail = detail
        self.is_too_large = status == TOO_LARGE
        self.is_of_images = self.is_too_large or status == WRONG_TYPE or title == UNREADABLE


class Client:
    """Asks a server: `alexnet.Client("http://127.0.0.1:8000").predict("a.jpg")`.

    Args:
        url: the server's address.
        token: the server's, if it has one.
        timeout_seconds: how long an answer may take.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", token: str = "", timeout_seconds: float = 60.0
    ) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url!r} is no address of a server, such as http://127.0.0.1:8000")
        self.url, self.timeout_seconds = parts, timeout_seconds
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(
        self,
        images: ImageFile | Iterable[ImageFile],
        top: int = 5,
        crops: Literal[1, 10] = 1,
        *,
        model: str = "",
    ) -> Predictions:
        """The `top` most probable classes of every image, as `alexnet.predict` gives them.

        An image that the server cannot read, or that is too large for it, has an `error`.

        Args:
            images: one image or many.
            top: classes per image.
            crops: 10 averages the center and the corners, each also flipped.
            model: its name on the server; the server's first one unless given.

        Raises:
            AlexNetError: the server cannot be reached, or refuses; the message is its reason.
        """
        files = [_file(image) for image in _as_list(images)]
        named = [(name or f"image {i}", content) for i, (name, content) in enumerate(files)]
        found = Predictions()
        for part in _parts(named):
            found += self._predict(part, top=top, crops=crops, model=model)
        return found

    def _predict(self, part: Sequence[tuple[str, bytes]], **words: object) -> list[Prediction]:
        """The predictions of a request's images, in several requests if they are too much."""
        try:
            answers = self._ask("/v1/predict", part, **words)["predictions"]
        except _RefusalError as refusal:
            if not refusal.is_of_images:
                raise
            if len(part) == 1:
                return [Prediction(part[0][0], (), refusal.detail)]
            size = len(part) // 2 if refusal.is_too_large else 1  # else no image can be read
            parts = (part[start : start + size] for start in range(0, len(part), size))
            return [one for few in parts for one in self._predict(few, **words)]
        return [_prediction(name, one) for (name, _), one in zip(part, answers, strict=True)]

    def explain(
        self,
        image: ImageFile,
        class_name: str = "",
        layer: str = "",
        methods: Sequence[str] = ("grad_cam",),
        *,
        model: str = "",
    ) -> dict[str, Any]:
        """The answer of /v1/explain; each of its `maps` is float32 [H, W], by method.

        Raises:
            AlexNetError: as for `predict`.
        """
        words = {"class_name": class_name, "layer": layer, "methods": methods, "model": model}
        answer = self._ask("/v1/explain", [_file(image)], **words)
        return {**answer, "maps": {one["method"]: _array(one) for one in answer["maps"]}}

    def models(self) -> list[dict[str, Any]]:
        """The served models: their names, classes and errors.

        Raises:
            AlexNetError: as for `predict`.
        """
        models: list[dict[str, Any]] = self._ask("/v1/models")["models"]
        return models

    def _ask(self, path: str, files: Sequence[tuple[str, bytes]] = (), **words: object) -> Any:
        kind = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kind[self.url.scheme](self.url.netloc, timeout=self.timeout_seconds)
        target = f"{self.url.path.rstrip('/')}{path}?{urlencode(words, doseq=True)}"
        content_type, body = _form(files)
        headers = {**self._headers, "Content-Type": content_type}
        try:
            connection.request("POST" if files else "GET", target, body, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise AlexNetError(f"{self.url.geturl()} does not answer: {error}") from error
        finally:
            connection.close()
        answer = _json_object(content)
        if response.status != http.client.OK:
            title, detail = answer.get("title", ""), answer.get("detail", response.reason)
            raise _RefusalError(self.url.geturl(), response.status, title, detail)
        if not answer:
            raise AlexNetError(f"{self.url.geturl()} is no alexnet serve: its answer is no JSON")
        return answer


def _json_object(content: bytes) -> dict[str, Any]:
    """The JSON object in an answer; empty for what is none, such as a proxy's page."""
    try:
        value = json.loads(content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _parts(files: Sequence[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """The files of each request."""
    part: list[tuple[str, bytes]] = []
    size_bytes = 0
    for file in files:
        size_bytes += len(file[1])
        if part and (len(part) == IMAGES_PER_REQUEST or size_bytes > BYTES_PER_REQUEST):
            yield part
            part, size_bytes = [], len(file[1])
        part.append(file)
    if part:
        yield part


def _as_list(images: ImageFile | Iterable[ImageFile]) -> list[Any]:
    is_one = isinstance(images, str | os.PathLike | bytes | Image.Image) or hasattr(images, "dtype")
    return [images] if is_one else list(images)  # type: ignore[arg-type]


def _file(image: ImageFile) -> tuple[str, bytes]:
    """The name and bytes of an image file; values are sent as PNG, which keeps them."""
    if isinstance(image, bytes):
        return "", image
    if isinstance(image, str | os.PathLike):
        return os.fspath(image), Path(path_text(image)).read_bytes()
    file = io.BytesIO()
    if not isinstance(image, Image.Image):
        image = Image.fromarray(np.asarray(image))
    image = ImageOps.exif_transpose(image)  # PNG keeps no EXIF
    if image.mode in OTHER_MODES:
        image = image.convert("RGB")
    image.save(file, "PNG", compress_level=1)
    return "", file.getvalue()


def _form(files: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """The type and body of a form with files."""
    boundary = secrets.token_hex(16)
    head = 'Content-Disposition: form-data; name="files"; filename=""\r\n\r\n'
    parts = (f"--{boundary}\r\n{head}".encode() + content + b"\r\n" for _, content in files)
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--".encode()


def _prediction(name: str, answer: dict[str, Any]) -> Prediction:
    classes = tuple(ClassProbability(**one) for one in answer["top_classes"])
    return Prediction(name, classes, answer["error"]["detail"] if answer["error"] else "")


def _array(values: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(values["values"]), "<f4")
    return flat.reshape(values["height"], values["width"])
