"""A model hub on this machine, with the endpoints that uploads and downloads need."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What the hub has."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Of its only repository, at the revision main."""
    created: list[dict[str, object]] = field(default_factory=list)
    branches: list[str] = field(default_factory=lambda: ["main"])
    is_private: bool | None = None
    """None until its repository is created."""
    commits: int = 0
    cut_commits: int = 0
    """How many of the next commits break off without an answer."""
    refuse: int = 0
    """A status for every upload; 0: none is refused."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._resolve(has_body=True)

    def do_HEAD(self) -> None:
        self._resolve(has_body=False)

    def _resolve(self, has_body: bool) -> None:
        _, owner, _, *rest = unquote(urlsplit(self.path).path).split("/")
        if owner == "api" and "tree" in rest and rest[-1] not in self.hub.branches:
            return self._answer(404, b"", **{"X-Error-Code": "RevisionNotFound"})
        if owner == "api" and "tree" in rest:
            files = [
                {"type": "file", "path": name, "size": len(body), "oid": "0"}
                for name, body in self.hub.files.items()
            ]
            return self._json(files)
        if owner == "api":
            sha, private = f"{self.hub.commits:040x}", self.hub.is_private
            return self._json({"id": "me/toy", "sha": sha, "private": private})
        _, revision, *parts = rest
        body = self.hub.files.get("/".join(parts))
        if revision != "main":
            return self._answer(404, b"", **{"X-Error-Code": "RevisionNotFound"})
        if body is None:
            return self._answer(404, b"", **{"X-Error-Code": "EntryNotFound"})
        return self._answer(200, body if has_body else b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        if self.hub.refuse:
            return self._json({"error": "no"}, self.hub.refuse)
        if path == "/api/repos/create":
            wanted = json.loads(body)
            self.hub.created.append(wanted)
            if self.hub.is_private is None:
                self.hub.is_private = wanted.get("visibility") == "private"
            return self._json({"url": f"{self.hub.url}/me/toy"})
        if "/branch/" in path:
            self.hub.branches.append(path.rpartition("/")[2])
            return self._json({})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            return self._json({"files": modes})
        assert "/commit/" in path
        return self._commit(body)

    def _commit(self, body: bytes) -> None:
        if self.hub.cut_commits:
            self.hub.cut_commits -= 1
            self.close_connection = True
            return None
        lines = [json.loads(line) for line in body.splitlines()]
        for value in (line["value"] for line in lines if line["key"] == "file"):
            self.hub.files[value["path"]] = base64.b64decode(value["content"])
        for value in (line["value"] for line in lines if line["key"] == "deletedFile"):
            del self.hub.files[value["path"]]
        self.hub.commits += 1
        oid = f"{self.hub.commits:040x}"
        return self._json({"commitUrl": f"{self.hub.url}/me/toy/commit/{oid}", "commitOid": oid})

    def _json(self, answer: object, status: int = 200) -> None:
        self._answer(status, json.dumps(answer).encode(), **{"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """A running hub."""
    hub = Hub()
    handler = type("HubHandler", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        hub.url = f"http://127.0.0.1:{server.server_port}"
        yield hub
        server.shutdown()
        thread.join()
