"""The Triton kernels without a GPU: interpreted, and compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.ops.norms import reference_backward, reference_norm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
triton = pytest.importorskip("triton")
NORMS = [(5, 1e-4, 0.75, 2.0, 1), (5, 1e-4, 0.75, 2.0, 2), (4, 1e-3, 0.5, 1.0, 1)]
SHAPES = [(3, 16, 5, 7), (2, 1030, 1, 1), (1, 2, 1, 1)]
GPUS = {"T4": 75, "H100": 90}
"""Compute capabilities."""
INTERPRET = """
import sys
import torch
from alexnet.ops import norms_triton, relu_norm_pool_triton

cases, results = torch.load(sys.argv[1]), []
for x, g, norm, pooling in cases:
    if not pooling:
        results.append((norms_triton.forward(x, *norm), norms_triton.backward(x, g, *norm)))
        continue
    y, places = relu_norm_pool_triton.forward(x, *norm, *pooling)
    results.append((y, relu_norm_pool_triton.backward(x, g, places, *norm, *pooling)))
torch.save(results, sys.argv[2])
"""
"""Triton interprets only where it is told to before it is imported, so in a process of its own."""


def randn(*shape: int, seed: int = 0, scale: float = 100.0) -> Tensor:
    x = scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=torch.channels_last)


def interpret(cases: list[Any], folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Output and gradient of each (x, g, constants of the norm, window and stride or nothing)."""
    files = folder / "cases.pt", folder / "found.pt"
    torch.save(cases, files[0])
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    subprocess.run([sys.executable, "-c", INTERPRET, *files], env=environment, check=True)
    found: list[tuple[Tensor, Tensor]] = torch.load(files[1])
    return found


def test_the_norm_is_exact(tmp_path: Path) -> None:
    """In float32; the interpreter does not round bf16 as a GPU does."""
    cases = [
        (randn(*shape), randn(*shape, seed=1, scale=1.0), norm, ())
        for shape in SHAPES
        for norm in NORMS
    ]
    for (x, g, norm, _), found in zip(cases, interpret(cases, tmp_path), strict=True):
        expected = (
            reference_norm(x.double(), *norm),
            reference_backward(x.double(), g.double(), *norm),
        )
        for one, other in zip(found, expected, strict=True):
            assert one.stride() == x.stride()
            torch.testing.assert_close(one.double(), other, rtol=2e-6, atol=1e-5)


def test_the_norm_of_fp16_is_that_of_float32_rounded_once(tmp_path: Path) -> None:
    """Of values above 256, whose squares are beyond fp16."""
    x, g = randn(2, 12, 3, 3, scale=400).half(), randn(2, 12, 3, 3, seed=1, scale=1.0).half()
    cases = [(x, g, norm, ()) for norm in NORMS]
    for (_, _, norm, _), found in zip(cases, interpret(cases, tmp_path), strict=True):
        expected = (
            reference_norm(x.float(), *norm),
            reference_backward(x.float(), g.float(), *norm),
        )
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == torch.float16
            torch.testing.assert_close(one.float(), other, rtol=2**-10, atol=1e-6)


def test_without_an_offset_channels_outside_a_group_add_nothing(tmp_path: Path) -> None:
    """The windows there are empty, and 0 ** -0.75 is infinite."""
    x = torch.tensor([1.0, 2, 3, 0, 1, 2, 3, 0])[None, :, None, None]
    g, norm = torch.ones_like(x), (5, 1.0, 0.75, 0.0, 2)
    (found,) = interpret([(x, g, norm, ())], tmp_path)
    expected = reference_backward(x.double(), g.double(), *norm)
    torch.testing.assert_close(found[1].double(), expected, rtol=1e-5, atol=1e-6)


def test_relu_norm_and_pooling_are_exact(tmp_path: Path) -> None:
    cases, expected = [], []
    for pooling in ((3, 2), (2, 2), (3, 1), (2, 3)):
        for norm in (*NORMS, (0, 1.0, 1.0, 1.0, 1)):
            x = randn(2, 16, 9, 7)
            x[0, 0, 0, 0] = 0
            wide = x.double().requires_grad_()
            normed = reference_norm(wide.relu(), *norm) if norm[0] else wide.relu()
            y = F.max_pool2d(normed, *pooling)
            g = randn(*y.shape, seed=1, scale=1.0)
            y.backward(g.double())
            cases.append((x, g, norm, pooling))
            expected.append((y.detach(), wide.grad))
    for found, (y, gradient) in zip(interpret(cases, tmp_path), expected, strict=True):
        assert found[0].is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found[0].double(), y, rtol=2e-6, atol=1e-5)
        torch.testing.assert_close(found[1].double(), gradient, rtol=2e-6, atol=1e-5)


def test_nan_is_the_largest(tmp_path: Path) -> None:
    x = randn(1, 4, 5, 5)
    x[0, 0, 2, 2], x[0, 1, 0, 0] = torch.nan, torch.inf
    y, _ = interpret([(x, torch.ones(1, 4, 2, 2), (0, 1.0, 1.0, 1.0, 1), (3, 2))], tmp_path)[0]
    assert torch.equal(y.nan_to_num(-1), F.max_pool2d(x.relu(), 3, 2).nan_to_num(-1))
    assert y[0, 0].isnan().all()


SIZES = {
    **{"channels": 48, "before": 2, "after": 2, "has_relu": True, "has_norm": True},
    **{"all_channels": 96, "height": 55, "width": 55, "rows": 27, "columns": 27},
    **{"window": 3, "stride": 2, "is_large": False, "block": 512},
}
"""Arguments of kernels that are constants for Triton."""
TYPES = {"alpha": "fp32", "beta": "fp32", "k": "fp32", "numel": "i64", "places": "*u8"}
"""Of the others that are not activations."""


@pytest.mark.parametrize("capability", GPUS.values(), ids=GPUS)
@pytest.mark.parametrize("number_type", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("module", ["norms_triton", "relu_norm_pool_triton"])
def test_kernels_compile(
    module: str, number_type: str, capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a GPU's machine code, which needs no GPU."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    functions = vars(import_module(f"alexnet.ops.{module}"))
    kernels = [functions.get(name) for name in ("_forward", "_backward", "_unpool")]
    for kernel in filter(None, kernels):
        constants = {name: SIZES[name] for name in kernel.arg_names if name in SIZES}
        types = dict.fromkeys(constants, "constexpr") | TYPES
        signature = {name: types.get(name, f"*{number_type}") for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32))
        assert compiled.asm["cubin"]
