"""Where the checkout and the shared data are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ALEXNET_SHARED") or ROOT.parent / "shared")
"""Goldens and real data, which are not part of the project; tests that need them skip without."""
REAL_DATA = Path(os.environ.get("ALEXNET_DATA") or SHARED / "data")
