"""The response norm by the C kernel, by torch, and compiled: all the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from alexnet.models.network import create_model
from alexnet.ops.library import load_kernels
from alexnet.ops.norms import (
    MAX_KERNEL_CHANNELS,
    reference_backward,
    reference_norm,
    response_norm,
    triton_compiles_for,
)
from support.kernels import needs_kernels, torch_threads, without_kernels

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


def randn(*shape: int, seed: int = 0, scale: float = 100.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def exact(x: Tensor, g: Tensor, constants: Any) -> tuple[Tensor, Tensor]:
    """Norm and gradient in float64, by torch's own differentiation."""
    wide = x.double().requires_grad_()
    y = reference_norm(wide, *constants)
    y.backward(g.double())
    assert wide.grad is not None
    return y.detach(), wide.grad


@pytest.fixture(params=["kernel", "torch"])
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    """The C kernel or torch, whichever `response_norm` then uses on the CPU."""
    if request.param == "torch":
        with without_kernels():
            yield "torch"
    elif load_kernels() is None:
        pytest.skip("no C compiler here")
    else:
        yield "kernel"


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_norm_and_gradient_are_exact(
    implementation: str, constants: Any, memory_format: torch.memory_format
) -> None:
    x = randn(3, 16, 5, 7).contiguous(memory_format=memory_format).requires_grad_()
    g = randn(3, 16, 5, 7, seed=1, scale=1.0).contiguous(memory_format=memory_format)
    y = response_norm(x, *constants)
    y.backward(g)
    expected, grad = exact(x.detach(), g, constants)
    assert y.stride() == x.stride()
    assert x.grad is not None
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(x.grad.double(), grad, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    ("dtype", "half_step"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)], ids=str
)
@pytest.mark.parametrize("constants", CONSTANTS)
def test_half_types_are_the_float32_result_rounded_once(
    implementation: str, constants: Any, dtype: torch.dtype, half_step: float
) -> None:
    """Values above 256, whose squares are beyond fp16, too."""
    x, g = randn(2, 16, 3, 3, scale=400).to(dtype), randn(2, 16, 3, 3, seed=1).to(dtype)
    assert x.abs().max() > 1000
    for found, expected in (
        (NORM(x, *constants), reference_norm(x.float(), *constants)),
        (GRADIENT(x, g, *constants), reference_backward(x.float(), g.float(), *constants)),
    ):
        assert found.dtype == dtype
        step = half_step * expected.abs() + 1e-6  # at most half the distance of two numbers
        assert bool(((found.float() - expected).abs() <= 1.01 * step).all())


def test_a_view_of_a_larger_tensor(implementation: str) -> None:
    whole = randn(2, 16, 6, 6)
    part = whole[:, 4:12, 1:5, ::2]
    found = response_norm(part, *PAPER)
    torch.testing.assert_close(found, response_norm(part.contiguous(), *PAPER))


@needs_kernels
def test_values_that_are_not_finite_stay_so() -> None:
    x = torch.tensor([1.0, float("nan"), 1, 1, 1, float("inf"), 1])[None, :, None, None]
    found = NORM(x, 3, 1e-4, 0.75, 2.0, 1).flatten()
    assert found.isnan().tolist() == [True, True, True, False, False, True, False]
    assert found[4] == found[6] == 0  # beside the infinite square
    assert bool(NORM(x.bfloat16(), 3, 1e-4, 0.75, 2.0, 1).isnan().any())


@needs_kernels
def test_threads_change_no_bit() -> None:
    x, g = randn(3, 96, 11, 11), randn(3, 96, 11, 11, seed=1)
    results = []
    for threads in (1, 2, 3):
        with torch_threads(threads):
            results.append((NORM(x, *PAPER), GRADIENT(x, g, *PAPER)))
    assert all(torch.equal(a, b) for one in results for a, b in zip(one, results[0], strict=True))


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 4, 1, 3), (0, 4, 3, 3), (1, 7, 2, 2)])
def test_small_and_empty_activations(implementation: str, shape: tuple[int, ...]) -> None:
    x = randn(*shape)
    torch.testing.assert_close(response_norm(x, *PAPER), reference_norm(x, *PAPER))


