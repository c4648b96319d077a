"""What a prediction depends on, as an answer of the API."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from alexnet.errors import AlexNetError
from alexnet.explain.placement import crop_window
from alexnet.serve.decode_worker import DecodedUpload
from alexnet.serve.decoders import pixels_of
from alexnet.serve.models import ServedModel
from alexnet.serve.problems import ProblemError
from alexnet.serve.schemas import ClassProbability, ExplainAnswer, Map, Window


def explain(
    model: ServedModel, decoded: DecodedUpload, class_name: str, layer: str, methods: Sequence[str]
) -> ExplainAnswer:
    """The pixels on which the prediction of an image depends.

    Raises:
        ProblemError: a word is unknown, or captum is not installed.
    """
    try:
        found = model.classifier.explain(
            pixels_of(decoded), class_name=class_name, layer=layer, methods=methods
        )
    except AlexNetError as error:
        raise ProblemError(422, str(error)) from error
    size = decoded.width, decoded.height
    window = crop_window(*size, model.classifier.info.preprocessing)
    return ExplainAnswer(
        model=model.name,
        class_name=found.class_name,
        probability=found.probability,
        top_classes=tuple(
            ClassProbability(label=one.label, probability=one.probability)
            for one in found.top_classes
        ),
        layer=found.layer,
        width=size[0],
        height=size[1],
        window=Window(**window._asdict()),
        maps=tuple(_map(method, values) for method, values in found.maps.items()),
    )


def _map(method: str, values: np.ndarray) -> Map:
    data = base64.b64encode(values.astype("<f4").tobytes()).decode()
    height, width = values.shape
    return Map.model_validate({"method": method, "height": height, "width": width, "values": data})
