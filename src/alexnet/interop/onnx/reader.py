"""A network from an ONNX file, and the proof that it computes the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import ModelFileError
from alexnet.interop.match import MatchedModel, fit
from alexnet.interop.onnx.graph import Graph, drop_softmax, read_graph
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import Parity, compare, normalised, random_pixels, runner
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network

Channels: TypeAlias = Literal["rgb", "bgr"]
"""The order in which the file's net takes a picture's colours."""


def read_onnx(
    path: Path, table: Architecture, channels: Channels = "rgb"
) -> tuple[MatchedModel, Graph]:
    """The table as the file has it, its weights for RGB pictures, and the file's graph.

    Raises:
        ModelFileError: damaged, or of another net; the first mismatch is named.
        UsageError: the onnx package is not installed.
    """
    graph = read_graph(path)
    fitted = fit(path.name, graph.found, table, graph.input)
    if channels == "rgb":
        return fitted, graph
    if graph.input[0] != 3:
        raise ModelFileError(f"{path} takes {graph.input[0]} colours, so it cannot take BGR")
    first = f"{fitted.table.layers[0].name}.weight"
    weights = {**fitted.weights, first: fitted.weights[first].flip(1).contiguous()}
    return replace(fitted, weights=weights), graph


def check_parity(
    path: Path, network: Network, graph: Graph, channels: Channels, rule: Preprocessing
) -> Parity:
    """Run the file's graph and our network on the same random pictures.

    Raises:
        ModelFileError: they differ by more than the tolerance.
    """
    try:
        theirs, runtime = onnx_runner(drop_softmax(graph))
    except Exception as error:  # each runtime has its own kinds
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path} cannot be run: {reason}") from error
    turn = slice(None, None, -1 if channels == "bgr" else 1)

    def file_runner(images: np.ndarray) -> np.ndarray:
        return theirs(np.ascontiguousarray(images[:, turn]))

    pixels = random_pixels(network, graph.batch or 2)
    try:
        parity = compare(runner(network.eval()), file_runner, runtime, [normalised(pixels, rule)])
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path} cannot be run: {reason}") from error
    if not parity.is_close:
        raise ModelFileError(
            f"{path} fits {network.architecture.name} layer by layer "
            f"but computes something else: {parity.sentence()}"
        )
    return parity
