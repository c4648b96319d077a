"""Waiting threads sleep early and leave the core to other programs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from alexnet.runtime.openmp import SPIN_COUNT, limit_openmp_spinning

NAMES = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_of_the_user_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in NAMES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "active")
    before = dict(os.environ)
    assert not limit_openmp_spinning()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_command_sets_it_before_torch_is_imported() -> None:
    code = """
import os, sys
import alexnet.cli, alexnet.runtime.openmp
def limit():
    assert "torch" not in sys.modules
    return alexnet.runtime.openmp.limit_openmp_spinning()
alexnet.cli.limit_openmp_spinning = limit
alexnet.cli.main(["doctor"])
assert "torch" in sys.modules
print(os.environ["GOMP_SPINCOUNT"])
"""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == str(SPIN_COUNT)
