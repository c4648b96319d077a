"""The response norm's three ways of computing: the kernel, torch, and compiled; all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import alexnet.ops.norms
from alexnet.models.network import create_model
from alexnet.ops.library import LARGEST_ROW, Kernels, describe_kernels, kernels
from alexnet.ops.norms import reference_backward, reference_norm, response_norm
from support.kernels import built, has_kernels

PAPER = (5, 1e-4, 0.75, 2.0, 1)
CONSTANTS = [
    PAPER,
    (5, 2e-5, 0.75, 1.0, 2),
    (3, 0.3, 0.75, 1.0, 4),
    (4, 0.1, 0.6, 0.5, 2),
    (9, 1e-3, 1.0, 1.0, 1),
]
FORMATS = [torch.channels_last, torch.contiguous_format]
NORM, GRADIENT = torch.ops.alexnet.response_norm, torch.ops.alexnet.response_norm_backward


def draw(*shape: int, seed: int = 0, scale: float = 100.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def exact(x: Tensor, g: Tensor, constants: Any) -> tuple[Tensor, Tensor]:
    """Norm and gradient in float64, by torch's own differentiation."""
    wide = x.double().requires_grad_()
    y = reference_norm(wide, *constants)
    y.backward(g.double())
    assert wide.grad is not None
    return y.detach(), wide.grad


@pytest.fixture(params=["kernel", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "kernel":
        if kernels() is None:
            pytest.skip("no C compiler here")
    else:
        monkeypatch.setattr(alexnet.ops.norms, "kernels", lambda: None)
    return str(request.param)


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_both_ways_give_the_exact_norm(
    way: str, constants: Any, memory_format: torch.memory_format
) -> None:
    x = draw(3, 16, 5, 7).contiguous(memory_format=memory_format).requires_grad_()
    g = draw(3, 16, 5, 7, seed=1, scale=1.0).contiguous(memory_format=memory_format)
    y = response_norm(x, *constants)
    y.backward(g)
    expected, slope = exact(x.detach(), g, constants)
    assert y.stride() == x.stride()
    assert x.grad is not None
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(x.grad.double(), slope, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("constants", CONSTANTS)
def test_bf16_is_the_float32_result_rounded_once(way: str, constants: Any) -> None:
    x, g = draw(2, 16, 3, 3).bfloat16(), draw(2, 16, 3, 3, seed=1).bfloat16()
    for found, expected in (
        (NORM(x, *constants), reference_norm(x.float(), *constants)),
        (GRADIENT(x, g, *constants), reference_backward(x.float(), g.float(), *constants)),
    ):
        assert found.dtype == torch.bfloat16
        step = 2**-8 * expected.abs() + 1e-6  # half the distance of neighbours, at most
        assert bool(((found.float() - expected).abs() <= 1.01 * step).all())


def test_columns_of_memory_that_are_no_whole_tensor(way: str) -> None:
    whole = draw(2, 16, 6, 6)
    part = whole[:, 4:12, 1:5, ::2]
    found = response_norm(part, *PAPER)
    torch.testing.assert_close(found, response_norm(part.contiguous(), *PAPER))


@has_kernels
def test_what_is_not_finite_stays_so() -> None:
    x = torch.tensor([1.0, float("nan"), 1, 1, 1, float("inf"), 1])[None, :, None, None]
    found = NORM(x, 3, 1e-4, 0.75, 2.0, 1).flatten()
    assert found.isnan().tolist() == [True, True, True, False, False, True, False]
    assert found[4] == found[6] == 0  # beside the infinite square
    assert bool(NORM(x.bfloat16(), 3, 1e-4, 0.75, 2.0, 1).isnan().any())


@has_kernels
def test_threads_change_no_bit() -> None:
    x, g = draw(3, 96, 11, 11), draw(3, 96, 11, 11, seed=1)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append((NORM(x, *PAPER), GRADIENT(x, g, *PAPER)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for one in results for a, b in zip(one, results[0], strict=True))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 4, 1, 3), (0, 4, 3, 3), (1, 7, 2, 2)])
def test_small_and_empty_maps(way: str, shape: tuple[int, ...]) -> None:
    x = draw(*shape)
    torch.testing.assert_close(response_norm(x, *PAPER), reference_norm(x, *PAPER))


@has_kernels
def test_rows_too_long_for_the_stack_are_left_to_torch() -> None:
    assert not built().takes(torch.empty(1, 96, 1, 1, device="meta"), 5)
    assert not built().takes(torch.empty(1, LARGEST_ROW + 1, 1, 1), 5)
    assert not built().takes(torch.empty(1, 96, 1, 1), LARGEST_ROW + 1)
    assert built().takes(torch.empty(1, 96, 1, 1), 5)


def test_the_operation_keeps_torchs_rules() -> None:
    x = draw(2, 8, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    torch.library.opcheck(NORM, (x, *PAPER))


def test_the_plain_gradient_is_exact() -> None:
    x = draw(2, 6, 2, 2, scale=2.0).double().requires_grad_()
    for constants in ((3, 0.3, 0.75, 1.0, 2), (4, 0.3, 0.6, 1.0, 1)):
        assert torch.autograd.gradcheck(lambda t, c=constants: response_norm(t, *c), x)


def test_only_the_input_is_kept() -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = draw(2, 8, 3, 3).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        response_norm(x, *PAPER)
    assert [tensor.data_ptr() for tensor in kept] == [x.data_ptr()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("constants", [PAPER, (4, 0.1, 0.6, 0.5, 2)])
def test_compiled_it_is_the_same(dtype: torch.dtype, constants: Any) -> None:
    """Float32 stays one operation; float64 takes the way of GPUs, a sum of shifted maps."""
    x, g = draw(2, 16, 5, 5).to(dtype).requires_grad_(), draw(2, 16, 5, 5, seed=1, scale=1.0)
    g = g.to(dtype)
    y = torch.compile(lambda t: response_norm(t, *constants), fullgraph=True)(x)
    y.backward(g)
    expected, slope = exact(x.detach(), g, constants)
    assert x.grad is not None
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(x.grad.double(), slope, rtol=2e-6, atol=2e-6)


def test_an_exported_net_asks_for_no_operation_of_ours() -> None:
    net = create_model("alexnet", num_classes=3, device="meta").eval()
    images = torch.empty(1, *net.architecture.input, device="meta")
    program = torch.export.export(net, (images,))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert names
    assert not [name for name in names if "alexnet" in name]


def fresh(monkeypatch: pytest.MonkeyPatch, folder: Path, **variables: str) -> Kernels | None:
    """The kernels as a new process would find them."""
    monkeypatch.setenv("ALEXNET_CACHE", str(folder))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return kernels.__wrapped__()


@has_kernels
def test_built_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fresh(monkeypatch, tmp_path)
    assert found is not None
    assert found.compiler == describe_kernels() != "torch"
    (library,) = (tmp_path / "kernels").iterdir()
    built_at = library.stat().st_mtime_ns
    assert fresh(monkeypatch, tmp_path) is not None
    assert [p.stat().st_mtime_ns for p in (tmp_path / "kernels").iterdir()] == [built_at]


@pytest.mark.parametrize(
    "variables", [{"CC": "no-such-compiler"}, {"CC": "false"}, {"ALEXNET_KERNELS": "0"}]
)
def test_without_a_compiler_torch_computes(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fresh(monkeypatch, tmp_path, **variables) is None
    assert not (tmp_path / "kernels").exists()


def test_without_a_cache_torch_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert fresh(monkeypatch, tmp_path / "file") is None


def test_the_word_for_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.ops.library.kernels", lambda: None)
    assert describe_kernels() == "torch"
