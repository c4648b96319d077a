"""Threads that wait for each other let other programs have the core."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from alexnet.runtime.openmp import SPIN_COUNT, limit_openmp_spinning

NAMES = "GOMP_SPINCOUNT", "OMP_WAIT_POLICY"


@pytest.mark.parametrize("name", NAMES)
def test_what_the_user_says_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in NAMES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "active")
    before = dict(os.environ)
    assert not limit_openmp_spinning()
    assert dict(os.environ) == before


def test_a_command_says_it_before_torch_is_loaded() -> None:
    code = """
import os, sys
import alexnet.cli, alexnet.runtime.openmp
def told():
    assert "torch" not in sys.modules
    return alexnet.runtime.openmp.limit_openmp_spinning()
alexnet.cli.limit_openmp_spinning = told
alexnet.cli.main(["doctor"])
assert "torch" in sys.modules
print(os.environ["GOMP_SPINCOUNT"])
"""
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1] == str(SPIN_COUNT)
