"""The C kernels are loaded where they can be used, and take only what they can compute."""

from __future__ import annotations

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.ops import library
from alexnet.ops.library import (
    describe_kernels,
    describe_search,
    kernels_note,
    load_compatible_kernels,
    load_kernels,
)
from alexnet.ops.tensors import check_float32
from support.kernels import built_kernels, needs_kernels


def test_they_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALEXNET_KERNELS", "0")
    assert load_kernels() is None
    assert describe_kernels() == "torch"
    assert kernels_note() == "", "the user knows"
    assert describe_search().kernels_from == "none: ALEXNET_KERNELS is 0"


def test_where_there_are_none_a_note_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_search", lambda: (None, "there is no C compiler; install one"))
    start = "training and inference on the CPU are slower without the C kernels: "
    assert kernels_note() == f"{start}there is no C compiler; install one"
    assert describe_search().kernels_from == "none: there is no C compiler; install one"


@needs_kernels
def test_loaded_once_and_described() -> None:
    assert load_kernels() is built_kernels()
    kernels = built_kernels()
    assert describe_kernels().startswith(f"{kernels.compiler}, {kernels.instruction_set}")
    assert kernels.compiler.split()[0] in ("gcc", "clang")


@needs_kernels
def test_layers_of_another_cpu_are_rejected() -> None:
    block = built_kernels().int8_output_block
    assert load_compatible_kernels(block) is built_kernels()
    with pytest.raises(UsageError, match="another kind of CPU"):
        load_compatible_kernels(block + 1)


@needs_kernels
def test_tensors_on_other_devices_are_rejected() -> None:
    with pytest.raises(ValueError, match="compute on the CPU, not on meta"):
        built_kernels().call("response_norm_f32", torch.empty(1, device="meta"))


@pytest.mark.parametrize("values", [[1, 2], [1.0, 2.0]])
def test_numbers_of_64_bits_are_rejected(values: list[float]) -> None:
    """Made of whole numbers or by float64, a mean would be read as garbage."""
    tensor = torch.tensor(values, dtype=torch.float64 if isinstance(values[0], float) else None)
    with pytest.raises(ValueError, match="do not compute with torch"):
        built_kernels().call("response_norm_f32", tensor)


def test_float32_is_checked() -> None:
    check_float32(torch.zeros(1))
    with pytest.raises(ValueError, match=r"float32, not torch\.float16"):
        check_float32(torch.zeros(1), torch.zeros(1).half())
