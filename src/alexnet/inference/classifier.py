"""A trained network with its class names and preprocessing: load it, predict images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo, find_model_file, load_model, save_model
from alexnet.config.recipe import Precision
from alexnet.errors import UsageError
from alexnet.inference.checks import check_batch, check_crops, checked_pixels
from alexnet.inference.classifier_checks import check_outputs, check_parts
from alexnet.inference.decoding import decode_batches, readable
from alexnet.inference.inputs import ImageInput, read_inputs
from alexnet.inference.int8 import Int8Layer, WeightOnlyInt8Linear
from alexnet.inference.optimize import (
    is_optimized,
    optimize_for_inference,
    to_float32,
    unoptimized_weights,
)
from alexnet.inference.predictions import AnsweringNetwork, NumberType
from alexnet.inference.predictor import Crops, Predictor, class_probabilities
from alexnet.io.paths import path_text
from alexnet.keywords import check_keywords
from alexnet.models.network import Network, channels_last, evaluation_mode
from alexnet.ops.tracing import no_autocast
from alexnet.parallel.device import device_of_rank
from alexnet.parallel.world import current_world
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.runtime.device import autocast, choose_device, exact_float32, number_type
from alexnet.transforms.crops import center_crop, ten_crop

if TYPE_CHECKING:
    from alexnet.explain.explanation import Explanation

NUMBER_TYPES: dict[torch.dtype, NumberType] = {
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.float32: "float32",
    torch.float64: "float64",
}


@dataclass(frozen=True, eq=False)
class Classifier(Predictor):
    """A network that knows its class names and how its images are preprocessed.

    Raises:
        UsageError: the network is not one of `create_model`, `info` is not a `ModelInfo`, the
            network has another number of outputs than there are class names, or the preprocessing
            gives another input than the architecture's.
    """

    network: Network
    info: ModelInfo
    mean_image: Tensor | None = None
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        check_parts(self.network, self.info, self.mean_image)

    def __repr__(self) -> str:
        arch, classes = self.info.architecture.name, f"{len(self.class_names):,} classes"
        return f"Classifier({arch!r}, {classes}, device={str(self.device)!r})"

    @property
    def device(self) -> torch.device:
        """The device on which the network computes."""
        return next(chain(self.network.parameters(), self.network.buffers())).device

    @property
    def is_on_cpu(self) -> bool:
        """Whether the network computes on the CPU."""
        return self.device.type == "cpu"

    def optimized(self, *, int8: bool = True) -> Classifier:
        """The same classifier with its network optimized for inference (`optimize_for_inference`).

        Args:
            int8: whether weights and activations may be quantized to 8 bits.

        Raises:
            UsageError: a layer was replaced or has other settings than in the architecture, or a
                hook on its forward pass.
        """
        network = optimize_for_inference(self.network, self.precision, int8=int8)
        return replace(self, network=network)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file, which `alexnet.load` reads.

        Raises:
            UsageError: the file exists, the network is optimized for inference, a layer was
                replaced or has other settings than in the architecture, or a weight is not finite.
        """
        path = Path(path_text(path))
        if path.exists():
            raise UsageError(f"{path} exists already; remove it or choose another file")
        weights = unoptimized_weights(self.network, self.info.architecture, "saved")
        save_model(path, weights, self.info, self.mean_image)

    @check_keywords
    def explain(
        self,
        image: ImageInput,
        class_name: str = "",
        layer: str = "",
        methods: Sequence[str] = (),
    ) -> Explanation:
        """Explain on which input pixels the prediction of one image depends, as arrays.

        In a notebook the result is a figure; `alexnet.explain.sheet(explanation)` draws it
        elsewhere.

        Args:
            image: one image, in any of the forms of `ImageInput`.
            class_name: the class that is explained; the most probable one unless given.
            layer: the layer whose map Grad-CAM uses; the last convolution unless given.
            methods: some of `alexnet.explain.METHODS`; all unless given.

        Raises:
            UsageError: the class, the layer or a method is unknown, `image` is not one image, the
                classifier is optimized or its network was edited, or captum (extra `explain`) is
                not installed.
            DataError: the image cannot be read.
            OSError: the image's file cannot be read.
        """
        from alexnet.explain.explainer import explain_image
        from alexnet.explain.explanation import METHODS

        words = (methods,) if isinstance(methods, str) else methods or METHODS
        return explain_image(self, image, class_name=class_name, layer=layer, methods=words)

    def probabilities(
        self, pixels: np.ndarray | Tensor, crops: Crops = 1, batch: int = 128
    ) -> np.ndarray:
        """Class probabilities float32 [N, num_classes] of resized images uint8 [N, S, S, 3].

        They are softmax(logits / temperature), with the model's temperature. With ten crops the
        crops' probabilities are averaged. An image whose logits are not finite gets NaN.

        Where fp16 overflows, the batch is computed again in float32, with a warning.

        Raises:
            UsageError: `pixels` have another type or shape, `crops` is neither 1 nor 10, or
                `batch` is no whole number of at least 1.

        Source: Paper, section 4.1.
        """
        check_crops(crops)
        return self._in_batches(pixels, batch, partial(_batch_probabilities, crops=crops))

    @property
    def answering_network(self) -> AnsweringNetwork:
        """The kind of network that answers, and the type of numbers in which it computes."""
        layers = list(self.network.modules())
        is_int8 = any(isinstance(layer, Int8Layer) for layer in layers)
        weighted = (torch.nn.Conv2d, torch.nn.Linear, WeightOnlyInt8Linear)
        return AnsweringNetwork(
            is_optimized=is_optimized(self.network),
            number_type="int8" if is_int8 else self._number_type,
            depends_on_batch=any(isinstance(layer, weighted) for layer in layers),
        )

    def logits(self, pixels: np.ndarray | Tensor, batch: int = 128) -> np.ndarray:
        """The network's outputs float32 [N, num_classes] of resized images uint8 [N, S, S, 3].

        They are computed for the center crop, and not divided by the temperature.

        Raises:
            UsageError: `pixels` have another type or shape.
        """
        return self._in_batches(pixels, batch, _batch_logits)

    @check_keywords
    def features(
        self,
        images: ImageInput | Iterable[ImageInput],
        on_progress: ProgressCallback = ignore_progress,
    ) -> np.ndarray:
        """Activations of the last hidden layer, float32 [N, D], for any number of images.

        They are the input of the last layer with weights: 4,096 numbers of AlexNet, after the ReLU
        of fc7, for the center crop.

        Args:
            images: as for `predict`.
            on_progress: as for `predict`.

        Raises:
            UsageError: a value is no image, or no folder or pattern has an image.
            DataError: an image cannot be read.

        Source: Paper, section 6.1 and figure 4.
        """
        inputs = read_inputs(images)
        preprocessing, prefetch = self.info.preprocessing, not self.is_on_cpu
        side = preprocessing.resize_size
        found = [self.layer_inputs(np.zeros((0, side, side, 3), np.uint8))]
        done = 0
        with closing(decode_batches(inputs, preprocessing, prefetch=prefetch)) as batches:
            for batch in batches:
                found.append(self.layer_inputs(np.stack([readable(image) for image in batch])))
                done += len(batch)
                on_progress(done, len(inputs) if isinstance(inputs, Sized) else done)
        return np.concatenate(found)

    def layer_inputs(
        self, pixels: np.ndarray | Tensor, layer: str = "", batch: int = 128
    ) -> np.ndarray:
        """The flattened inputs of a layer, float32 [N, D], of resized images uint8 [N, S, S, 3].

        They are computed for the center crop.

        Args:
            pixels: the images.
            layer: the layer's name; "" for the last layer with weights, whose input is the last
                hidden layer.
            batch: images computed at once.

        Raises:
            UnknownNameError: there is no such layer.
            UsageError: `pixels` have another type or shape.
        """
        arch = self.info.architecture
        layer = layer or arch.output_layer
        compute = partial(_batch_inputs, layer=layer)
        return self._in_batches(pixels, batch, compute, prod(arch.input_shape(layer)))

    def logits_from(self, features: np.ndarray, layer: str = "") -> np.ndarray:
        """The network's outputs float32 [N, num_classes], computed from those of `layer_inputs`."""
        layer = layer or self.info.architecture.output_layer
        shape = self.info.architecture.input_shape(layer)
        inputs = torch.from_numpy(np.array(features)).to(self.device).reshape(-1, *shape)
        with evaluation_mode(self.network):
            return self._computed(partial(_batch_outputs_from, layer=layer), inputs)

    def _in_batches(
        self,
        pixels: np.ndarray | Tensor,
        batch: int,
        compute: Callable[[Classifier, Tensor], np.ndarray],
        length: int | None = None,
    ) -> np.ndarray:
        """The results of `compute` for all images: float32 [N, length], or [N, num_classes]."""
        check_batch(batch)
        pixels = checked_pixels(pixels, self.info.preprocessing.resize_size)
        results = [np.zeros((0, length or len(self.class_names)), np.float32)]
        with evaluation_mode(self.network):
            for start in range(0, len(pixels), batch):
                part = torch.from_numpy(np.array(pixels[start : start + batch])).to(self.device)
                results.append(self._computed(compute, part))
                if length is None:  # a layer may have been replaced
                    check_outputs(results[-1].shape[1], self.info)
        return np.concatenate(results)

    def _computed(
        self, compute: Callable[[Classifier, Tensor], np.ndarray], batch: Tensor
    ) -> np.ndarray:
        """The result of `compute` for a batch; computed again in float32 if fp16 overflows.

        The largest fp16 number is 65,504; bf16 has the range of float32.
        """
        found = compute(self, batch)
        if self._number_type != "fp16" or np.isfinite(found).all():
            return found
        exact = replace(self, network=to_float32(self.network), precision="float32")
        again = compute(exact, batch)
        if np.isfinite(again).sum() > np.isfinite(found).sum():  # else the model is broken
            warnings.warn(  # from one line of code, so that Python shows it once
                "values of this model pass the range of fp16, so such batches are computed again "
                "in float32; --precision float32 computes all in it",
                stacklevel=1,
            )
        return again

    @contextmanager
    def _computing(self) -> Iterator[torch.dtype]:
        """A context in which the network computes; it gives the dtype of the network's inputs."""
        if self._dtype != torch.float32:
            context = no_autocast(self.device.type)
        elif self.precision == "float32":
            context = exact_float32(self.device)
        else:
            context = autocast(self.device, self.precision)
        with context:
            yield self._dtype

    @property
    def _number_type(self) -> NumberType:
        """The type in which layers that are not quantized compute their matrix products."""
        if self._dtype == torch.float32:
            return number_type(self.device, self.precision)
        return NUMBER_TYPES[self._dtype]

    @property
    def _dtype(self) -> torch.dtype:
        """The weights' dtype, which is not float32 after `network.half()`; float32 if optimized.

        An optimized network casts its inputs itself; `autocast` casts those of float32 weights.
        """
        if is_optimized(self.network):
            return torch.float32
        return next((p.dtype for p in self.network.parameters()), torch.float32)


