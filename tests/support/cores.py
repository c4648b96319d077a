"""A process that may use some of the cores of its machine."""

from __future__ import annotations

import os

import pytest


def set_cores(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let this process believe that it may use so many."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(number), raising=False)
