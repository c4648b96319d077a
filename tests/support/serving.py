"""A served LeNet, and requests to its application without a socket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import httpx
import numpy as np
from PIL import Image

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.classifier import Classifier
from alexnet.serve.app import create_app
from alexnet.serve.decode_worker import DecodedUpload, decode_upload
from alexnet.serve.decoders import Decoders
from alexnet.serve.guard import Access
from alexnet.serve.limits import Limits
from alexnet.serve.models import Models, ModelSource
from alexnet.serve.service import Service
from support.narrow_nets import narrow_classifier

Result = TypeVar("Result")
PNG = {"Content-Type": "image/png"}
LIMITS = Limits(max_body_mb=0.1, max_files=6, max_queue=8, max_megapixels=0.01)


class MadeModel(ModelSource):
    """A model with random weights, always the same."""

    def read(self, device: str) -> Classifier:
        return made_classifier(self.place)


class DirectDecoder:
    """Decodes in this process, which must trust the images."""

    num_alive = 1

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to end."""

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        """An image file as pixels, or the problem with it."""
        p = preprocessing
        return decode_upload(content, p.resize, p.resize_size, self.limits.pixels)


def made_classifier(name: str) -> Classifier:
    """A network of the zoo with random weights that was trained on no data."""
    classifier = narrow_classifier(name)
    recipe = replace(classifier.info.recipe, data="")
    return replace(classifier, info=replace(classifier.info, recipe=recipe))


def made_models(*places: str) -> Models:
    """Models with random weights of some networks of the zoo."""
    models = Models([MadeModel(place, place) for place in places], "cpu", exact=True)
    models.load(max_batch=2)
    return models


def image_file(seed: int = 0, side: int = 40, kind: str = "PNG") -> bytes:
    """A file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def expected(classifier: Classifier, file: bytes, **options: Any) -> list[dict[str, Any]]:
    """The classes that the library gives for one image alone, as JSON has them."""
    (prediction,) = classifier.predict(file, **options)
    return [{"label": c.label, "probability": c.probability} for c in prediction.top_classes]


def with_client(
    models: Models,
    ask: Callable[[httpx.AsyncClient, Service], Awaitable[Result]],
    access: Access | None = None,
    limits: Limits = LIMITS,
    decoders: Decoders | None = None,
) -> Result:
    """What `ask` gives, which sends requests to the application."""

    async def run() -> Result:
        service = Service(models, limits, decoders or DirectDecoder(limits))
        transport = httpx.ASGITransport(create_app(service, access))  # type: ignore[arg-type]
        async with (
            service,
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return await ask(client, service)

    return asyncio.run(run())


def post(models: Models, *requests: dict[str, Any], **options: Any) -> Sequence[httpx.Response]:
    """The answers to requests sent at the same time; each has `url` and what httpx takes."""

    async def ask(client: httpx.AsyncClient, service: Service) -> list[httpx.Response]:
        method = [request.pop("method", "POST") for request in requests]
        return await asyncio.gather(
            *(client.request(m, **request) for m, request in zip(method, requests, strict=True))
        )

    return with_client(models, ask, **options)
