"""Run ONNX files: with onnxruntime where it is installed, else with the onnx package itself."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from alexnet.interop.parity import Runner
from alexnet.runtime.environment import installed_version

ERROR_SEVERITY = 3
"""onnxruntime's log level for errors only."""


def onnx_runner(
    model: bytes, find_package: Callable[[str], object] = find_spec
) -> tuple[Runner, str]:
    """A function that runs a graph of one input and one output, and the runtime's name and version.

    Args:
        model: the content of an ONNX file.
        find_package: a function that returns None for a package that is not installed.
    """
    if find_package("onnxruntime") is None:
        return _reference_runner(model), f"onnx {installed_version('onnx')} (reference)"
    return _onnxruntime_runner(model), f"onnxruntime {installed_version('onnxruntime')}"


def _onnxruntime_runner(model: bytes) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERROR_SEVERITY
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return _first_output(session, session.get_inputs()[0].name)


def _reference_runner(model: bytes) -> Runner:
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load_from_string(model))
    initializers = {tensor.name for tensor in evaluator.proto_.graph.initializer}
    names = [name for name in evaluator.input_names if name not in initializers]
    return _first_output(evaluator, names[0])


def _first_output(session: Any, input_name: str) -> Runner:
    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {input_name: images})[0])

    return run
