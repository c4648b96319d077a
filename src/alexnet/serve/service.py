"""The path from a request's images to its answer: decoding, batching, and computing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, TypeVar

import numpy as np

from alexnet.errors import AlexNetError
from alexnet.inference.predictor import NOT_FINITE, Crops
from alexnet.runtime.device import lasting_problem
from alexnet.serve.batching import Batcher
from alexnet.serve.decode_worker import DecodedUpload
from alexnet.serve.decoders import DecoderPool, Decoders, pixels_of
from alexnet.serve.explaining import explain, nearest_neighbors, shown_images, strongest_channels
from alexnet.serve.limits import Limits
from alexnet.serve.metrics import Metrics
from alexnet.serve.models import Models, ServedModel
from alexnet.serve.problems import UNREADABLE, ProblemError, too_busy
from alexnet.serve.schemas import (
    ChannelsAnswer,
    ClassProbability,
    ExplainAnswer,
    ImagePrediction,
    NeighborsAnswer,
    PredictAnswer,
    ProblemDetails,
)
from alexnet.serve.training_images import TrainingImages
from alexnet.serve.uploads import Upload

LOG = logging.getLogger("alexnet.serve")
Answer = TypeVar("Answer")


class Work(NamedTuple):
    """The key of a batch: images with the same model and crops can be computed together."""

    model: ServedModel
    crops: Crops


class Service:
    """All that a server does except HTTP, as an async context."""

    def __init__(self, models: Models, limits: Limits, decoders: Decoders | None = None) -> None:
        self.models, self.limits, self.metrics = models, limits, Metrics()
        self.decoders = decoders or DecoderPool(limits, self.metrics.restarts.inc)
        self.is_stopping = False
        self.failure = ""
        """Why nothing can be computed until the process is started again; "" if it can."""
        self._num_queued = self._num_explanations = 0
        self._network = ThreadPoolExecutor(1, "network")
        self._background = ThreadPoolExecutor(1, "background")

    async def __aenter__(self) -> Service:
        await self.decoders.start()
        self.batcher = Batcher(
            self._probabilities, self._network, self._max_batch, self.limits.max_wait_ms / 1000,
            self.metrics.batch.observe,
        )  # fmt: skip
        self._task = asyncio.create_task(self.batcher.run())
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._task.cancel()
        await self.decoders.close()
        self._network.shutdown()
        self._background.shutdown()

    @property
    def is_ready(self) -> bool:
        """Whether images can be predicted."""
        is_ending = self.is_stopping or self._task.done() or self.failure
        return bool(self.decoders.num_alive) and not is_ending

    def _max_batch(self, work: Work) -> int:
        return self.limits.max_batch if work.model.is_joined else 1

    async def predict(
        self,
        uploads: Sequence[Upload],
        name: str,
        top: int,
        crops: Crops,
        min_probability: float = 0.0,
    ) -> PredictAnswer:
        """The most probable classes of images.

        Raises:
            ProblemError: there is no such model, there is too much to do, no image can be read, or
                the outputs for none are finite.
        """
        work = Work(self.models.get(name), crops)
        with self._queued(len(uploads)):
            found = await asyncio.gather(
                *(self._predict(one, work, top, min_probability) for one in uploads)
            )
        errors = [one.error for one in found if one.error]
        if len(errors) == len(found):
            raise ProblemError(errors[0].status, errors[0].detail, errors[0].title)
        return PredictAnswer(model=work.model.name, predictions=tuple(found))

    async def _predict(
        self, upload: Upload, work: Work, top: int, min_probability: float
    ) -> ImagePrediction:
        try:
            with self.batcher.coming():
                decoded = await self._decode(upload, work.model)
                result = self.batcher.submit(work, pixels_of(decoded))
            classes = _top_classes(work.model, await result, top)
        except ProblemError as problem:
            self.metrics.images.labels(work.model.name, "error").inc()
            error = ProblemDetails.model_validate(problem.as_dict())
            return ImagePrediction(
                image=upload.name, label=None, is_unsure=False, top_classes=(), error=error
            )
        self.metrics.images.labels(work.model.name, "predicted").inc()
        is_unsure = classes[0].probability < min_probability
        return ImagePrediction(
            image=upload.name,
            label=None if is_unsure else classes[0].label,
            is_unsure=is_unsure,
            top_classes=classes,
            error=None,
        )

    async def explain(
        self, upload: Upload, name: str, class_name: str, layer: str, methods: Sequence[str]
    ) -> ExplainAnswer:
        """The pixels on which the prediction of an image depends.

        Raises:
            ProblemError: there is too much to do, a word is unknown, or the image cannot be read.
        """
        return await self._look(upload, name, explain, class_name, layer, methods)

    async def channels(self, upload: Upload, name: str, layer: str, top: int) -> ChannelsAnswer:
        """The strongest channels of a convolution for an image.

        Raises:
            ProblemError: there is too much to do, no such convolution, or the image cannot be read.
        """
        return await self._look(upload, name, strongest_channels, layer, top)

    async def neighbors(self, upload: Upload, name: str, top: int) -> NeighborsAnswer:
        """The nearest training images to an image.

        Raises:
            ProblemError: there is too much to do, training images are not shown, or the image
                cannot be read.
        """
        self.training_images(name)
        return await self._look(upload, name, nearest_neighbors, top)

    def training_images(self, name: str) -> TrainingImages:
        """The training images of a model.

        Raises:
            ProblemError: they are not shown; or there is no such model.
        """
        return shown_images(self.models.get(name))

    async def _look(
        self, upload: Upload, name: str, compute: Callable[..., Answer], *arguments: object
    ) -> Answer:
        """Decode an image and compute the answer for it; the network computes one at a time."""
        model = self.models.get(name)
        with ExitStack() as stack:
            stack.enter_context(self._queued(1))
            stack.enter_context(self._explaining())
            decoded = await self._decode(upload, model)
            pixels_of(decoded)
            loop = asyncio.get_running_loop()
            # Methods leave hooks in the network while they compute: nobody else may use it then.
            is_shared = model.classifier.network is model.answering.network
            executor = self._network if is_shared else self._background
            return await loop.run_in_executor(
                executor, self._computed, compute, model, decoded, *arguments
            )

    def _probabilities(self, work: Work, pixels: np.ndarray) -> np.ndarray:
        return self._computed(ServedModel.probabilities, work.model, pixels, work.crops)

    def _computed(
        self, compute: Callable[..., Answer], model: ServedModel, *arguments: object
    ) -> Answer:
        """The result of `compute`; a GPU that has failed for good becomes the service's failure."""
        try:
            return compute(model, *arguments)
        except RuntimeError as error:
            device = model.answering.device
            if problem := lasting_problem(device, error):
                self.failure = f"{device} computes nothing more until a new start: {problem}"
            raise

    async def _decode(self, upload: Upload, model: ServedModel) -> DecodedUpload:
        return await self.decoders.decode(upload.content, model.classifier.info.preprocessing)

    async def reload(self) -> bool:
        """Load the models again; until that is done, the old ones answer."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._background, self.models.load, self.limits.max_batch)
        except (AlexNetError, OSError) as error:
            LOG.error("the models stay as they were: %s", error)
            return False
        LOG.info("the models are loaded again")
        return True

    @contextmanager
    def _queued(self, num_images: int) -> Iterator[None]:
        if self.failure:
            raise too_busy("the server is about to end, since its GPU has failed")
        if num_images > (most := self.limits.max_queue):
            raise ProblemError(413, f"{num_images:,} images are more than {most:,}")
        if self._num_queued + num_images > most:
            raise too_busy(f"{self._num_queued:,} images wait to be answered")
        self._num_queued += num_images
        self.metrics.queue.set(self._num_queued)
        try:
            yield
        finally:
            self._num_queued -= num_images
            self.metrics.queue.set(self._num_queued)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        if self._num_explanations >= self.limits.max_explanations:
            raise too_busy(f"{self._num_explanations:,} images wait to be explained")
        self._num_explanations += 1
        try:
            yield
        finally:
            self._num_explanations -= 1


def _top_classes(model: ServedModel, row: np.ndarray, top: int) -> tuple[ClassProbability, ...]:
    if np.isnan(row).any():
        raise ProblemError(422, NOT_FINITE, UNREADABLE)
    best = model.answering.top_classes(row, top)
    return tuple(ClassProbability(label=one.label, probability=one.probability) for one in best)
