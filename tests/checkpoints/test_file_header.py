"""Headers of model files, without their weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from alexnet.checkpoints.file_header import HEADER_KEY, read_architecture, read_header
from alexnet.checkpoints.model_file import load_model
from alexnet.errors import ModelFileError
from alexnet.training.run_folder import RunFolder


def test_the_architecture_of_a_file_and_of_a_run(trained: RunFolder) -> None:
    _, info, _ = load_model(trained.model)
    assert read_architecture(trained.model) == read_architecture(trained.path) == info.architecture
    assert read_header(trained.model)["class_names"] == list(info.class_names)


def test_it_needs_no_torch(trained: RunFolder) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from alexnet.checkpoints.file_header import read_architecture\n"
        "read_architecture(Path(sys.argv[1])); print('torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(trained.path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\n"


HEADERS = {
    "not a model file": "[]",
    "is not a model": '{"recipe": {}}',
    "cannot be used: Architecture must be an object": '{"architecture": 3}',
    "cannot be used: ": '{"architecture": {"name": "x", "layers": []}}',
}


@pytest.mark.parametrize("message", HEADERS)
def test_other_headers_are_refused(tmp_path: Path, message: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": np.zeros(1)}, path, metadata={HEADER_KEY: HEADERS[message]})
    with pytest.raises(ModelFileError, match=message):
        read_architecture(path)


def test_other_files_have_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"PK")
    assert read_header(tmp_path / "a.pth") == {}
    for path, message in (
        (tmp_path / "a.pth", "is not a model file"),
        (tmp_path / "b.pth", "there is no file"),
        (tmp_path, "without a model"),
    ):
        with pytest.raises(ModelFileError, match=message):
            read_architecture(path)
