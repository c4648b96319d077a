"""Cases that do what is forbidden, to test that a harness notices them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stress.workers import Cases, Ending


def cases(seed: int, folder: Path) -> Cases:
    """Each number is another forbidden action; 0 is none."""

    def try_one(index: int) -> Ending:
        outside = folder.parent / f"outside-{index}"
        if index == 1:
            time.sleep(60)
        elif index == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif index == 3:
            os._exit(7)
        elif index == 4:
            try:
                bytearray(1 << 30)
            except MemoryError:
                return Ending("out of memory", "MemoryError")
        elif index == 5:
            outside.write_text("x")
        elif index == 6:
            outside.mkdir()
        elif index == 7:
            subprocess.run([sys.executable, "-c", ""], check=False)
        return Ending("fine")

    return try_one
