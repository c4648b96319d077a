"""What a prediction depends on, and the layers of a network, as answers of the API."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from alexnet.errors import AlexNetError
from alexnet.explain.channels import channel_maps
from alexnet.explain.feature_layers import activation_of, conv_names, map_window, num_channels
from alexnet.explain.placement import crop_window
from alexnet.models.summary import summarize_network
from alexnet.serve.decode_worker import DecodedUpload
from alexnet.serve.decoders import pixels_of
from alexnet.serve.models import ServedModel
from alexnet.serve.problems import ProblemError
from alexnet.serve.schemas import (
    ChannelMap,
    ChannelsAnswer,
    ClassProbability,
    ExplainAnswer,
    LayerRow,
    LayersAnswer,
    Map,
    NeighborsAnswer,
    TrainingNeighbor,
    Window,
)
from alexnet.serve.training_images import TrainingImages
from alexnet.transforms.crops import center_crop


def explain(
    model: ServedModel, decoded: DecodedUpload, class_name: str, layer: str, methods: Sequence[str]
) -> ExplainAnswer:
    """Explain the prediction of an image by the pixels on which it depends.

    Raises:
        ProblemError: a word is unknown, or captum is not installed.
    """
    try:
        found = model.classifier.explain(
            pixels_of(decoded), class_name=class_name, layer=layer, methods=methods
        )
    except AlexNetError as error:
        raise ProblemError(422, str(error)) from error
    return ExplainAnswer(
        model=model.name,
        class_name=found.class_name,
        probability=found.probability,
        top_classes=tuple(
            ClassProbability(label=one.label, probability=one.probability)
            for one in found.top_classes
        ),
        layer=found.layer,
        width=decoded.width,
        height=decoded.height,
        window=_input_window(model, decoded),
        maps=tuple(_map(method, values) for method, values in found.maps.items()),
    )


def strongest_channels(
    model: ServedModel, decoded: DecodedUpload, layer: str, top: int
) -> ChannelsAnswer:
    """The channels of a convolution with the highest outputs for an image.

    Raises:
        ProblemError: there is no such convolution.
    """
    classifier = model.classifier
    arch = classifier.info.architecture
    check_convolution(model, layer)
    pixels = torch.from_numpy(np.array(pixels_of(decoded)[None])).to(classifier.device)
    x = center_crop(pixels, classifier.info.preprocessing, classifier.mean_image)
    indices, maps = channel_maps(classifier.network, x, layer, top)
    window = _input_window(model, decoded)
    return ChannelsAnswer(
        model=model.name,
        layer=layer,
        num_channels=num_channels(arch, layer),
        width=decoded.width,
        height=decoded.height,
        window=window,
        map_window=_inside(window, map_window(arch, activation_of(arch, layer))),
        channels=tuple(
            ChannelMap(channel=index, **_numbers(values))
            for index, values in zip(indices, maps, strict=True)
        ),
    )


def check_convolution(model: ServedModel, layer: str) -> None:
    """Check that a model has a convolution of this name.

    Raises:
        ProblemError: it has not.
    """
    names = conv_names(model.classifier.info.architecture)
    if layer not in names:
        known = ", ".join(names) or "none"
        raise ProblemError(422, f"there is no convolution {layer!r}; there are {known}")


def nearest_neighbors(model: ServedModel, decoded: DecodedUpload, top: int) -> NeighborsAnswer:
    """The nearest training images to an image.

    Raises:
        ProblemError: they are not shown.
    """
    keys = TrainingNeighbor.model_fields.keys()
    found = shown_images(model).neighbors(pixels_of(decoded), top)
    return NeighborsAnswer(
        model=model.name,
        neighbors=tuple(
            TrainingNeighbor(**{key: getattr(one, key) for key in keys}) for one in found
        ),
    )


def shown_images(model: ServedModel) -> TrainingImages:
    """The training images of a model.

    Raises:
        ProblemError: they are not shown.
    """
    if model.images is None:
        reason = model.card.hidden_images
        raise ProblemError(403, f"images of the training data are not shown: {reason}")
    return model.images


def layer_rows(model: ServedModel) -> LayersAnswer:
    """The table of a model's network."""
    summary = summarize_network(model.classifier.info.architecture)
    keys = LayerRow.model_fields.keys()
    rows = [{key: getattr(layer, key) for key in keys} for layer in summary.layers]
    return LayersAnswer(
        model=model.name, input=summary.input, layers=tuple(LayerRow(**row) for row in rows)
    )


def _input_window(model: ServedModel, decoded: DecodedUpload) -> Window:
    """The part of the image that the network gets, as fractions of its width and height."""
    window = crop_window(decoded.width, decoded.height, model.classifier.info.preprocessing)
    return Window(**window._asdict())


def _inside(outer: Window, part: tuple[float, float, float, float]) -> Window:
    """A part of a window, given as fractions of that window, as fractions of the image."""
    left, top, right, bottom = part
    width, height = outer.right - outer.left, outer.bottom - outer.top
    return Window(
        left=outer.left + left * width,
        top=outer.top + top * height,
        right=outer.left + right * width,
        bottom=outer.top + bottom * height,
    )


def _map(method: str, values: np.ndarray) -> Map:
    return Map.model_validate({"method": method, **_numbers(values)})


def _numbers(values: np.ndarray) -> dict[str, Any]:
    """The fields of a `NumberMap` for an array [h, w]."""
    height, width = values.shape
    data = base64.b64encode(values.astype("<f4").tobytes()).decode()
    return {"height": height, "width": width, "values": data}
