"""The processes that decode, from their start to their end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from alexnet.config.preprocessing import Preprocessing
from alexnet.errors import AlexNetError
from alexnet.serve.decode_worker import OK, DecodedUpload
from alexnet.serve.decoders import DecodeProcess, DecoderPool
from alexnet.serve.guard import Access
from alexnet.serve.limits import Limits
from alexnet.serve.problems import ProblemError
from alexnet.serve.server import allow_many_connections, bind, run_server
from alexnet.serve.service import Service
from support.serving import image_file, made_models

resource = pytest.importorskip("resource")
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


def test_what_a_process_wrote_before_it_ended_is_told(python: Path) -> None:
    write(python, "echo first >&2", "printf 'No module named \\033PIL\\n\\n' >&2", "exit 3")
    with pytest.raises(OSError, match=r"before it is ready: No module named \\x1bPIL$"):
        asyncio.run(DecoderPool(Limits(decoders=1)).start())


class SlowDecoder(DecodeProcess):
    """Starts at once, and answers late."""

    is_alive = True

    async def start(self) -> None:
        pass

    async def end(self) -> None:
        pass

    async def decode(self, content: bytes, preprocessing: Preprocessing) -> DecodedUpload:
        await asyncio.sleep(0.05)
        return DecodedUpload(OK, reason=content.decode())


def test_images_are_decoded_in_the_order_in_which_they_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alexnet.serve.decoders.DecodeProcess", SlowDecoder)
    monkeypatch.setattr("alexnet.serve.decoders.RESTART_SECONDS", 0.03)
    done: list[str] = []

    async def ask(pool: DecoderPool, name: str) -> None:
        done.append((await pool.decode(name.encode(), Preprocessing())).reason)

    async def ask_all() -> None:
        pool = DecoderPool(Limits(decoders=1))
        await pool.start()
        requests = []
        for name in "abcdefgh":
            requests.append(asyncio.create_task(ask(pool, name)))
            await asyncio.sleep(0.011)
        await asyncio.gather(*requests)

    asyncio.run(ask_all())
    assert "".join(done) == "abcdefgh"


def test_a_process_that_is_given_to_a_request_which_ends_is_given_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alexnet.serve.decoders.DecodeProcess", SlowDecoder)

    async def ask_all() -> tuple[str, int]:
        pool = DecoderPool(Limits(decoders=1))
        await pool.start()
        one = await pool._next_idle()
        lost, another = (
            asyncio.create_task(pool.decode(name, Preprocessing())) for name in (b"a", b"b")
        )
        await asyncio.sleep(0)
        pool._give(one)
        lost.cancel()
        async with asyncio.timeout(5):
            decoded = await another
        return decoded.reason, len(pool._idle)

    assert asyncio.run(ask_all()) == ("b", 1)


@pytest.mark.parametrize("num_decoders", [1, 6])
def test_processes_that_cannot_be_started_are_tried_ever_more_rarely(
    num_decoders: int, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.serve.decoders.DecodeProcess", SlowDecoder)
    monkeypatch.setattr("alexnet.serve.decoders.RESTART_SECONDS", 0.02)
    attempts: list[str] = []

    async def fail(self: DecodeProcess) -> None:
        attempts.append("")
        raise OSError("none")

    async def lose_all() -> None:
        pool = DecoderPool(Limits(decoders=num_decoders))
        await pool.start()
        with monkeypatch.context() as broken:
            broken.setattr(SlowDecoder, "start", fail)
            for one in [*pool._all]:
                pool._idle.clear()
                pool._replace(one)
            await asyncio.sleep(0.4)
            assert num_decoders + 2 <= len(attempts) <= num_decoders + 5  # after .02, .06, .14, .3
        while pool.num_alive < num_decoders:
            await asyncio.sleep(0.01)
        await pool.close()

    asyncio.run(lose_all())


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


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.004, 0.02, 0.3])
def test_no_process_is_left_by_a_start_that_is_cancelled(seconds: float, python: Path) -> None:
    write(python, 'echo $$ >> "$0.started"', "exec sleep 60")

    async def start() -> None:
        pool = DecoderPool(Limits(decoders=3))
        starting = asyncio.create_task(pool.start())
        await asyncio.sleep(seconds)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(start())
    started = python.with_name("python.started")
    for process in started.read_text().split() if started.exists() else ():
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)
    assert seconds < 0.3 or started.exists()


def test_a_server_that_is_asked_to_end_while_it_starts_is_never_ready(python: Path) -> None:
    write(python, "exec sleep 60")
    service = Service(made_models("lenet5"), Limits(decoders=2))
    kill = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    begin = time.monotonic()
    with bind("127.0.0.1", 0) as listener:
        kill.start()
        run_server(service, Access(), listener, lambda: pytest.fail("it is not ready"))
    assert time.monotonic() - begin < 20
    assert service.decoders.num_alive == 0


@pytest.mark.parametrize(
    ("soft", "hard", "largest", "expected"),
    [
        (1024, 524_288, 524_288, 524_288),
        (256, resource.RLIM_INFINITY, 100_000, 65_536),  # a Mac
        (256, resource.RLIM_INFINITY, 20_000, 10_240),
        (256, resource.RLIM_INFINITY, 1_000, 256),
        (20_000, resource.RLIM_INFINITY, 20_000, 20_000),
        (256, 50_000, 20_000, 10_240),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 10, resource.RLIM_INFINITY),
    ],
)
def test_as_many_files_as_the_system_allows(
    soft: int, hard: int, largest: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [soft, hard]

    def set_limits(which: int, limits: tuple[int, int]) -> None:
        assert (which, limits[1]) == (resource.RLIMIT_NOFILE, hard)
        if limits[0] == resource.RLIM_INFINITY or limits[0] > largest:
            raise ValueError("current limit exceeds maximum limit")
        now[0] = limits[0]

    monkeypatch.setattr(resource, "getrlimit", lambda which: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    allow_many_connections()
    assert now == [expected, hard]


def test_a_server_whose_decoders_cannot_start_says_so(python: Path) -> None:
    write(python, "exit 3")
    service = Service(made_models("lenet5"), Limits(decoders=1))
    with (
        bind("127.0.0.1", 0) as listener,
        pytest.raises(AlexNetError, match="cannot start: a process that decodes images ends"),
    ):
        run_server(service, Access(), listener, lambda: pytest.fail("it is not ready"))
