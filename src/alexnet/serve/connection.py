"""HTTP connections: a limited number, whose clients must send their requests in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import h11
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from alexnet.serve.guard import SECURITY_HEADERS
from alexnet.serve.problems import ProblemError

HEAD_SECONDS = 10.0
"""Seconds from a connection's start, or from the first byte of another request, to the end of the
request's head; and from an answer to the end of a body that it did not wait for. Uvicorn has no
such limit."""
SEND_SECONDS = 30.0
"""Seconds in which a client whose connection is full of answers must read some of them. Uvicorn has
no such limit."""


class LimitedConnection(H11Protocol):
    """An HTTP connection with time limits for request heads, unread bodies, and reading clients.

    Args:
        max_connections: open at once; one more is answered 503, and closed.
    """

    _timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, max_connections: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.max_connections = max_connections

    def connection_made(self, transport: Any) -> None:
        """Start the time limit for the first head; refuse a connection above the maximum."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self.app = _refuse
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Parse the data; while a head or an answered body is incomplete, a time limit runs."""
        had_rest = self._has_rest()
        super().data_received(data)
        if had_rest and not self._has_rest():  # the next head has a time of its own
            self._stop_timer()
        self._watch()

    def on_response_complete(self) -> None:
        """Start the time limits for the rest of the request's body and for the client to read."""
        super().on_response_complete()
        if self._has_rest():
            self._watch()
        self._watch_sending()

    def pause_writing(self) -> None:
        """Start the time limit for the client to read some of the answer."""
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        """Stop the time limit for reading, since the client has read."""
        super().resume_writing()
        self._stop_send_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all time limits."""
        self._stop_timer()
        self._stop_send_timer()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE and not self._has_rest():
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _has_rest(self) -> bool:
        """Whether the body of an answered request is still being received."""
        is_body = self.conn.their_state is h11.SEND_BODY
        return is_body and self.cycle is not None and self.cycle.response_complete

    def _watch_sending(self) -> None:
        """Start the time limit for the client to read, or stop it if everything is sent."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._stop_send_timer()
        elif self._send_timer is None:
            self._send_timer = self.loop.call_later(SEND_SECONDS, self._check_sending, unsent)

    def _check_sending(self, before: int) -> None:
        self._send_timer = None
        if self.transport.get_write_buffer_size() < before:
            self._watch_sending()
        else:
            self.transport.abort()  # its close would wait until all is read

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 503 on a connection above the maximum, and close it when the body has been read.

    A connection with bytes that nobody has read is reset, and the client may not see the answer.
    """

    async def send_begin(message: Message) -> None:
        is_body = message["type"] == "http.response.body"
        await send({**message, "more_body": True} if is_body else message)

    problem = ProblemError(503, "the server has as many connections as it takes; try again in 1 s")
    response = problem.response({**SECURITY_HEADERS, "Connection": "close"})
    await response(scope, receive, send_begin)
    with suppress(TimeoutError):
        async with asyncio.timeout(HEAD_SECONDS):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