@torch.inference_mode()
def _batch_probabilities(classifier: Classifier, pixels: Tensor, crops: Crops) -> np.ndarray:
    make_crops = ten_crop if crops == 10 else lambda *args: [center_crop(*args)]
    inputs = make_crops(pixels, classifier.info.preprocessing, classifier.mean_image)
    with classifier._computing() as dtype:
        logits = torch.stack([classifier.network(crop.to(dtype)) for crop in inputs])
    return class_probabilities(_numpy(logits), classifier.info.temperature)


@torch.inference_mode()
def _batch_logits(classifier: Classifier, pixels: Tensor) -> np.ndarray:
    crops = center_crop(pixels, classifier.info.preprocessing, classifier.mean_image)
    with classifier._computing() as dtype:
        return _numpy(classifier.network(crops.to(dtype)))


@torch.inference_mode()
def _batch_inputs(classifier: Classifier, pixels: Tensor, layer: str) -> np.ndarray:
    crops = center_crop(pixels, classifier.info.preprocessing, classifier.mean_image)
    with classifier._computing() as dtype:
        inputs = classifier.network.input_of(layer, crops.to(dtype))
    return _numpy(inputs.flatten(1))


@torch.inference_mode()
def _batch_outputs_from(classifier: Classifier, inputs: Tensor, layer: str) -> np.ndarray:
    with classifier._computing() as dtype:
        return _numpy(classifier.network.output_from(layer, inputs.to(dtype)))


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()


