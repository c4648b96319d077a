"""`alexnet serve` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import alexnet


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        """On 127.0.0.1."""
        port = urlsplit(self.url).port
        assert port
        return port

    @property
    def decoders(self) -> list[int]:
        """The process ids of its children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def running_server(*words: object) -> Iterator[Server]:
    """A server that can answer; killed at the end unless it has ended."""
    command = [sys.executable, "-m", "alexnet", "serve", *map(str, words), "--port", "0", "--json"]
    source = str(Path(alexnet.__file__).parents[1])
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    try:
        assert process.stdout
        told = "".join(iter(process.stdout.readline, "}\n"))
        yield Server(process, json.loads(f"{told}}}")["url"])
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
