"""A trained network with its classes and preprocessing: load, predict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, load_model
from alexnet.config.recipe import Precision
from alexnet.data.images.decode import decode
from alexnet.data.images.open import open_picture, rejection_reason
from alexnet.errors import DataError, ModelFileError, UsageError
from alexnet.inference.optimize import optimize_for_inference
from alexnet.models.network import Network, channels_last
from alexnet.runtime.device import autocast, choose_device
from alexnet.transforms.crops import center_crop, ten_crop

Picture: TypeAlias = "str | Path | Image.Image | np.ndarray"
"""A file, a Pillow picture, or uint8 [H, W, 3] (RGB) or [H, W] (grey)."""
Crops: TypeAlias = Literal[1, 10]


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class and the share of belief in it, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest classes of one picture, best first, or why it could not be read."""

    picture: str
    top_classes: tuple[ClassProbability, ...] = ()
    error: str = ""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that knows its classes and how its pictures are prepared."""

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

    def optimized(self, *, has_int8: bool = True) -> Classifier:
        """The same classifier prepared for inference alone (see `optimize_for_inference`).

        Args:
            has_int8: whether weights and inputs of layers may be rounded to bytes.
        """
        network = optimize_for_inference(self.network, self.precision, has_int8=has_int8)
        return replace(self, network=network)

    def predict(
        self, pictures: Sequence[Picture], top: int = 5, crops: Crops = 1
    ) -> list[Prediction]:
        """The `top` likeliest classes of every picture.

        A picture that cannot be read gets a prediction with its `problem` and no guesses; the
        others go on.
        """
        if isinstance(pictures, str | Path):
            raise UsageError(f"give predict a list of pictures: [{str(pictures)!r}]")
        return [
            prediction
            for batch in _chunks(pictures, 64)
            for prediction in self._predict(batch, top, crops)
        ]

    def _predict(self, pictures: Sequence[Picture], top: int, crops: Crops) -> list[Prediction]:
        decoded = [self._decode(picture, _name(picture, i)) for i, picture in enumerate(pictures)]
        readable = [pixels for pixels in decoded if isinstance(pixels, np.ndarray)]
        rows = iter(self.probabilities(np.stack(readable), crops)) if readable else iter(())
        return [
            self._prediction(_name(picture, i), next(rows), top)
            if isinstance(pixels, np.ndarray)
            else Prediction(_name(picture, i), error=pixels)
            for i, (picture, pixels) in enumerate(zip(pictures, decoded, strict=True))
        ]

    def _prediction(self, name: str, probabilities: np.ndarray, top: int) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        return Prediction(
            name,
            tuple(ClassProbability(self.class_names[i], float(probabilities[i])) for i in best),
        )

    def _decode(self, picture: Picture, name: str) -> np.ndarray | str:
        rule = self.info.preprocessing
        try:
            with _open(picture) as image:
                return decode(image, rule.resize, rule.resize_size)
        except Exception as error:  # Pillow raises many kinds for damaged files
            return rejection_reason(error, name)

    def probabilities(
        self,
        pixels: np.ndarray,
        crops: Crops = 1,
        batch: int = 128,
    ) -> np.ndarray:
        """Class probabilities float32 [N, classes] of stored pictures uint8 [N, S, S, 3].

        With ten views the softmax outputs are averaged.

        Source: Paper, section 4.1.
        """
        self.network.eval()
        results = []
        for start in range(0, len(pixels), batch):
            part = torch.from_numpy(np.array(pixels[start : start + batch])).to(self.device)
            results.append(self._batch_probabilities(part, crops).cpu().numpy())
        return (
            np.concatenate(results) if results else np.zeros((0, len(self.class_names)), np.float32)
        )

    @torch.inference_mode()
    def _batch_probabilities(self, pixels: Tensor, crops: Crops) -> Tensor:
        rule = self.info.preprocessing
        makers = ten_crop if crops == 10 else lambda *args: [center_crop(*args)]
        inputs = makers(pixels, rule, self.mean_image)
        with autocast(self.device, self.precision):
            outputs = [self.network(view).float().softmax(1) for view in inputs]
        return torch.stack(outputs).mean(0)


def load(path: str | Path, device: str = "auto") -> Classifier:
    """A classifier from a model file, or from a run folder (its best model).

    Raises:
        ModelFileError: missing, damaged, or of another program.
        UsageError: the device is not here.
    """
    path = Path(path)
    path = path / "model.safetensors" if path.is_dir() else path
    weights, info, mean_image = load_model(path)
    target = choose_device(device)
    with torch.device("meta"):
        network = Network(info.architecture)
    network = channels_last(network.to_empty(device=target))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelFileError(
            f"{path} does not fit its own table: {str(error).splitlines()[-1].strip()}"
        ) from error
    mean = None if mean_image is None else mean_image.to(target)
    return Classifier(network.eval(), info, mean, info.recipe.precision)


def _open(picture: Picture) -> AbstractContextManager[Image.Image]:
    if isinstance(picture, Image.Image):
        return nullcontext(picture)  # the caller closes it
    if isinstance(picture, np.ndarray):
        is_picture = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
        if picture.dtype != np.uint8 or not is_picture or not picture.size:
            raise DataError(
                f"a picture array must be uint8 [H, W, 3] or [H, W], "
                f"not {picture.dtype} {list(picture.shape)}"
            )
        return Image.fromarray(picture)
    return open_picture(Path(picture))


def _name(picture: Picture, index: int) -> str:
    return str(picture) if isinstance(picture, str | Path) else f"picture {index}"


def _chunks(items: Sequence[Picture], size: int) -> Iterable[Sequence[Picture]]:
    return (items[i : i + size] for i in range(0, len(items), size))
