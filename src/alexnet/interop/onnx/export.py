"""Write a torch module as an ONNX file."""

from __future__ import annotations

import torch
from torch import nn

from alexnet.interop.export_module import quiet_export
from alexnet.interop.onnx.runtime import onnx_runner
from alexnet.interop.parity import Runner
from alexnet.models.layers import Shape

OPSET = 18
"""The oldest that torch's exporter writes without a conversion; most runtimes support it."""


def onnx_bytes(module: nn.Module, shape: Shape) -> tuple[bytes, Runner, str]:
    """The ONNX file of a module, what an ONNX runtime computes from it, and that runtime.

    Args:
        module: takes float32 images [any batch, *shape].
        shape: (channels, height, width).
    """
    example = torch.zeros(2, *shape)
    with quiet_export(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    content = program.model_proto.SerializeToString()
    run, runtime = onnx_runner(content)
    return content, run, runtime
