"""What every test may lean on: the folder of goldens beside the checkout, and hypothesis' settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Derandomized: a red run is the same run for everybody. No deadline: the machine may be busy.
settings.register_profile("alexnet", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("alexnet")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout, or $ALEXNET_SHARED."""
    folder = Path(os.environ.get("ALEXNET_SHARED") or Path(__file__).parents[2] / "shared")
    if not folder.is_dir():
        pytest.skip(f"needs the folder {folder} with goldens and data; or set ALEXNET_SHARED")
    return folder
