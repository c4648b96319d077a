"""The fixtures of all tests are in support/fixtures.py.

A process that only hands out tests to its workers (`pytest -n 2`) does without them, and so without
torch: it starts seconds sooner.
"""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    hands_out_tests = config.getoption("numprocesses", default=None)  # None in a worker
    if not hands_out_tests:
        config.pluginmanager.import_plugin("support.fixtures")
