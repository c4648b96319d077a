"""A network as a `torch.export` archive (`.pt2`)."""

from __future__ import annotations

from io import BytesIO

import torch
from torch import nn

from alexnet.interop.export_module import quiet
from alexnet.interop.parity import Runner, runner
from alexnet.models.layers import Shape


def torch_bytes(module: nn.Module, shape: Shape) -> tuple[bytes, Runner, str]:
    """The archive of a module for inputs [any batch, *shape], loaded again."""
    example = torch.zeros(2, *shape)
    archive = BytesIO()
    with quiet(), torch.no_grad():
        program = torch.export.export(
            module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},)
        )
        torch.export.save(program, archive)
        again = torch.export.load(BytesIO(archive.getvalue())).module()
    return archive.getvalue(), runner(again), f"torch.export {torch.__version__}"
