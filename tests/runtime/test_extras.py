"""The message for an optional package that is not installed."""

from __future__ import annotations

import pytest

from alexnet.errors import UsageError
from alexnet.runtime.extras import require_extra


def test_an_installed_package_is_no_error() -> None:
    require_extra("numpy", "onnx", "export")


def test_a_missing_package_names_the_command_that_installs_it() -> None:
    message = (
        r"^reading \.onnx needs the package no_such_package, which is not installed; "
        r'pip install "alexnet\[onnx\]"$'
    )
    with pytest.raises(UsageError, match=message):
        require_extra("no_such_package", "onnx", "reading .onnx")
