"""Import a model file of another program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from alexnet.checkpoints.file_format import FileFormat, file_format
from alexnet.checkpoints.file_header import reject_own_model
from alexnet.checkpoints.model_file import ModelInfo, save_model
from alexnet.checkpoints.validation import check_preprocessing, first_nonfinite
from alexnet.config.model_recipe import recipe_of_model
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import Recipe
from alexnet.errors import AlexNetError, ConfigError, ModelFileError, UsageError
from alexnet.inference.classifier import Classifier, build_classifier
from alexnet.interop.caffe.reader import read_caffe
from alexnet.interop.class_names import (
    default_class_names,
    fit_to_outputs,
    is_imagenet,
    read_class_names,
)
from alexnet.interop.keras.reader import read_keras
from alexnet.interop.match import MatchedModel
from alexnet.interop.onnx.graph import Graph
from alexnet.interop.onnx.reader import ChannelOrder, check_parity, read_onnx
from alexnet.interop.parity import Parity
from alexnet.interop.published_preprocessing import PublishedOption, published_preprocessing
from alexnet.interop.reported_facts import ReportedFacts, find_report
from alexnet.interop.state_dict import read_state_dict
from alexnet.interop.weight_layout import flip_colors
from alexnet.models.architecture import Architecture
from alexnet.models.limits import check_limits
from alexnet.models.network import Network
from alexnet.models.zoo import architecture, is_published

FORMATS_BY_SUFFIX: dict[str, FileFormat] = {
    ".onnx": "onnx",
    ".keras": "keras",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".caffemodel": "caffemodel",
}
"""Formats by suffix, for files whose content does not show it; others are read as state dicts."""
NUMPY_FORMATS = ("npy", "npz")
"""Formats in which weights of Caffe's networks are distributed, but others, too."""
CAFFE_ARCHITECTURES = ("alexnet_caffe", "caffenet")
BGR_NOTE = (
    "{file} is taken to expect blue, green, red, as Caffe's networks do, and the model takes red, "
    "green, blue; if the file expects red first, import it with --channel-order rgb"
)
RGB_NOTE = (
    "{file} is taken to expect red, green, blue; Caffe's own networks expect blue first: "
    "for one, import with --channel-order bgr"
)
PUBLISHED_NOTE = (
    "the preprocessing in {report} is not used: {reason}; the published one is used, "
    "see --preprocessing"
)
ChannelOrderOption: TypeAlias = Literal["auto"] | ChannelOrder
PreprocessingOption: TypeAlias = Literal["auto"] | PublishedOption
"""`auto` is the preprocessing in the file, or the published one if the file has none."""
Source: TypeAlias = Literal["file", "report", "user", "imagenet", "default"]
"""Origin of a fact about the model: "report" is that of the export which wrote the file; "default"
is what is published for its architecture."""


@dataclass(frozen=True, eq=False)
class ImportedModel:
    """A model of another program, read and checked but not yet saved."""

    info: ModelInfo
    weights: dict[str, Tensor]
    parity: Parity | None
    """Comparison of the file's own graph with our network; None for files of weights alone."""
    mean_image: Tensor | None = None
    """Image that is subtracted from every image; None if the preprocessing has no mean image."""
    preprocessing_source: Source = "default"
    class_names_source: Source = "default"
    """"imagenet" for its 1,000 names, sorted by wnid; "default" for "class 0" and so on."""
    report: str = ""
    """Name of the export's report, if its facts are used."""
    notes: tuple[str, ...] = ()
    """Sentences for the user on how the file was read; usually none."""

    def __repr__(self) -> str:
        arch, classes = self.info.architecture.name, f"{len(self.info.class_names):,} classes"
        return f"ImportedModel({arch!r}, {classes}, {len(self.weights)} tensors)"

    def save(self, out: Path) -> None:
        """Write the model as a model file."""
        save_model(out, self.weights, self.info, self.mean_image)

    def classifier(self, device: str = "auto") -> Classifier:
        """A classifier of the model; `device` as for `alexnet.load`."""
        return build_classifier(self.weights, self.info, self.mean_image, device)


