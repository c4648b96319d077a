"""The guard around every request: access, security headers, a log line, metrics, no traceback.

HEAD is answered as GET; the ASGI server leaves out the body.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alexnet.serve.problems import ProblemError
from alexnet.serve.service import Service

LOG = logging.getLogger("alexnet.serve")
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
OPEN_PATHS = ("/", "/healthz", "/readyz")
"""Paths that need no token: the page, which asks for it, and whether the server works."""
PAGE_FILES = "/page/"
"""Beginning of the paths of the page's files, which need no token either."""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, kw_only=True)
class Access:
    """The rules for which requests are allowed."""

    token: str = field(default="", repr=False)
    """The token that a client must send as `Authorization: Bearer TOKEN`; "" for none."""
    hosts: Collection[str] = ()
    """The names under which the server may be addressed; empty for any. Without them a page of
    another site whose name is made to lead to this machine could send requests (DNS rebinding)."""

    def check(self, path: str, headers: Mapping[str, str]) -> None:
        """Check that a request is allowed.

        Raises:
            ProblemError: it is not allowed.
        """
        host = _host_name(headers.get("host", ""))
        if self.hosts and host not in self.hosts:
            raise ProblemError(421, f"this server is not called {host!r}; --allow-host adds a name")
        if headers.get("sec-fetch-site") == "cross-site" and path.startswith("/v1/"):
            raise ProblemError(403, "a page of another site must not ask this server")
        is_open = path in OPEN_PATHS or path.startswith(PAGE_FILES)
        if self.token and not is_open and not self._has_token(headers):
            raise ProblemError(401, "send the server's token: Authorization: Bearer TOKEN")

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, sent = headers.get("authorization", "").partition(" ")
        is_same = hmac.compare_digest(sent.strip().encode(), self.token.encode())
        return is_same and scheme.lower() == "bearer"


def _host_name(host: str) -> str:
    """The name in a `Host` header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


class Guard:
    """The ASGI middleware around all requests."""

    def __init__(self, app: ASGIApp, service: Service, access: Access) -> None:
        self.app, self.service, self.access = app, service, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check and answer one request; log it and count it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        exchange = _Exchange(scope, receive, send, is_last=self.service.is_stopping)
        method = scope["method"]
        scope = {**scope, "method": "GET" if method == "HEAD" else method}
        try:
            self.access.check(scope["path"], Headers(scope=scope))
            await self.app(scope, exchange.receive, exchange.send)
        except ProblemError as problem:
            await problem.response()(scope, receive, exchange.send)
        except Exception:  # a mistake of the program: the log has the traceback, the client none
            LOG.exception("a request failed")
            if not exchange.status:
                failure = ProblemError(500, "the server has failed; its log says why")
                await failure.response()(scope, receive, exchange.send)
        finally:
            self._record(scope, method, exchange)

    def _record(self, scope: Scope, method: str, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.started_at
        route = getattr(scope.get("route"), "path", "other")  # else any path would be a series
        self.service.metrics.requests.labels(route, exchange.status).inc()
        self.service.metrics.seconds.labels(route).observe(seconds)
        facts = {
            "method": method,
            "path": scope["path"],
            "status": exchange.status,
            "seconds": round(seconds, 6),
            "client": (scope.get("client") or ("",))[0],
            "received_bytes": exchange.received_bytes,
        }
        LOG.info("request", extra=facts)


class _Exchange:
    """A request and its answer: counts the bytes received, and adds headers to the answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, is_last: bool) -> None:
        self.started_at, self.status, self.received_bytes = time.perf_counter(), 0, 0
        self._receive, self._send, self._is_last = receive, send, is_last

    async def receive(self) -> Message:
        message = await self._receive()
        self.received_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.update(SECURITY_HEADERS)
            headers.setdefault("Cache-Control", "no-store")
            if self._is_last:
                headers["Connection"] = "close"
        await self._send(message)
