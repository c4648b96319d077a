"""What operations ask about the way they are run: autocast, compiling, exporting."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

AUTOCAST_DEVICES = frozenset({"cpu", "cuda", "mps", "xpu"})


def no_autocast(device_type: str) -> AbstractContextManager[object]:
    """A context without autocast, where the device has it (the meta device has not)."""
    if device_type in AUTOCAST_DEVICES:
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def compute_type(x: Tensor) -> torch.dtype:
    """The type in which a convolution of `x` computes; autocast leaves float64 alone."""
    is_cast = torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64
    return torch.get_autocast_dtype(x.device.type) if is_cast else x.dtype


def is_bf16_step(weight: Tensor, x: Tensor) -> bool:
    """Whether `weight` is being trained in bf16 on the CPU, eagerly."""
    if is_traced():
        return False
    is_trained = torch.is_grad_enabled() and weight.requires_grad
    return is_trained and x.device.type == "cpu" and compute_type(x) == torch.bfloat16


def is_traced() -> bool:
    """Whether the operation is compiled, exported or transformed, or only its sizes are computed.

    Then it must consist of torch's own operations: under `torch.jit.trace`, `torch.func`, forward
    derivatives, and modes that see each operation, as those of fake tensors and counters of FLOPs.
    """
    is_compiled = torch.compiler.is_compiling() or torch.compiler.is_exporting()
    if is_compiled or torch._C._get_tracing_state() is not None:
        return True
    return is_transformed() or is_in_torch_dispatch_mode()


def is_transformed() -> bool:
    """Whether `torch.func` transforms the operation, or forward derivatives are computed.

    Then a custom operation raises an error, or its forward derivative is 0. Not while compiling.
    """
    if torch.compiler.is_compiling():
        return False
    is_functorch = torch._C._functorch.peek_interpreter_stack() is not None
    return is_functorch or torch.autograd.forward_ad._current_level >= 0


def is_exporting() -> bool:
    """Whether `torch.export` traces the operation, which then must consist of torch's own."""
    # In torch 2.11 `is_exporting` is true under torch.compile, too.
    return torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
