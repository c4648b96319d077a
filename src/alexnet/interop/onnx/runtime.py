"""ONNX graphs computed by onnxruntime where it is installed, else by the onnx package itself."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from alexnet.interop.parity import Runner
from alexnet.runtime.environment import installed

ERRORS_ONLY = 3


def onnx_runner(model: bytes) -> tuple[Runner, str]:
    """A serialised graph of one input and one output as a function, and what computes it."""
    if find_spec("onnxruntime") is None:
        return _reference(model), f"onnx {installed('onnx')} (reference)"
    return _session(model), f"onnxruntime {installed('onnxruntime')}"


def _session(model: bytes) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return _first_output(session, session.get_inputs()[0].name)


def _reference(model: bytes) -> Runner:
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load_from_string(model))
    given = {tensor.name for tensor in evaluator.proto_.graph.initializer}
    names = [name for name in evaluator.input_names if name not in given]
    return _first_output(evaluator, names[0])


def _first_output(session: Any, name: str) -> Runner:
    def run(images: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: images})[0])

    return run
