"""The response norm on a GPU: the Triton kernels against float64, eager and compiled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from alexnet.models.network import compile_network, create_model
from alexnet.ops.norms import reference_backward, reference_norm, response_norm

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]
CONSTANTS = [(5, 1e-4, 0.75, 2.0, 1), (5, 1e-4, 0.75, 2.0, 2), (4, 1e-3, 0.5, 1.0, 1)]


def randn(*shape: int, seed: int = 0, scale: float = 100.0) -> Tensor:
    generator = torch.Generator("cuda").manual_seed(seed)
    return torch.randn(*shape, generator=generator, device="cuda") * scale


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("is_compiled", [False, True])
def test_norm_and_gradient_are_exact(
    constants: Any, memory_format: torch.memory_format, is_compiled: bool
) -> None:
    x = randn(3, 16, 5, 7).contiguous(memory_format=memory_format).requires_grad_()
    g = randn(3, 16, 5, 7, seed=1, scale=1.0).contiguous(memory_format=memory_format)
    norm = torch.compile(response_norm, fullgraph=True) if is_compiled else response_norm
    y = norm(x, *constants)
    y.backward(g)
    wide = x.detach().double()
    expected, grad = (
        reference_norm(wide, *constants),
        reference_backward(wide, g.double(), *constants),
    )
    assert y.stride() == x.stride()
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(x.grad.double(), grad, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (0, 4, 3, 3), (1, 7, 2, 2), (2, 1030, 2, 2)])
def test_odd_shapes(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = randn(*shape, scale=400).to(dtype)
    found, expected = response_norm(x), reference_norm(x.float(), *CONSTANTS[0])
    torch.testing.assert_close(found.float(), expected, rtol=2**-8, atol=1e-6)


def test_activations_of_more_than_two_billion_values() -> None:
    x = torch.ones(1, 8, 16384, 16640, dtype=torch.bfloat16, device="cuda")
    x = x.contiguous(memory_format=torch.channels_last)
    assert x.numel() > 2**31
    last = response_norm(x)[0, :, -1, -4:]
    torch.testing.assert_close(last, response_norm(x[:, :, -1:, -4:])[0, :, 0])


@pytest.mark.timeout(150)  # seconds; Inductor compiles
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_the_compiled_network_gives_the_same_gradients(precision: torch.dtype) -> None:
    device = torch.device("cuda")
    gradients = []
    for is_compiled in (False, True):
        torch.manual_seed(0)
        network = create_model("alexnet", num_classes=5, device=device).eval()
        if is_compiled:
            compile_network(network, device)
        with torch.autocast("cuda", precision, enabled=precision != torch.float32):
            logits = network(randn(4, 3, 227, 227))
        logits.square().sum().backward()
        gradients.append(network.conv1.weight.grad.clone())
    difference = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    assert difference < (1e-3 if precision == torch.float32 else 0.02)
