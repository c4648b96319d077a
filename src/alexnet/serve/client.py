"""A client of `alexnet serve`, which needs no torch."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

import numpy as np
from PIL import Image

from alexnet.errors import AlexNetError, UsageError
from alexnet.inference.predictions import ClassProbability, Prediction, Predictions

if TYPE_CHECKING:
    from torch import Tensor

ImageFile: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Tensor"
"""A path, the bytes of an image file, a Pillow image, or uint8 values [H, W, 3] or [H, W]."""
IMAGES_PER_REQUEST = 16


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

        Args:
            images: one image or many.
            top: classes per image.
            crops: 10 averages the center and the corners, each also flipped.
            model: its name on the server; the server's first one unless given.

        Raises:
            AlexNetError: the server cannot be reached, or refuses; the message is its reason.
        """
        files = [_file(image) for image in _as_list(images)]
        found = Predictions()
        for start in range(0, len(files), IMAGES_PER_REQUEST):
            part = files[start : start + IMAGES_PER_REQUEST]
            answer = self._ask("/v1/predict", part, top=top, crops=crops, model=model)
            names = [name or f"image {i}" for i, (name, _) in enumerate(part, start)]
            found += map(_prediction, names, answer["predictions"])
        return found

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
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AlexNetError(f"{self.url.geturl()} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            detail = answer.get("detail", response.reason)
            raise AlexNetError(f"{self.url.geturl()} answers {response.status}: {detail}")
        return answer


def _as_list(images: ImageFile | Iterable[ImageFile]) -> list[Any]:
    is_one = isinstance(images, str | os.PathLike | bytes | Image.Image) or hasattr(images, "dtype")
    return [images] if is_one else list(images)  # type: ignore[arg-type]


def _file(image: ImageFile) -> tuple[str, bytes]:
    """The name and bytes of an image file; values are sent as PNG, which keeps them."""
    if isinstance(image, bytes):
        return "", image
    if isinstance(image, str | os.PathLike):
        return os.fspath(image), Path(image).read_bytes()
    file = io.BytesIO()
    if not isinstance(image, Image.Image):
        image = Image.fromarray(np.asarray(image))
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
