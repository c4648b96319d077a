"""The network that answers for `alexnet predict`: optimized, or exact, and what that means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from alexnet.checkpoints.model_file import find_model_file, load_model
from alexnet.inference.classifier import Classifier, build_classifier
from alexnet.inference.int8 import Int8Layer, WeightOnlyInt8Linear
from alexnet.inference.optimize import is_optimized
from alexnet.inference.predictions import AnsweringNetwork, NumberType
from alexnet.runtime.device import compute_dtype


def load_answering(path: str | Path, device: str, *, exact: bool) -> Classifier:
    """The classifier of a model file or a run folder, as `alexnet predict` uses it.

    It is optimized, without a copy of the float32 weights in memory. A run that was trained with
    `--precision float32` answers in float32, as does every one where `exact` is true.

    Raises:
        ModelFileError: the file is missing, damaged, or not a model of this program.
        UsageError: there is no such device.
    """
    weights, info, mean_image = load_model(find_model_file(path))
    exact = exact or info.recipe.precision == "float32"
    classifier = build_classifier(weights, info, mean_image, device, copy=exact)
    return replace(classifier, precision="float32") if exact else prepared_to_answer(classifier)


def prepared_to_answer(classifier: Classifier) -> Classifier:
    """The classifier with its network optimized, unless it was trained in float32 on purpose."""
    return classifier if classifier.precision == "float32" else classifier.optimized()


def answering_network(classifier: Classifier) -> AnsweringNetwork:
    """Which network a classifier has."""
    layers = list(classifier.network.modules())
    dtype = compute_dtype(classifier.device, classifier.precision)
    number_type: NumberType = "bf16" if dtype == torch.bfloat16 else "float32"
    is_int8 = any(isinstance(layer, Int8Layer) for layer in layers)
    weighted = (torch.nn.Conv2d, torch.nn.Linear, WeightOnlyInt8Linear)
    return AnsweringNetwork(
        is_optimized=is_optimized(classifier.network),
        number_type="int8" if is_int8 else number_type,
        depends_on_batch=any(isinstance(layer, weighted) for layer in layers),
    )
