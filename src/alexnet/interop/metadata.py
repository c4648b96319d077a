"""Metadata in exported files: class names, preprocessing, resampling and licenses.

The keys are the constants below; each value is JSON. Class names that other programs have put into
a file are read, too.
"""

from __future__ import annotations

import ast
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoints.model_file import MAX_TEMPERATURE, MIN_TEMPERATURE
from alexnet.config.preprocessing import RESAMPLING, Preprocessing
from alexnet.config.serialization import from_dict, json_text, parse_json, to_dict
from alexnet.errors import ConfigError
from alexnet.inference.classifier import Classifier
from alexnet.io.limits import MAX_TEXT_BYTES
from alexnet.io.text import short_repr
from alexnet.models.layers import Shape

CLASS_NAMES = "alexnet.class_names"
"""Key of the list of class names, in the order of the outputs."""
PREPROCESSING = "alexnet.preprocessing"
"""Key of the fields of `Preprocessing`: resize, resize_size, padding, crop_size, input_size,
channels, mean, std and has_mean_image."""
MEAN_IMAGE = "alexnet.mean_image"
"""Key of the mean image, if there is one: float32 [channels, height, width], little-endian, in
base64."""
RESAMPLING_KEY = "alexnet.resampling"
"""Key of the filters with which the image, and the crop, are resized."""
INPUT = "alexnet.input"
"""Key of the file's input. `values`: "0 to 255", or "normalized" with the mean and std; `steps`:
the steps, in words, that prepare an image for it."""
TEMPERATURE = "alexnet.temperature"
"""Key of the number by which logits are divided before the softmax; a file that gives
logits has not divided them."""
AGREEMENT = "alexnet.agreement"
"""Key of the fields of `ImageAgreement`, in a file of less than float32."""
ARCHITECTURE = "alexnet.architecture"
LICENSE = "alexnet.license"
"""Key of the licenses. `program`: that of the program that wrote the file; `weights`: the one that
its user declared, or null."""
PROGRAM_LICENSE = "MIT"
Takes: TypeAlias = Literal["image", "pixels", "normalized"]
"""What a file takes: an image of any size, the network's input with values of 0 to 255, or that
input normalized."""
IMAGE_STEPS = ("upright, as its EXIF says", "RGB, transparent parts over white")
"""Steps that prepare an image for a file that takes "image"."""
FOREIGN_CLASS_NAMES = ("names", "class_names", "classes", "labels")
"""Keys under which other programs keep class names; ultralytics writes a dict as Python text."""


@dataclass(eq=False)
class FileFacts:
    """The facts in a file's metadata."""

    class_names: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    mean_image: Tensor | None = None
    temperature: float = 1.0
    notes: list[str] = field(default_factory=list)
    """Sentences for the user on what cannot be used, and on the license of the weights."""


def file_metadata(
    classifier: Classifier, *, takes: Takes, weights_license: str = ""
) -> dict[str, str]:
    """The metadata of a classifier's exported file.

    Args:
        classifier: the model.
        takes: what the file takes.
        weights_license: SPDX name of the weights' license; "" if it is not declared.
    """
    info = classifier.info
    values = "normalized" if takes == "normalized" else "0 to 255"
    facts: dict[str, Any] = {
        ARCHITECTURE: info.architecture.name,
        CLASS_NAMES: list(info.class_names),
        PREPROCESSING: to_dict(info.preprocessing),
        RESAMPLING_KEY: RESAMPLING,
        INPUT: {"values": values, "steps": list(input_steps(classifier, takes))},
        TEMPERATURE: info.temperature,
        LICENSE: {"program": PROGRAM_LICENSE, "weights": weights_license or None},
    }
    if classifier.mean_image is not None:
        array = classifier.mean_image.cpu().numpy().astype("<f4")
        facts[MEAN_IMAGE] = base64.b64encode(array.tobytes()).decode()
    return {key: json_text(value, indent=None) for key, value in facts.items()}


