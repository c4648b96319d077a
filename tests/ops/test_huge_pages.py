"""Large weights on huge pages."""

from __future__ import annotations

import errno
import mmap
import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from alexnet.ops.huge_pages import PAGE_BYTES, on_huge_pages
from support.kernels import randn

has_huge_pages = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has them")
LARGE = {
    "int8": randn(3, PAGE_BYTES).to(torch.int8),
    "bf16": randn(2, PAGE_BYTES).to(torch.bfloat16),
    "channels_last": randn(64, 256, 8, 8).contiguous(memory_format=torch.channels_last),
}


@has_huge_pages
@pytest.mark.parametrize("name", LARGE)
def test_a_copy_begins_at_a_page(name: str) -> None:
    tensor = LARGE[name]
    copy = on_huge_pages(tensor)
    assert copy.data_ptr() % PAGE_BYTES == 0
    assert copy.data_ptr() != tensor.data_ptr()
    assert copy.stride() == tensor.stride()
    assert torch.equal(copy, tensor)


@has_huge_pages
def test_linux_gives_its_memory_huge_pages() -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("this system has none")
    copy = on_huge_pages(LARGE["int8"])
    smaps = Path("/proc/self/smaps").read_text().splitlines()
    regions: dict[tuple[int, int], int] = {}
    region = (0, 0)
    for line in smaps:
        key, *rest = line.split()
        if key.endswith(":"):
            if key == "AnonHugePages:":
                regions[region] = int(rest[0]) << 10
        else:
            start, end = (int(address, 16) for address in key.split("-"))
            region = start, end
    found = [size for (a, b), size in regions.items() if a <= copy.data_ptr() < b]
    assert found
    assert found[0] >= PAGE_BYTES


@pytest.mark.parametrize(
    "tensor",
    [randn(7), randn(2048, 1024).T, randn(4096, 1024)[:, ::2], torch.empty(1 << 24, device="meta")],
    ids=["small", "transposed", "with gaps", "meta"],
)
def test_others_are_returned_as_they_are(tensor: Tensor) -> None:
    assert on_huge_pages(tensor) is tensor


def test_so_is_every_tensor_where_the_system_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    assert on_huge_pages(LARGE["int8"]) is LARGE["int8"]


@has_huge_pages
def test_and_where_a_process_may_have_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    assert on_huge_pages(LARGE["int8"]) is LARGE["int8"]


def test_a_parameter_on_them_is_pickled_without_what_is_around_it() -> None:
    weight = nn.Parameter(on_huge_pages(LARGE["bf16"]), requires_grad=False)
    bytes_ = pickle.dumps(weight)
    assert len(bytes_) < weight.numel() * weight.element_size() + 10_000
    assert torch.equal(pickle.loads(bytes_), weight)
