"""The server's process: how it starts, reloads, and ends without losing a request."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn

from alexnet.errors import AlexNetError, UsageError
from alexnet.io.text import error_text
from alexnet.serve.app import create_app
from alexnet.serve.connection import LimitedConnection
from alexnet.serve.guard import Access
from alexnet.serve.service import Service

KEEP_ALIVE_SECONDS = 30
DRAIN_SECONDS = 0.5
"""Seconds in which a server that was asked to end still answers requests on open connections; it
closes them with the answer. New connections are refused."""
MAX_STOP_SECONDS = 60
SIGNAL_SECONDS = 0.1
"""Seconds between two looks of a server that starts for a signal to end."""
MANY_FILES = (65_536, 10_240)
"""Limits of open files that are tried where the system refuses an unlimited number, as macOS
does."""
MAX_HEAD_BYTES = 16 << 10
BACKLOG = 1024


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address, not listening yet; port 0 chooses any free one.

    Raises:
        UsageError: the address is in use, or is none of this machine.
    """
    try:
        family, kind, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"there is no address {host}: {error_text(error)}") from error
    try:
        if os.name == "posix":  # on Windows this would share the port
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
    except OSError as error:
        bound.close()
        raise UsageError(f"cannot listen on {host} port {port}: {error_text(error)}") from error
    return bound


def address(listener: socket.socket) -> str:
    """The URL of a server, for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(
    service: Service, access: Access, listener: socket.socket, on_ready: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, and load the models again at every SIGHUP.

    Args:
        service: with its models loaded.
        access: who may ask.
        listener: from `bind`.
        on_ready: called when the first request can be answered.

    Raises:
        AlexNetError: no process that decodes images can be started, or a GPU has failed and
            computes nothing more in this process.
    """
    config = uvicorn.Config(
        create_app(service, access),
        http=partial(LimitedConnection, max_connections=service.limits.max_connections),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=MAX_STOP_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    allow_many_connections()
    # Uvicorn ends, and then raises the signal again that it was sent.
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    server = _Server(config, service, on_ready)
    try:
        server.run([listener])
        if server.start_error:
            raise AlexNetError(f"the server cannot start: {server.start_error}")
        if service.failure:
            raise AlexNetError(f"the server has ended: {service.failure}")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def allow_many_connections() -> None:
    """Raise the limit of open files as far as the system allows."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, *MANY_FILES):
        is_more = soft != resource.RLIM_INFINITY and (limit == hard or limit > soft)
        if is_more and (hard == resource.RLIM_INFINITY or limit <= hard):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                return


def _ignore(number: int, frame: FrameType | None) -> None:
    """Ignore a signal that has been handled already."""


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.service, self.on_ready = service, on_ready
        self.start_error: OSError | None = None
        self._reloading: set[asyncio.Task[bool]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if not await self._has_decoders():
            return
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        if not self.should_exit:
            self.on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Whether the server should end; uvicorn calls this ten times a second."""
        return await super().on_tick(counter) or bool(self.service.failure)

    async def _has_decoders(self) -> bool:
        """Start the decoding processes; return whether they work and the server may go on."""
        start = asyncio.create_task(self.service.decoders.start())
        while not start.done() and not self.should_exit:
            await asyncio.wait({start}, timeout=SIGNAL_SECONDS)
        if self.should_exit:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            await self.service.decoders.close()
            return False
        try:
            start.result()
        except OSError as error:
            self.start_error, self.should_exit = error, True
        return not self.should_exit

    def _reload(self) -> None:
        task = asyncio.create_task(self.service.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.service.is_stopping = True
        for server in self.servers:
            server.close()
        await asyncio.sleep(DRAIN_SECONDS)
        await super().shutdown(sockets)