def load(path: str | Path, device: str = "auto") -> Classifier:
    """Load a classifier from a model file, or from a run folder (its best model).

    Raises:
        ModelFileError: there is no model, or it is damaged or not one of this program.
        UsageError: there is no such device.
    """
    weights, info, mean_image = load_model(find_model_file(path))
    return build_classifier(weights, info, mean_image, device)


def build_classifier(
    weights: Mapping[str, Tensor],
    info: ModelInfo,
    mean_image: Tensor | None,
    device: str = "auto",
    *,
    copy: bool = True,
) -> Classifier:
    """Build a classifier from weights that match its architecture.

    Args:
        weights: the network's state dict.
        info: class names, preprocessing and so on.
        mean_image: the image that preprocessing subtracts; None if there is none.
        device: the device on which it computes.
        copy: whether the weights are copied even on the CPU; otherwise the given tensors must not
            change while the classifier is used.

    Raises:
        UsageError: there is no such device.
    """
    target = device_of_rank(choose_device(device), current_world())
    with torch.device("meta"):
        network = Network(info.architecture)
    moved = {name: tensor.to(target, copy=copy) for name, tensor in weights.items()}
    network.load_state_dict(moved, assign=True)  # to_empty would import sympy, in .5 s
    network = channels_last(network)
    mean = None if mean_image is None else mean_image.to(target)
    return Classifier(network.eval(), info, mean, info.recipe.precision)
