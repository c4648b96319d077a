"""Import a network from an ONNX file, and compare its logits with the file's own graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel, match_layers
from alexnet.interop.metadata import read_metadata
from alexnet.interop.one_output import as_two_classes
from alexnet.interop.onnx.graph import Graph, logits_model, read_graph
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import (
    Parity,
    Runner,
    compare,
    normalize_array,
    random_images,
    torch_runner,
)
from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.io.text import error_text
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network

ChannelOrder: TypeAlias = Literal["rgb", "bgr"]
"""The order in which a file's network takes an image's colors."""


def read_onnx(
    path: Path,
    arch: Architecture,
    channel_order: ChannelOrder = "rgb",
    input_size: int | None = None,
) -> tuple[MatchedModel, Graph]:
    """Read the model in an ONNX file, with weights for RGB images, and the file's graph.

    Args:
        path: the file.
        arch: the architecture that the file must match.
        channel_order: order in which the file takes colors.
        input_size: side of the input in pixels if the file leaves it open; None: as published.

    Raises:
        ModelFileError: the file is damaged or another network; the message names the first
            mismatch.
        UsageError: the onnx package is not installed.
    """
    side = input_size or arch.input[1]
    graph = read_graph(path, (arch.input[0], side, side))
    matched = match_layers(path.name, graph.layers, arch, graph.input_shape)
    if channel_order == "bgr":
        matched, graph = _flip_channels(path, matched, graph)
    return _with_facts(as_two_classes(path.name, matched), graph), graph


def _flip_channels(path: Path, matched: MatchedModel, graph: Graph) -> tuple[MatchedModel, Graph]:
    """Convert a model of BGR images, and its graph's normalization, to RGB."""
    if graph.input_shape[0] != 3:
        raise ModelFileError(f"{path} takes {graph.input_shape[0]} channels, so it cannot take BGR")
    first = f"{matched.architecture.layers[0].name}.weight"
    weights = {**matched.weights, first: matched.weights[first].flip(1).contiguous()}
    normalization = graph.normalization.flipped() if graph.normalization else None
    return replace(matched, weights=weights), replace(graph, normalization=normalization)


def _with_facts(matched: MatchedModel, graph: Graph) -> MatchedModel:
    """The model with the facts in the file's metadata and the normalization by its first nodes."""
    texts = {entry.key: entry.value for entry in graph.model.metadata_props}
    facts = read_metadata(texts, graph.input_shape, matched.architecture.num_classes)
    notes = (*matched.notes, *graph.notes, *facts.notes)
    preprocessing, mean_image = facts.preprocessing, facts.mean_image
    own = graph.normalization
    if own and not (preprocessing and own.agrees_with(preprocessing, mean_image)):
        base = preprocessing or published_preprocessing("published", matched.architecture)
        preprocessing, mean_image = own.preprocessing(base)
        notes = (*notes, own.summary())
    return replace(
        matched,
        preprocessing=preprocessing,
        mean_image=mean_image,
        class_names=facts.class_names,
        temperature=facts.temperature,
        notes=notes,
    )


def check_parity(
    path: Path,
    network: Network,
    graph: Graph,
    channel_order: ChannelOrder,
    preprocessing: Preprocessing,
    *,
    make_runner: Callable[[bytes], tuple[Runner, str]] = onnx_runner,
) -> Parity:
    """Run the file's graph and our network on the same random images.

    Args:
        path: the file's path, for messages.
        network: our network with the file's weights; it takes RGB.
        graph: the file's graph.
        channel_order: order in which the graph takes colors.
        preprocessing: the normalization of the images, if the graph does not do it.
        make_runner: a function from an ONNX file to a function that runs it, and the runtime's
            name.

    Raises:
        ModelFileError: the graph cannot be run, or the logits differ by more than the tolerance.
    """
    images = random_images(network, graph.batch_size or 2)
    normalized = normalize_array(images, preprocessing)
    if graph.normalization:
        normalized = graph.normalization.normalize(images)
        images = images * np.float32(graph.normalization.largest / 255)
    else:
        images = normalized
    try:
        run, runtime = make_runner(logits_model(graph))
        theirs = _take_images(run, graph, channel_order)
        ours = torch_runner(network.eval())(normalized)[:, -graph.num_outputs :]
        parity = compare(lambda _: ours, theirs, runtime, [images])
    except Exception as error:  # each runtime raises its own kinds
        raise ModelFileError(f"{path} cannot be run: {error_text(error)}") from error
    if not parity.is_close:
        raise ModelFileError(
            f"{path} has the layers of {network.architecture.name} "
            f"but computes other logits: {parity.summary()}"
        )
    return parity


def _take_images(run: Runner, graph: Graph, channel_order: ChannelOrder) -> Runner:
    """A runner of RGB images [B, C, H, W] from one that takes the graph's order and layout."""
    step = -1 if channel_order == "bgr" else 1
    axes = (0, 2, 3, 1) if graph.is_channels_last else (0, 1, 2, 3)
    return lambda images: run(np.ascontiguousarray(images[:, ::step].transpose(axes)))
