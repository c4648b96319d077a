"""Connections whose clients keep them busy: none is held for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from alexnet.serve import connection
from alexnet.serve.connection import LimitedConnection

REFUSED = PlainTextResponse("send the server's token", 401)
BUFFER_BYTES = 65_536
"""Of each socket, which the system may double."""
LARGE = PlainTextResponse("x" * 30 * BUFFER_BYTES)
"""Fills every buffer between the server and a client."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)


async def exchange(head: bytes, pieces: list[bytes]) -> bytes:
    """What a server answers to a head, and to pieces that it is sent after that, until it closes.

    Raises:
        TimeoutError: it does not close.
    """
    config = uvicorn.Config(REFUSED, log_config=None, lifespan="off", ws="none")
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedConnection(config, ServerState(), {}, max_connections=9), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(head)
        answer = await reader.readuntil(b"token")
        try:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0.02)
                answer += await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()
            await asyncio.sleep(0.01)
    return answer


@pytest.mark.parametrize("num_bytes", [1, 15])
def test_a_body_that_is_answered_already_must_end(num_bytes: int) -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    answer = asyncio.run(exchange(head, [b"x"] * num_bytes))
    assert answer.count(b"HTTP/1.1 401 ") == 1


def test_after_a_body_that_ends_another_request_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 20.0)  # a busy machine sends late
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    another = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = asyncio.run(exchange(head, [b"x", b"x", b"x", another]))
    assert answer.count(b"HTTP/1.1 401 ") == 2


async def uploaded(num_sent: int, num_announced: int) -> bytes:
    """The answer to a body on a connection too many, until it is closed."""
    config = uvicorn.Config(REFUSED, log_config=None, lifespan="off", ws="none")
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedConnection(config, ServerState(), {}, max_connections=0), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {num_announced}\r\n\r\n"
        writer.write(head.encode())
        await asyncio.sleep(0.05)  # the answer is on its way
        writer.write(bytes(num_sent))
        await asyncio.wait_for(writer.drain(), 30)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    return answer


def test_a_large_upload_on_a_connection_too_many_sees_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 20.0)
    answer = asyncio.run(uploaded(20_000_000, 20_000_000))
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"as many connections as it takes" in answer


def test_a_connection_too_many_is_not_held_by_its_upload() -> None:
    answer = asyncio.run(uploaded(10, 1_000_000))
    assert answer.startswith(b"HTTP/1.1 503 ")


@contextlib.asynccontextmanager
async def opened(
    request: bytes,
) -> AsyncIterator[tuple[asyncio.StreamReader, set[LimitedConnection]]]:
    """The answer to a request, to be read, and the server's connections."""
    config, state = uvicorn.Config(LARGE, log_config=None, lifespan="off", ws="none"), ServerState()
    listener, client = socket.create_server(("127.0.0.1", 0)), socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    server = await asyncio.get_running_loop().create_server(
        lambda: LimitedConnection(config, state, {}, max_connections=9), sock=listener
    )
    async with server:
        client.connect(listener.getsockname())
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(request)
        yield reader, state.connections  # type: ignore[misc]
        writer.close()


@pytest.mark.parametrize("words", ["", "Connection: close\r\n"])
@pytest.mark.parametrize("num_requests", [1, 2])
def test_a_client_that_reads_nothing_is_broken_off(
    words: str, num_requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)
    request = f"GET / HTTP/1.1\r\nHost: a\r\n{words}\r\n".encode()

    async def ask() -> None:
        async with opened(request * num_requests) as (_, connections):
            await asyncio.sleep(0.05)
            assert len(connections) == 1
            async with asyncio.timeout(20):
                while connections:
                    await asyncio.sleep(0.01)

    asyncio.run(ask())


def test_a_client_that_reads_slowly_gets_its_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.3)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    async def ask() -> bytes:
        pieces = []
        async with opened(request) as (reader, _):
            while piece := await reader.read(BUFFER_BYTES):
                pieces.append(piece)
                await asyncio.sleep(0.02)
        return b"".join(pieces)

    assert asyncio.run(ask()).count(b"x" * 1000) == 30 * BUFFER_BYTES // 1000
