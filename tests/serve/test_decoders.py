"""The processes that decode, from their start to their end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from alexnet.config.preprocessing import Preprocessing
from alexnet.serve.decode_worker import OK, DecodedUpload
from alexnet.serve.decoders import DecoderPool
from alexnet.serve.limits import Limits
from support.serving import image_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a shell")


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is started in place of this Python."""
    path = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def write(path: Path, *lines: str) -> None:
    path.write_text("\n".join(("#!/bin/sh", *lines)))
    path.chmod(0o755)


def test_a_process_that_starts_slowly_costs_no_image(python: Path) -> None:
    write(python, "sleep 2", f'exec "{sys.orig_argv[0]}" "$@"')

    async def decode() -> DecodedUpload:
        pool = DecoderPool(Limits(decoders=1, decode_seconds=1.5))
        await pool.start()
        try:
            return await pool.decode(image_file(), Preprocessing())
        finally:
            await pool.close()

    assert asyncio.run(decode()).status == OK


def test_a_process_that_ends_at_once_is_told(python: Path) -> None:
    write(python, "exit 3")
    with pytest.raises(OSError, match="decodes images ends before it is ready"):
        asyncio.run(DecoderPool(Limits(decoders=1)).start())


def test_a_process_that_hangs_is_told_and_ended(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.serve.decoders.START_SECONDS", 0.5)
    write(python, f'echo $$ > "{tmp_path}/pid"', "exec sleep 60")
    with pytest.raises(OSError, match="decodes images hangs before it is ready"):
        asyncio.run(DecoderPool(Limits(decoders=1)).start())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
