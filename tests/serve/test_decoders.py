"""The processes that decode, from their start to their end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import AlexNetError
from alexnet.serve.decode_worker import OK, DecodedUpload
from alexnet.serve.decoders import DecodeProcess, DecoderPool
from alexnet.serve.guard import Access
from alexnet.serve.limits import Limits
from alexnet.serve.problems import ProblemError
from alexnet.serve.server import bind, run_server
from alexnet.serve.service import Service
from support.serving import image_file, made_models

PYTHON = sys.executable
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


@pytest.mark.slow
def test_a_process_that_starts_slowly_costs_no_image(python: Path) -> None:
    write(python, "sleep 6", f'exec "{PYTHON}" "$@"')

    async def decode() -> DecodedUpload:
        pool = DecoderPool(Limits(decoders=1, decode_seconds=5))
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
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.serve.decoders.START_SECONDS", 0.5)
    write(python, "exec sleep 60")

    async def start() -> int | None:
        process = DecodeProcess(Limits(decoders=1))
        with pytest.raises(OSError, match="decodes images hangs before it is ready"):
            await process.start()
        return process.process.returncode

    assert asyncio.run(start()) == -signal.SIGKILL


def test_of_processes_that_cannot_start_none_is_left(python: Path) -> None:
    write(python, 'mkdir "$0.first" || exit 3', f'exec "{PYTHON}" "$@"')

    async def start() -> DecoderPool:
        pool = DecoderPool(Limits(decoders=2))
        with pytest.raises(OSError, match="ends before it is ready"):
            await pool.start()
        return pool

    assert not any(one.is_alive for one in asyncio.run(start())._all)


def test_without_a_process_that_can_be_started_nobody_waits(
    python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.serve.decoders.RESTART_SECONDS", 0.05)
    write(python, f'exec "{PYTHON}" "$@"')

    async def decode() -> DecodedUpload:
        pool = DecoderPool(Limits(decoders=1))
        await pool.start()
        try:
            write(python, "exit 3")
            for one in pool._all:
                one.process.kill()
                await one.process.wait()
            with pytest.raises(ProblemError, match="no process that decodes images") as raised:
                await pool.decode(image_file(), Preprocessing())
            assert raised.value.status == 503
            write(python, f'exec "{PYTHON}" "$@"')
            while not pool.num_alive:
                await asyncio.sleep(0.05)
            return await pool.decode(image_file(), Preprocessing())
        finally:
            await pool.close()

    assert asyncio.run(decode()).status == OK


def test_a_server_whose_decoders_cannot_start_says_so(python: Path) -> None:
    write(python, "exit 3")
    service = Service(made_models("lenet5"), Limits(decoders=1))
    with (
        bind("127.0.0.1", 0) as listener,
        pytest.raises(AlexNetError, match="cannot start: a process that decodes images ends"),
    ):
        run_server(service, Access(), listener, lambda: pytest.fail("it is not ready"))
