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
from alexnet.interop.onnx.graph import Graph, drop_softmax, read_graph
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import (
    Parity,
    Runner,
    compare,
    normalize_array,
    random_images,
    torch_runner,
)
from alexnet.io.text import error_text
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network

ChannelOrder: TypeAlias = Literal["rgb", "bgr"]
"""The order in which a file's network takes an image's colors."""


def read_onnx(
    path: Path, arch: Architecture, channel_order: ChannelOrder = "rgb"
) -> tuple[MatchedModel, Graph]:
    """The model in an ONNX file, with weights for RGB images, and the file's graph.

    Raises:
        ModelFileError: the file is damaged or another network; the first mismatch is named.
        UsageError: the onnx package is not installed.
    """
    graph = read_graph(path)
    matched = match_layers(path.name, graph.layers, arch, graph.input_shape)
    if channel_order == "rgb":
        return matched, graph
    if graph.input_shape[0] != 3:
        raise ModelFileError(f"{path} takes {graph.input_shape[0]} channels, so it cannot take BGR")
    first = f"{arch.layers[0].name}.weight"
    weights = {**matched.weights, first: matched.weights[first].flip(1).contiguous()}
    return replace(matched, weights=weights), graph


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
        path: for messages.
        network: ours, with the file's weights; it takes RGB.
        graph: the file's.
        channel_order: in which the graph takes colors.
        preprocessing: normalizes the images.
        make_runner: from an ONNX file to a function of images, and the runtime's name.

    Raises:
        ModelFileError: the graph cannot be run, or the logits differ by more than the tolerance.
    """
    images = normalize_array(random_images(network, graph.batch_size or 2), preprocessing)
    try:
        run, runtime = make_runner(drop_softmax(graph))
        theirs = _take_rgb(run, channel_order)
        parity = compare(torch_runner(network.eval()), theirs, runtime, [images])
    except Exception as error:  # each runtime raises its own kinds
        raise ModelFileError(f"{path} cannot be run: {error_text(error)}") from error
    if not parity.is_close:
        raise ModelFileError(
            f"{path} has the layers of {network.architecture.name} "
            f"but computes other logits: {parity.summary()}"
        )
    return parity


def _take_rgb(run: Runner, channel_order: ChannelOrder) -> Runner:
    """A runner of RGB images from one that takes `channel_order`."""
    step = -1 if channel_order == "bgr" else 1
    return lambda images: run(np.ascontiguousarray(images[:, ::step]))
