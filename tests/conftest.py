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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests begin first, so that at the end no worker is left alone with one."""
    items.sort(key=_timeout, reverse=True)


def _timeout(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
