"""Where this program keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The user's cache folder for stores, downloads and kernels (`$ALEXNET_CACHE` moves it)."""
    return Path(os.environ.get("ALEXNET_CACHE") or platformdirs.user_cache_dir("alexnet"))