def import_model(
    path: Path,
    arch: str | Architecture,
    *,
    class_names: tuple[str, ...] | Path = (),
    channel_order: ChannelOrderOption = "auto",
    preprocessing: PreprocessingOption = "auto",
    input_size: int | None = None,
    average: bool = False,
) -> ImportedModel:
    """Read a file of another program as the architecture `arch`.

    What an exported state dict does not hold (class names, input size, preprocessing, temperature)
    is taken from the report of the export, if that is of the same weights: it is `class_names`, or
    `FILE.json`. Its preprocessing is not used if it is for another `input_size`, or has a mean
    image, which only the model has.

    Args:
        path: an ONNX or Keras file, or a state dict of torch; the content tells which.
        arch: the architecture in the file, or its name.
        class_names: names in the order of the outputs, or a file of them. If empty, those in the
            file; if the file has none, ImageNet's for 1,000 outputs, else "class 0" and so on.
        channel_order: order in which the file's network takes the colors; the imported model takes
            RGB. `auto`: BGR for Caffe files, and for numpy files of Caffe's networks; else RGB.
        preprocessing: the program whose preprocessing the model records; `auto`: the file's own if
            it has one, else the published one.
        input_size: side of the input in pixels if the file does not give it; None: as published.
        average: whether to take the averaged (EMA) weights of a state dict that has both.

    Raises:
        ModelFileError: the file is damaged, is another network, or computes other logits.
        UsageError: the arguments contradict each other, or an optional package is missing.
        UnknownNameError: there is no such architecture.
    """
    table = architecture(arch)
    names_file = class_names if isinstance(class_names, Path) else None
    given = read_class_names(class_names) if isinstance(class_names, Path) else class_names
    file_type = _format(path)
    read = partial(_read_file, path, table, file_type, channel_order, average=average)
    stored, graph, report = _read_with_report(read, path, input_size, names_file)
    matched = _with_rgb(path, stored, file_type, channel_order)
    check_limits(matched.architecture)
    if name := first_nonfinite(matched.weights):
        raise ModelFileError(f"{path.name}: {name} has values that are not finite")
    names, names_source = _class_names(path, matched, given)
    images, mean_image, source = _preprocessing(path.name, matched, preprocessing)
    notes = matched.notes
    if report and source == "default":
        reason = report.misfit(matched.architecture.input)
        notes += (PUBLISHED_NOTE.format(report=report.name, reason=reason),)
    info = replace(
        _model_info(path, table, matched, names, images), temperature=matched.temperature
    )
    network = build_network(matched)
    parity = None
    if graph:
        order: ChannelOrder = "bgr" if channel_order == "bgr" else "rgb"
        parity = check_parity(path, network, graph, order, info.preprocessing)
    own: Source = "report" if report else "file"
    return ImportedModel(
        info=info,
        weights=network.state_dict(),
        parity=parity,
        mean_image=mean_image,
        preprocessing_source=own if source == "file" else source,
        class_names_source=own if names_source == "file" else names_source,
        report=report.name if report else "",
        notes=notes,
    )


def _read_with_report(
    read: Callable[[int | None], tuple[MatchedModel, Graph | None]],
    path: Path,
    input_size: int | None,
    names_file: Path | None,
) -> tuple[MatchedModel, Graph | None, ReportedFacts | None]:
    """A file's model and graph, with what the report of its export says where the file does not.

    Args:
        read: reads the file for an input size, with its colors in the file's order.
        path: the file.
        input_size: the size that the user gave, or None.
        names_file: the file of class names that the user gave, or None.

    Returns:
        The model, its graph, and the report; None if there is none of these weights.
    """
    matched, graph = read(input_size)
    if matched.preprocessing:
        return matched, graph, None
    report, notes = find_report(path, names_file, matched)
    if report and input_size is None:
        try:
            matched, graph = read(report.input_shape[-1])
        except AlexNetError as error:
            notes += (f"{report.name} is not used: {error}",)
            report = None
    matched = replace(matched, notes=(*matched.notes, *notes))
    return report.added_to(matched) if report else matched, graph, report


def read_network(
    path: Path,
    arch: Architecture,
    channel_order: ChannelOrderOption = "auto",
    input_size: int | None = None,
    *,
    average: bool = False,
) -> tuple[MatchedModel, Graph | None]:
    """Read the model in a file, whose format its content shows, and its graph if it is ONNX.

    Raises:
        ModelFileError: the file is damaged, or is another network.
        UsageError: the arguments contradict each other, or an optional package is missing.
    """
    found = _format(path)
    matched, graph = _read_file(path, arch, found, channel_order, input_size, average=average)
    return _with_rgb(path, matched, found, channel_order), graph


