"""The header of files of pretrained layers: of this version, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from alexnet.checkpoints.file_header import HEADER_KEY
from alexnet.checkpoints.pretrained_layers import LAYERS_FORMAT, PretrainedInfo, read_pretrained
from alexnet.checkpoints.tensors import FORMAT, FORMAT_KEY
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.recipe import DataOptions
from alexnet.config.serialization import to_dict
from alexnet.errors import ModelFileError
from alexnet.models.zoo import LENET5
from alexnet.reporter import NullReporter
from alexnet.training.initial_weights import read_source

INFO = PretrainedInfo(
    pretrained=("conv1",), kind="rbm", architecture=LENET5, preprocessing=Preprocessing(),
    manifest_hash="", data_options=DataOptions(), seed=0,
)  # fmt: skip


def write(path: Path, **changes: Any) -> Path:
    """A file of pretrained layers whose header has other values; None removes one."""
    header = {FORMAT_KEY: FORMAT, **to_dict(INFO), **changes}
    text = json.dumps({key: value for key, value in header.items() if value is not None})
    save_file({"conv1.weight": np.zeros(1, np.float32)}, path, metadata={HEADER_KEY: text})
    return path


def test_the_header_is_read_and_other_files_have_none(tmp_path: Path) -> None:
    assert read_pretrained(write(tmp_path / "a.safetensors")) == INFO
    assert read_pretrained(write(tmp_path / "b.safetensors", pretrained=None)) is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"layers_format": None}, r"an older version of alexnet \(format 1, .*: .* pretrain the"),
        ({"layers_format": LAYERS_FORMAT + 1}, "a newer version of alexnet .*: install that ver"),
        ({FORMAT_KEY: FORMAT - 1}, "an older version of alexnet"),
        ({"seed": "zero"}, "cannot be used: .*seed must be int"),
    ],
)
def test_another_format_is_refused(tmp_path: Path, changes: Any, text: str) -> None:
    path = write(tmp_path / "a.safetensors", **changes)
    with pytest.raises(ModelFileError, match=text):
        read_pretrained(path)
    with pytest.raises(ModelFileError, match=text):
        read_source(path, LENET5, NullReporter())
