"""Explain the prediction of one image by every method."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from alexnet.data.images.decode import decode, upright_rgb, upright_size
from alexnet.errors import DataError, UnknownNameError, UsageError, require
from alexnet.explain import attribution
from alexnet.explain.channels import strong_channels
from alexnet.explain.explanation import METHODS, Explanation, NeighborImage
from alexnet.explain.feature_layers import map_layer
from alexnet.explain.placement import crop_window
from alexnet.features.neighbors import NearestImages
from alexnet.inference.classifier import Classifier
from alexnet.inference.inputs import ImageInput, Input, read_inputs
from alexnet.inference.optimize import unoptimized_weights
from alexnet.inference.predictions import ClassProbability
from alexnet.inference.predictor import NOT_FINITE
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.transforms.crops import center_crop, denormalize, normalize, to_uint8_images

MAX_ORIGINAL_SIDE = 640
"""Width and height in pixels to which an image is reduced."""
NUM_TOP_CLASSES = 5
NUM_NEIGHBORS = 5
MIDDLE_GRAY = 127.5
SHOWN_CLASSES = 5
"""Class names that a message lists."""


def explain_image(
    classifier: Classifier,
    image: ImageInput,
    *,
    class_name: str = "",
    layer: str = "",
    methods: Sequence[str] = METHODS,
    nearest: NearestImages | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Explanation:
    """Explain on which input pixels the prediction of an image depends.

    The maps are computed in float32; the class probabilities are those of `Classifier.predict`.

    Args:
        classifier: from `alexnet.load`, not optimized.
        image: one image, in any of the forms of `ImageInput`.
        class_name: the class that is explained; the most probable one unless given.
        layer: the layer whose map Grad-CAM uses; the last convolution unless given.
        methods: some of METHODS.
        nearest: finds the nearest images, which are left out without it; from
            `alexnet.features.nearest_images(classifier)`.
        on_progress: called with (methods done, methods in all).

    Raises:
        UsageError: `image` is not one image; the class, the layer or a method is unknown; the
            network is optimized or was edited; or captum is not installed.
        DataError: the image cannot be read, or the network's outputs for it are not finite.
        OSError: the image's file cannot be read.
    """
    check_explainable(classifier, class_name, layer, methods)
    inputs = list(read_inputs(image))
    if len(inputs) != 1:
        raise UsageError(f"explain takes one image, not {len(inputs):,}; call it for each of them")
    return explain_input(
        classifier,
        inputs[0],
        class_name=class_name,
        layer=layer,
        methods=methods,
        nearest=nearest,
        on_progress=on_progress,
    )


def check_explainable(
    classifier: Classifier, class_name: str, layer: str, methods: Sequence[str]
) -> None:
    """Check all arguments of `explain_image` but the image.

    Raises:
        UsageError: the class, the layer or a method is unknown; the network is optimized or was
            edited; or captum is not installed.
    """
    attribution.require_captum()
    require(isinstance(methods, Iterable), f"methods must be texts, not {methods!r}", UsageError)
    for method in methods:
        if method not in METHODS:
            raise UnknownNameError("method", method, METHODS)
    if class_name not in ("", None):
        class_index(classifier.class_names, class_name)
    map_layer(classifier.info.architecture, layer)
    unoptimized_weights(classifier.network, classifier.info.architecture, "explained")


def class_index(class_names: Sequence[str], name: str) -> int:
    """The index of a class.

    Raises:
        UsageError: no class has that name; the message has the nearest ones.
    """
    if not isinstance(name, str):
        raise UsageError(f"class_name is a name, not {name!r}; classifier.class_names has them all")
    if name in class_names:
        return class_names.index(name)
    close = difflib.get_close_matches(name, class_names, n=3, cutoff=0.5)
    first = ", ".join(class_names[:SHOWN_CLASSES])
    more = " .." if len(class_names) > SHOWN_CLASSES else ""
    raise UsageError(
        f"the model has no class {name!r}; "
        + (f"did you mean {' or '.join(close)}?" if close else f"its classes are {first}{more}")
    )


def explain_input(
    classifier: Classifier,
    image: Input,
    *,
    class_name: str = "",
    layer: str = "",
    methods: Sequence[str] = METHODS,
    nearest: NearestImages | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Explanation:
    """`explain_image` for an image that is not read yet, with arguments that were checked."""
    preprocessing = classifier.info.preprocessing
    with image.open(preprocessing.resize_size) as opened:
        rgb = upright_rgb(opened)
        stored = decode(opened, preprocessing.resize, preprocessing.resize_size)
        size, original = upright_size(opened), _reduced(rgb)
    probabilities = classifier.probabilities(stored[None])[0]
    if np.isnan(probabilities).any():
        raise DataError(NOT_FINITE)
    names = classifier.class_names
    target = class_index(names, class_name) if class_name else int(np.argmax(probabilities))
    x = _network_input(classifier, stored)
    shown_layer = map_layer(classifier.info.architecture, layer)
    maps, gap = _maps(classifier, x, target, shown_layer, methods, on_progress)
    return Explanation(
        image=image.name or "image",
        class_name=names[target],
        probability=float(probabilities[target]),
        top_classes=_top_classes(names, probabilities),
        pixels=to_uint8_images(denormalize(x, preprocessing, classifier.mean_image))[0],
        original=original,
        size=size,
        window=crop_window(*size, preprocessing),
        layer=shown_layer,
        maps=maps,
        left_out=_left_out(maps, methods),
        channels=strong_channels(classifier.network, x),
        occlusion_window=attribution.occlusion_window(x.shape[-1]),
        integration_gap=gap,
        neighbors=_neighbors(nearest, stored),
    )


def _neighbors(nearest: NearestImages | None, stored: np.ndarray) -> tuple[NeighborImage, ...]:
    """The nearest images to a resized image uint8 [S, S, 3], without those with the same pixels."""
    if nearest is None:
        return ()
    (found,) = nearest.find(stored, NUM_NEIGHBORS, exclude_same=True)
    return tuple(
        NeighborImage(neighbor=one, pixels=nearest.searched.store.image(one.index))
        for one in found.neighbors
    )


def _maps(
    classifier: Classifier,
    x: Tensor,
    target: int,
    layer: str,
    methods: Sequence[str],
    on_progress: ProgressCallback,
) -> tuple[dict[str, np.ndarray], float]:
    """The maps by method (no Grad-CAM if `layer` is ""), and the gap of integrated gradients."""
    maps: dict[str, np.ndarray] = {}
    gap = math.nan
    for done, method in enumerate(methods):
        on_progress(done, len(methods))
        if method == "integrated_gradients":
            gray = gray_input(classifier)
            maps[method], gap = attribution.integrated_gradients(
                classifier.network, x, target, gray
            )
        elif method != "grad_cam" or layer:
            maps[method] = attribution_map(classifier, x, target, layer, method)
    on_progress(len(methods), len(methods))
    return maps, gap


def attribution_map(
    classifier: Classifier, x: Tensor, target: int, layer: str, method: str
) -> np.ndarray:
    """Compute one map float32 [H, W] of a preprocessed image [1, C, H, W].

    Args:
        classifier: the classifier that is explained.
        x: the image.
        target: index of the class.
        layer: the layer for Grad-CAM, from `map_layer`.
        method: one of METHODS.
    """
    network = classifier.network
    match method:
        case "grad_cam":
            return attribution.grad_cam(network, x, target, layer)
        case "guided_backprop":
            return attribution.guided_backprop(network, x, target)
    gray, temperature = gray_input(classifier), classifier.info.temperature
    if method == "occlusion":
        return attribution.occlusion(network, x, target, gray, temperature=temperature)
    return attribution.integrated_gradients(network, x, target, gray)[0]


def _left_out(maps: dict[str, np.ndarray], methods: Sequence[str]) -> dict[str, str]:
    reasons = {method: "not asked for" for method in METHODS if method not in methods}
    if "grad_cam" in methods and "grad_cam" not in maps:
        reasons["grad_cam"] = "the network has no convolution"
    return reasons


def _network_input(classifier: Classifier, stored: np.ndarray) -> Tensor:
    """A resized image uint8 [S, S, 3] as the network gets it, float32 [1, C, H, W]."""
    pixels = torch.from_numpy(np.array(stored[None])).to(classifier.device)
    return center_crop(pixels, classifier.info.preprocessing, classifier.mean_image)


def gray_input(classifier: Classifier) -> Tensor:
    """The baseline input that stands for no image, [1, C, H, W].

    It is the mean color that preprocessing subtracts, or middle gray if it subtracts nothing.
    """
    preprocessing = classifier.info.preprocessing
    shape = (1, *classifier.info.architecture.input)
    has_mean = preprocessing.has_mean_image or any(preprocessing.mean)
    if has_mean:
        return torch.zeros(shape, device=classifier.device)
    gray = torch.full(shape, MIDDLE_GRAY, device=classifier.device)
    return normalize(gray, preprocessing, classifier.mean_image)


def _reduced(rgb: Image.Image) -> np.ndarray:
    """The image, at most MAX_ORIGINAL_SIDE pixels wide and high: uint8 [h, w, 3]."""
    scale = min(1, MAX_ORIGINAL_SIDE / max(rgb.size))
    width, height = (max(1, round(side * scale)) for side in rgb.size)
    return np.asarray(rgb.resize((width, height), Image.Resampling.LANCZOS))


def _top_classes(
    class_names: Sequence[str], probabilities: np.ndarray
) -> tuple[ClassProbability, ...]:
    best = np.argsort(-probabilities, kind="stable")[:NUM_TOP_CLASSES]
    return tuple(ClassProbability(class_names[i], float(probabilities[i])) for i in best)