def _read_file(
    path: Path,
    arch: Architecture,
    found: FileFormat,
    channel_order: ChannelOrderOption,
    input_size: int | None = None,
    *,
    average: bool = False,
) -> tuple[MatchedModel, Graph | None]:
    """Read a file as `read_network` does, with its colors in the file's order unless it is ONNX."""
    if average and found in FORMATS_BY_SUFFIX.values():
        raise UsageError(f"--weights ema is for state dicts only, not for {path.name}")
    if channel_order == "bgr" and found in ("keras", "hdf5"):
        raise UsageError(f"--channel-order bgr is not for Keras files such as {path.name}")
    graph = None
    if found == "onnx":
        onnx_order: ChannelOrder = "bgr" if channel_order == "bgr" else "rgb"
        matched, graph = read_onnx(path, arch, onnx_order, input_size)
    elif found in ("keras", "hdf5"):
        matched = read_keras(path, arch, input_size)
    elif found == "caffemodel":
        matched = read_caffe(path, arch, input_size, is_bgr=channel_order != "rgb")
    else:
        reject_own_model(path)
        matched = read_state_dict(path, arch, input_size, average=average)
    return matched, graph


def _with_rgb(
    path: Path, matched: MatchedModel, found: FileFormat, order: ChannelOrderOption
) -> MatchedModel:
    """The model with weights for RGB images; Caffe's networks and their conversions take BGR."""
    if matched.architecture.input[0] == 3 and order == "auto":
        is_caffe = matched.architecture.name in CAFFE_ARCHITECTURES
        if found == "caffemodel" or (is_caffe and found in NUMPY_FORMATS):
            flipped = flip_colors(path.name, matched)
            return replace(flipped, notes=(*matched.notes, BGR_NOTE.format(file=path.name)))
        if is_caffe:
            return replace(matched, notes=(*matched.notes, RGB_NOTE.format(file=path.name)))
    is_read_flipped = found == "onnx"
    return flip_colors(path.name, matched) if order == "bgr" and not is_read_flipped else matched


def _format(path: Path) -> FileFormat:
    """The format of a file by its content, or by its name if the content does not show it."""
    by_suffix = FORMATS_BY_SUFFIX.get(path.suffix.lower(), "unknown")
    try:
        found = file_format(path)
    except (OSError, ValueError):  # its reader says why
        return by_suffix
    return by_suffix if found in ("unknown", "text", "empty", "zip") else found


def _class_names(
    path: Path, matched: MatchedModel, given: tuple[str, ...]
) -> tuple[tuple[str, ...], Source]:
    """The user's class names, else the file's, else `default_class_names`; and their origin."""
    count = matched.architecture.num_classes
    given = fit_to_outputs(given, count)
    if given and len(given) != count:
        raise UsageError(
            f"--class-names has {len(given)} names, but {path.name} has {count} classes"
        )
    if given:
        return given, "user"
    if not matched.class_names:
        names = default_class_names(count)
        return names, "imagenet" if is_imagenet(names) else "default"
    if len(matched.class_names) != count:
        raise ModelFileError(
            f"{path.name} names {len(matched.class_names)} classes, but has {count} outputs; "
            "name them with --class-names FILE"
        )
    return matched.class_names, "file"


def _preprocessing(
    file: str, matched: MatchedModel, option: PreprocessingOption
) -> tuple[Preprocessing, Tensor | None, Source]:
    """The preprocessing that the user chose, else that in `file`, else the published one.

    Returns:
        The preprocessing, its mean image if it has one, and its origin.
    """
    arch, own = matched.architecture, matched.preprocessing
    if option != "auto":
        return published_preprocessing(option, arch), None, "user"
    if own is None:
        return published_preprocessing("published", arch), None, "default"
    try:
        check_preprocessing(arch, own, matched.mean_image)
    except ConfigError as error:
        raise ModelFileError(
            f"the preprocessing in {file} cannot be used: {error}; "
            "choose another with --preprocessing"
        ) from error
    return own, matched.mean_image, "file"


def _model_info(
    path: Path,
    table: Architecture,
    matched: MatchedModel,
    class_names: tuple[str, ...],
    preprocessing: Preprocessing,
) -> ModelInfo:
    arch = table.name if is_published(table) else table
    placeholder = Recipe(name="imported", data="", arch=arch, init_from=path.name)
    recipe = recipe_of_model(placeholder, matched.architecture, preprocessing)
    return ModelInfo(
        architecture=matched.architecture,
        class_names=class_names,
        preprocessing=preprocessing,
        recipe=recipe,
    )


def build_network(model: MatchedModel) -> Network:
    """A network with a file's weights, in evaluation mode."""
    with torch.device("meta"):
        network = Network(model.architecture)
    network = network.to_empty(device="cpu")
    counters = {
        name: torch.zeros_like(tensor)
        for name, tensor in network.state_dict().items()
        if name.endswith(".num_batches_tracked")  # files may lack them
    }
    network.load_state_dict({**counters, **model.weights})
    return network.eval()
