"""Exported networks, which the tests of a session share."""

from __future__ import annotations

import functools

import pytest

from alexnet.interop.exporter import export_model
from support.narrow_nets import narrow_classifier
from support.onnx_files import OnnxExport, OnnxExports


@pytest.fixture(scope="session")
def onnx_exports(tmp_path_factory: pytest.TempPathFactory) -> OnnxExports:
    """The narrow net of a name as an ONNX file; torch's exporter takes a second for each."""

    @functools.cache
    def export(name: str) -> OnnxExport:
        path = tmp_path_factory.mktemp("onnx") / f"{name}.onnx"
        report = export_model(narrow_classifier(name), path, "onnx")
        assert report.is_close
        return OnnxExport(path, report)

    return export