@pytest.mark.parametrize(("channels", "size"), [(MAX_KERNEL_CHANNELS + 1, 5), (8, 1 << 20)])
def test_what_is_too_large_for_the_stack_is_left_to_torch(channels: int, size: int) -> None:
    x = randn(1, channels, 1, 1)
    found = NORM(x, size, 1e-4, 0.75, 2.0, 1)
    if channels > size:
        assert torch.equal(found, reference_norm(x, size, 1e-4, 0.75, 2.0, 1))
    else:  # every window contains all channels
        expected = x * (2 + 1e-4 * x.square().sum()) ** -0.75
        torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_the_custom_operation_follows_torchs_rules() -> None:
    x = randn(2, 8, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    torch.library.opcheck(NORM, (x, *PAPER))


@pytest.mark.parametrize(("size", "groups"), [(0, 1), (-3, 1), (5, 0), (5, 5)])
def test_what_would_leave_the_activations_is_refused_by_the_operation_itself(
    size: int, groups: int
) -> None:
    x, constants = randn(2, 12, 3, 3), (size, 1.0, 0.75, 2.0, groups)
    for operation, tensors in ((NORM, [x]), (GRADIENT, [x, x])):
        with pytest.raises(ValueError, match=r"at least 1|cannot be split"):
            operation(*tensors, *constants)
    with pytest.raises(ValueError, match=r"a gradient of shape \[2, 12, 3, 2\] for"):
        GRADIENT(x, x[..., :2], *PAPER)


def test_the_reference_gradient_is_exact() -> None:
    x = randn(2, 6, 2, 2, scale=2.0).double().requires_grad_()
    for constants in ((3, 0.3, 0.75, 1.0, 2), (4, 0.3, 0.6, 1.0, 1)):
        assert torch.autograd.gradcheck(lambda t, c=constants: response_norm(t, *c), x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about itself
def test_transforms_and_forward_derivatives_are_those_of_the_reference() -> None:
    """A custom operation would have 0 for a forward derivative, and no rule for `torch.func`."""
    constants = (3, 0.3, 0.75, 1.0, 2)
    x, tangent = randn(2, 6, 2, 2, scale=2.0).double(), randn(2, 6, 2, 2, seed=1).double()

    def norm(t: Tensor) -> Tensor:
        return response_norm(t, *constants)

    def reference(t: Tensor) -> Tensor:
        return reference_norm(t, *constants)

    for transform in (
        lambda f: torch.func.jvp(f, (x,), (tangent,))[1],
        lambda f: torch.func.grad(lambda t: f(t).sin().sum())(x),
        lambda f: torch.func.hessian(lambda t: f(t).sin().sum())(x[:1]),
        lambda f: torch.func.vmap(f)(x[None]),
        lambda f: forward_derivative(f, x, tangent),
    ):
        found = transform(norm)
        torch.testing.assert_close(found, transform(reference), rtol=1e-12, atol=1e-12)
        assert found.any()


def forward_derivative(f: Callable[[Tensor], Tensor], x: Tensor, tangent: Tensor) -> Tensor:
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(f(forward_ad.make_dual(x, tangent))).tangent
    assert found is not None
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, about itself
def test_a_network_has_a_forward_derivative() -> None:
    network = create_model("alexnet", width=0.05, input_size=67, num_classes=3).double().eval()
    x, tangent = randn(1, 3, 67, 67).double(), randn(1, 3, 67, 67, seed=1).double()
    _, found = torch.func.jvp(network, (x,), (tangent,))
    x.requires_grad_()
    for logit, derivative in zip(network(x)[0], found[0], strict=True):
        (gradient,) = torch.autograd.grad(logit, x, retain_graph=True)
        torch.testing.assert_close(derivative, (gradient * tangent).sum())
        assert derivative != 0


@pytest.mark.parametrize("groups", [1, 4])
def test_without_an_offset_channels_outside_a_group_add_nothing(
    implementation: str, groups: int
) -> None:
    """The windows there are empty, and 0 ** -0.75 is infinite."""
    x, g = torch.tensor([1.0, 2, 3, 0] * groups)[None, :, None, None], torch.ones(1)
    g = g.expand_as(x)
    constants = (5, 1.0, 0.75, 0.0, groups)
    _, expected = exact(x, g, constants)
    assert expected[0, :4, 0, 0].tolist() == pytest.approx(
        [0.0493, -0.0395, -0.1283, 0.1461], abs=1e-4
    )
    torch.testing.assert_close(GRADIENT(x, g, *constants).double(), expected, rtol=1e-5, atol=1e-6)


class BrokenTriton:
    """Triton's driver where there is no C compiler."""

    @property
    def active(self) -> None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify one")


def test_on_a_gpu_where_triton_cannot_be_used_the_norm_is_torchs_and_a_warning_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiles_for, gpu = triton_compiles_for.__wrapped__, torch.device("cuda", 0)
    runtime, capability = SimpleNamespace(driver=mock.Mock()), mock.Mock(return_value=(9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_capability", capability)
    monkeypatch.setattr("alexnet.ops.norms.find_spec", lambda _: "found")
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "triton.runtime", runtime)
    assert compiles_for(gpu)
    runtime.driver = BrokenTriton()
    with pytest.warns(UserWarning, match=r"norm is slower .* Failed to find C compiler\. Please"):
        assert not compiles_for(gpu)
    capability.return_value = 6, 1
    with pytest.warns(UserWarning, match="it needs a newer GPU"):
        assert not compiles_for(gpu)
    monkeypatch.setattr("alexnet.ops.norms.find_spec", lambda _: None)
    assert not compiles_for(gpu), "without a warning, as on Windows"


def test_only_the_input_is_saved_for_backward() -> None:
    saved: list[Tensor] = []

    def save(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    x = randn(2, 8, 3, 3).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        response_norm(x, *PAPER)
    assert [tensor.data_ptr() for tensor in saved] == [x.data_ptr()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("constants", [PAPER, (4, 0.1, 0.6, 0.5, 2)])
def test_compiled_it_is_the_same(dtype: torch.dtype, constants: Any) -> None:
    """Float32 stays one operation; float64 is a sum of shifted channels, as on GPUs."""
    x, g = randn(2, 16, 5, 5).to(dtype).requires_grad_(), randn(2, 16, 5, 5, seed=1, scale=1.0)
    g = g.to(dtype)
    y = torch.compile(lambda t: response_norm(t, *constants), fullgraph=True)(x)
    y.backward(g)
    expected, grad = exact(x.detach(), g, constants)
    assert x.grad is not None
    torch.testing.assert_close(y.double(), expected, rtol=2e-6, atol=1e-5)
    torch.testing.assert_close(x.grad.double(), grad, rtol=2e-6, atol=2e-6)


def test_an_exported_network_has_no_operation_of_ours() -> None:
    net = create_model("alexnet", num_classes=3, device="meta").eval()
    images = torch.empty(1, *net.architecture.input, device="meta")
    program = torch.export.export(net, (images,))
    names = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert names
    assert not [name for name in names if "alexnet" in name]
