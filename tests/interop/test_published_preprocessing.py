"""The preprocessing of published programs, at full and at other sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alexnet.interop.published_preprocessing import published_preprocessing
from alexnet.models.zoo import ZOO


def test_torchvision() -> None:
    owt = published_preprocessing("published", ZOO["alexnet_owt"])
    assert (owt.resize, owt.resize_size, owt.crop_size) == ("shortest_edge", 256, 224)
    assert owt.mean == pytest.approx((123.675, 116.28, 103.53))
    assert owt.std == pytest.approx((58.395, 57.12, 57.375))


def test_caffe() -> None:
    caffe = published_preprocessing("published", ZOO["caffenet"])
    assert (caffe.resize, caffe.resize_size, caffe.crop_size) == ("stretch", 256, 227)
    assert (caffe.mean, caffe.std) == ((122.679, 116.669, 104.007), (1, 1, 1))


def test_notebook() -> None:
    notebook = published_preprocessing("published", ZOO["alexnet_notebook"])
    assert (notebook.resize, notebook.resize_size) == ("stretch", 224)
    assert notebook.input_side == 224
    assert (notebook.mean, notebook.std) == ((0, 0, 0), (255, 255, 255))


def test_gray_input() -> None:
    assert published_preprocessing("published", ZOO["lenet5"]).channels == 1


def test_another_input_size_keeps_the_ratio_of_resize_to_crop() -> None:
    small = replace(ZOO["alexnet_owt"], input=(3, 112, 112))
    sizes = published_preprocessing("published", small)
    assert (sizes.resize_size, sizes.crop_size) == (128, 112)


def test_an_option_overrides_the_architecture() -> None:
    other = published_preprocessing("torchvision", ZOO["caffenet"])
    assert other == replace(
        published_preprocessing("published", ZOO["alexnet_owt"]), resize_size=259, crop_size=227
    )
