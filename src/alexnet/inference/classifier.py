"""A trained network with its class names and preprocessing: load it, predict images."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, load_model
from alexnet.config.recipe import Precision
from alexnet.data.images.decode import decode
from alexnet.data.images.open import open_image
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.errors import DataError, ModelFileError, UsageError
from alexnet.inference.optimize import optimize_for_inference
from alexnet.models.network import Network, channels_last
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.runtime.device import autocast, choose_device
from alexnet.transforms.crops import center_crop, ten_crop

ImageInput: TypeAlias = "str | Path | Image.Image | np.ndarray"
"""A file, a Pillow image, or uint8 [H, W, 3] (RGB) or [H, W] (grayscale)."""
Crops: TypeAlias = Literal[1, 10]
PREDICT_BATCH = 64
"""Images that `predict` decodes and classifies at a time, which limits its memory."""


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable classes of one image, best first, or why the image could not be read."""

    image: str
    """The file's path, or "image 3" for the image at index 3 that is no file."""
    top_classes: tuple[ClassProbability, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image as uint8 [S, S, 3]; if it cannot be read, no pixels but the reason."""

    name: str
    pixels: np.ndarray | None = None
    error: str = ""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that knows its class names and how its images are preprocessed."""

    network: Network
    info: ModelInfo
    mean_image: Tensor | None = None
    precision: Precision = "auto"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names, in the order of the outputs."""
        return self.info.class_names

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(chain(self.network.parameters(), self.network.buffers())).device

    def optimized(self, *, int8: bool = True) -> Classifier:
        """The same classifier with its network optimized for inference (`optimize_for_inference`).

        Args:
            int8: whether weights and activations may be quantized to 8 bits.
        """
        network = optimize_for_inference(self.network, self.precision, int8=int8)
        return replace(self, network=network)

    def predict(
        self,
        images: Sequence[ImageInput],
        top: int = 5,
        crops: Crops = 1,
        on_progress: ProgressCallback = ignore_progress,
    ) -> list[Prediction]:
        """The `top` most probable classes of every image, in the order of `images`.

        Images are decoded on all cores, one batch ahead of the network. An image that cannot be
        read gets a prediction with its `error` and without classes.

        Args:
            images: files, Pillow images, or arrays uint8 [H, W, 3] or [H, W].
            top: classes per image, at most.
            crops: 1, the center; 10, the center and the corners, each also flipped.
            on_progress: called after each batch with (images done, images in all).

        Raises:
            UsageError: `images` is one path instead of a list.
            DataError: the system failed while reading (out of memory, I/O error).
        """
        if isinstance(images, str | Path):
            raise UsageError(f"give predict a list of images: [{str(images)!r}]")
        predictions: list[Prediction] = []
        with closing(self._decode_batches(images)) as batches:
            for batch in batches:
                predictions += self._predict(batch, top, crops)
                on_progress(len(predictions), len(images))
        return predictions

    def _decode_batches(self, images: Sequence[ImageInput]) -> Generator[list[Decoded]]:
        """All images in batches, decoded by threads, which are one batch ahead."""
        starts = range(0, len(images), PREDICT_BATCH)
        batches = [range(i, min(i + PREDICT_BATCH, len(images))) for i in starts]
        pool, lock = ThreadPoolExecutor(os.cpu_count()), Lock()
        ahead: list[Future[Decoded]] = []
        try:
            for indices in (*batches, range(0)):
                submitted = [pool.submit(self._decode, images[i], i, lock) for i in indices]
                if ahead:
                    yield [future.result() for future in ahead]
                ahead = submitted
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupt does not wait for what is ahead

    def _decode(self, image: ImageInput, index: int, lock: Lock) -> Decoded:
        name = str(image) if isinstance(image, str | Path) else f"image {index}"
        preprocessing = self.info.preprocessing
        try:
            with _open(image, lock) as opened:
                pixels = decode(opened, preprocessing.resize, preprocessing.resize_size)
        except IMAGE_ERRORS as error:
            return Decoded(name, error=rejection_reason(error, name))
        return Decoded(name, pixels)

    def _predict(self, batch: Sequence[Decoded], top: int, crops: Crops) -> list[Prediction]:
        readable = {i: image.pixels for i, image in enumerate(batch) if image.pixels is not None}
        top_classes: dict[int, tuple[ClassProbability, ...]] = {}
        if readable:
            probabilities = self.probabilities(np.stack(list(readable.values())), crops)
            for i, row in zip(readable, probabilities, strict=True):
                top_classes[i] = self._top_classes(row, top)
        return [
            Prediction(image.name, top_classes.get(i, ()), image.error)
            for i, image in enumerate(batch)
        ]

    def _top_classes(self, probabilities: np.ndarray, top: int) -> tuple[ClassProbability, ...]:
        best = np.argsort(-probabilities, kind="stable")[:top]
        return tuple(ClassProbability(self.class_names[i], float(probabilities[i])) for i in best)

    def probabilities(self, pixels: np.ndarray, crops: Crops = 1, batch: int = 128) -> np.ndarray:
        """Class probabilities float32 [N, num_classes] of resized images uint8 [N, S, S, 3].

        With ten crops the softmax outputs are averaged.

        Source: Paper, section 4.1.
        """
        self.network.eval()
        results = [np.zeros((0, len(self.class_names)), np.float32)]
        for start in range(0, len(pixels), batch):
            part = torch.from_numpy(np.array(pixels[start : start + batch])).to(self.device)
            results.append(self._batch_probabilities(part, crops).cpu().numpy())
        return np.concatenate(results)

    @torch.inference_mode()
    def _batch_probabilities(self, pixels: Tensor, crops: Crops) -> Tensor:
        make_crops = ten_crop if crops == 10 else lambda *args: [center_crop(*args)]
        inputs = make_crops(pixels, self.info.preprocessing, self.mean_image)
        with autocast(self.device, self.precision):
            outputs = [self.network(crop).softmax(1) for crop in inputs]
        return torch.stack(outputs).mean(0)


def load(path: str | Path, device: str = "auto") -> Classifier:
    """A classifier from a model file, or from a run folder (its best model).

    Raises:
        ModelFileError: the file is missing, damaged, or not a model of this program.
        UsageError: there is no such device.
    """
    path = Path(path)
    if path.is_dir() and not (path / "model.safetensors").exists():
        raise ModelFileError(
            f"{path} is a folder without a model (model.safetensors); name a model file or a run "
            "folder, before the images"
        )
    path = path / "model.safetensors" if path.is_dir() else path
    weights, info, mean_image = load_model(path)
    target = choose_device(device)
    with torch.device("meta"):
        network = Network(info.architecture)
    network = channels_last(network.to_empty(device=target))
    network.load_state_dict(weights)  # load_model has compared names and shapes
    mean = None if mean_image is None else mean_image.to(target)
    return Classifier(network.eval(), info, mean, info.recipe.precision)


@contextmanager
def _open(image: ImageInput, lock: Lock) -> Iterator[Image.Image]:
    """Any input as a Pillow image.

    A Pillow image is not thread-safe and may be in the list twice: `lock` is held while it is used.
    The caller closes it.
    """
    if isinstance(image, Image.Image):
        with lock:
            yield image
    elif isinstance(image, np.ndarray):
        yield Image.fromarray(_check_array(image))
    else:
        with open_image(Path(image)) as opened:
            yield opened


def _check_array(array: np.ndarray) -> np.ndarray:
    has_image_shape = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not has_image_shape or not array.size:
        raise DataError(
            f"an image array must be uint8 [H, W, 3] or [H, W], "
            f"not {array.dtype} {list(array.shape)}"
        )
    return array