def input_steps(classifier: Classifier, takes: Takes) -> tuple[str, ...]:
    """The steps, in words, that prepare an image for a file."""
    if takes == "image":
        return IMAGE_STEPS
    return classifier.info.preprocessing.steps(normalized=takes == "normalized")


def read_metadata(texts: Mapping[str, str], shape: Shape, num_classes: int) -> FileFacts:
    """Read a file's metadata; entries that cannot be read are skipped, with a note.

    Args:
        texts: the metadata, as texts by key.
        shape: (channels, height, width) of the file's input.
        num_classes: the file's number of outputs.
    """
    facts = FileFacts()
    if PREPROCESSING in texts:
        try:
            facts.preprocessing, facts.mean_image = _preprocessing(texts, shape)
        except ConfigError as error:
            facts.notes.append(f"the file's preprocessing is not used: {error}")
    key = next((k for k in (CLASS_NAMES, *FOREIGN_CLASS_NAMES) if k in texts), "")
    if key:
        try:
            facts.class_names = _class_names(texts[key], num_classes)
        except ConfigError as error:
            facts.notes.append(f"the file's class names ({key}) are not used: {error}")
    if TEMPERATURE in texts:
        try:
            facts.temperature = _temperature(texts[TEMPERATURE])
        except ConfigError as error:
            facts.notes.append(f"the file's temperature is not used: {error}")
    if weights_license := _weights_license(texts):
        facts.notes.append(f"the license of the weights is {weights_license}, as the file says")
    return facts


def _preprocessing(texts: Mapping[str, str], shape: Shape) -> tuple[Preprocessing, Tensor | None]:
    preprocessing = from_dict(Preprocessing, parse_json(texts[PREPROCESSING]), PREPROCESSING)
    if not preprocessing.has_mean_image:
        return preprocessing, None
    try:
        content = base64.b64decode(parse_json(texts.get(MEAN_IMAGE, '""')), validate=True)
        array = np.frombuffer(content, "<f4").reshape(shape)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ConfigError(f"its mean image is not float32 {list(shape)}") from error
    return preprocessing, torch.from_numpy(array.astype(np.float32))


def exported_size(texts: Mapping[str, str]) -> int | None:
    """Side of the input of an exported network, as its preprocessing says; None if it does not."""
    try:
        plain = parse_json(texts.get(PREPROCESSING, "null"))
        return from_dict(Preprocessing, plain, PREPROCESSING).input_side
    except ConfigError:
        return None


def _temperature(text: str) -> float:
    value = parse_json(text)
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    if not is_number or not MIN_TEMPERATURE <= value <= MAX_TEMPERATURE:
        raise ConfigError(
            f"{short_repr(value)} is no number from {MIN_TEMPERATURE} to {MAX_TEMPERATURE:g}"
        )
    return float(value)


def _class_names(text: str, num_classes: int) -> tuple[str, ...]:
    """The class names in a list, or in a dict by index, written as JSON or as Python text.

    Raises:
        ConfigError: the text is neither, or has not as many names as there are outputs.
    """
    value = _literal(text)
    if isinstance(value, dict):
        by_number = {str(key): name for key, name in value.items()}
        if set(by_number) != {str(i) for i in range(len(value))}:
            raise ConfigError("they are not numbered from 0")
        value = [by_number[str(i)] for i in range(len(value))]
    names = value if isinstance(value, list | tuple) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigError("they are no list of names")
    if len(names) != num_classes:
        raise ConfigError(f"they are {len(names)}, and the network has {num_classes} outputs")
    return tuple(names)


def _literal(text: str) -> Any:
    """The value of a JSON or Python literal, else the text split at line breaks or commas."""
    if len(text) > MAX_TEXT_BYTES:
        raise ConfigError(f"they have more than {MAX_TEXT_BYTES:,} characters")
    try:
        return parse_json(text)
    except ConfigError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        parts = text.splitlines() if "\n" in text else text.split(",")
        return [part.strip() for part in parts if part.strip()]


def _weights_license(texts: Mapping[str, str]) -> str:
    try:
        value = parse_json(texts.get(LICENSE, "{}"))
    except ConfigError:
        return ""
    found = value.get("weights") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
