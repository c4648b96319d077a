"""Serve the page of a running training, which refreshes itself after every epoch.

The server answers one address, on 127.0.0.1 alone, and reads no path of a request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from alexnet.errors import UsageError
from alexnet.io.text import error_text
from alexnet.pages.page import render_page
from alexnet.reports.report_content import image_content, live_content
from alexnet.reports.run_report import TEMPLATES
from alexnet.reports.shown_paths import without_folders
from alexnet.reports.stored_images import RunData, open_run_data, with_classes_of
from alexnet.reports.stored_run import read_run
from alexnet.training.run_folder import RunFolder

HOST = "127.0.0.1"
WATCHED = ("config.json", "metrics.jsonl", "result.json", "diverged.txt", "evaluation")
"""Files and folders of a run whose changes change the page."""


class LivePage:
    """The current page of a run, which computes once what does not change with every epoch."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._lock = threading.Lock()
        self._version = ""
        self._page = b""
        self._data = RunData()
        self._images: dict[str, Any] = {}
        self._images_of: tuple[object, ...] = ()

    def version(self) -> str:
        """A text that changes with the files of the run, and when its training starts or ends."""
        folder = RunFolder(self.run)
        is_trained = not folder.result.exists() and folder.is_locked()
        stamps = map(_stamp, (self.run / name for name in WATCHED))
        return "-".join([*stamps, "running" if is_trained else "still"])

    def page(self) -> tuple[str, bytes]:
        """The version of the page, and the page in UTF-8.

        Raises:
            AlexNetError: the folder is not that of a training any more.
        """
        with self._lock:
            version = self.version()
            if version != self._version:
                self._page, self._version = self._render(version), version
            return self._version, self._page

    def _render(self, version: str) -> bytes:
        run = read_run(self.run)
        images_of = (run.recipe, run.manifest_hash, run.evaluation is None, len(run.predictions))
        if images_of != self._images_of:
            self._data = open_run_data(run)
            self._images = image_content(run, self._data)
            self._images_of = images_of
        content = (
            live_content(with_classes_of(run, self._data)) | self._images | {"version": version}
        )
        page = render_page(TEMPLATES, "run_report", content, "'self'", shared="charts")
        return without_folders(page, [run]).encode()


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_mtime_ns:x}.{found.st_size:x}"


@contextmanager
def serving(run: Path, port: int = 0) -> Iterator[str]:
    """A context manager that serves the page of a run in the background and gives its URL.

    Args:
        run: the run folder.
        port: the port; 0 takes any free one.

    Raises:
        UsageError: the folder is not that of a training, or the port is taken.
    """
    read_run(run)
    handler = type("Handler", (_Handler,), {"live": LivePage(run)})
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except (OSError, OverflowError) as error:
        reason = error_text(error)
        raise UsageError(f"cannot serve on port {port}: {reason}; take another --port") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2})
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """The handler of GET and HEAD requests for "/", from this machine alone."""

    live: LivePage

    def handle(self) -> None:
        """Handle requests; a browser may close the connection before it has the whole page."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def _answer(self, has_body: bool) -> None:
        if self.path != "/" or not self._is_local():
            self.send_error(404)
            return
        try:
            version, page = self.live.page() if has_body else (self.live.version(), None)
        except Exception as error:
            self.send_error(500, explain=error_text(error))
            return
        self._send(version, page)

    def _is_local(self) -> bool:
        """Whether the Host header is this server's, which prevents DNS rebinding."""
        host = self.headers.get("Host", "").partition(":")[0]
        return host in (HOST, "localhost")

    def _send(self, version: str, page: bytes | None) -> None:
        """Send the page, or its headers alone without its length, which is then not known."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if page is not None:
            self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("ETag", f'"{version}"')
        self.end_headers()
        self.wfile.write(page or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""
