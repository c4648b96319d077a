#!/usr/bin/env python3
"""Load on `alexnet serve`: images per second, p50 and p99, what is lost, beside the bare network.

The bare network optimized for inference and the servers take turns, several rounds, on the same
machine and for the same JPEGs; the clients (one process, keep-alive connections, one request after
the other) take part of its time too. Prints a table, or JSON with --json.

    python benchmarks/serve_load.py                            the paper's net, random weights
    python benchmarks/serve_load.py RUN --clients 200 --seconds 600 --rounds 1
    python benchmarks/serve_load.py --litserve PYTHON          and LitServe, in PYTHON's environment
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from PIL import Image

BARE_SECONDS = 5.0
BATCH = 64
NUM_FILES = 64
LITSERVE = Path(__file__).with_name("litserve_app.py")


@dataclass
class Load:
    """What the clients have measured of one server."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    """Requests without an answer."""
    latencies: list[float] = field(default_factory=list)
    """Latency of each answered request, in seconds."""
    rates: list[float] = field(default_factory=list)
    """Answered images per second, of every round."""

    def facts(self) -> dict[str, object]:
        """The numbers to print."""
        times = sorted(self.latencies) or [float("nan")]
        return {
            "images_per_second": round(self.statuses[200] / self.seconds, 1),
            "by_round": [round(rate, 1) for rate in self.rates],
            "p50_ms": round(1000 * statistics.median(times), 1),
            "p99_ms": round(1000 * times[int(0.99 * (len(times) - 1))], 1),
            "answered": self.statuses.total(),
            "lost": self.lost,
            "status_5xx": sum(n for status, n in self.statuses.items() if status >= 500),
            "statuses": dict(self.statuses),
        }


def photos(side: int) -> list[bytes]:
    """JPEGs of smooth noise, `side` wide and three quarters as high."""
    files = []
    for seed in range(NUM_FILES):
        coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        file = io.BytesIO()
        photo = Image.fromarray(coarse).resize((side, side * 3 // 4), Image.Resampling.BICUBIC)
        photo.save(file, "JPEG", quality=85)
        files.append(file.getvalue())
    return files


def request(path: str, kind: str, body: bytes) -> bytes:
    """The bytes of an HTTP POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def one_client(
    port: int, requests: Sequence[bytes], first: int, until: float, load: Load
) -> None:
    """Send requests until the time is over; a request that gets no answer counts as lost."""
    number = first
    while time.monotonic() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            load.lost += 1
            await asyncio.sleep(0.1)
            continue
        try:
            while time.monotonic() < until:
                began = time.perf_counter()
                writer.write(requests[number % len(requests)])
                status, is_last = await answer(reader)
                load.statuses[status] += 1
                load.latencies.append(time.perf_counter() - began)
                number += 1
                if is_last:
                    break
        except (OSError, EOFError):
            load.lost += 1
        finally:
            writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read an answer; return its status, and whether the server closes the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    size = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    await reader.readexactly(size)
    return int(head.split(b" ", 2)[1]), b"connection: close" in head


async def put_under_load(
    port: int, requests: Sequence[bytes], clients: int, seconds: float, load: Load
) -> None:
    """Let `clients` clients send requests at the same time."""
    began, answered = time.monotonic(), load.statuses[200]
    await asyncio.gather(
        *(one_client(port, requests, n, began + seconds, load) for n in range(clients))
    )
    seconds = time.monotonic() - began
    load.seconds += seconds
    load.rates.append((load.statuses[200] - answered) / seconds)


@contextmanager
def started(command: Sequence[str], port: int) -> Iterator[int]:
    """A context with a running server that answers /healthz or /health."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while not is_healthy(port):
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} has ended with {process.returncode}")
            time.sleep(0.5)
        yield os.getpgid(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        process.terminate()
        process.wait(60)
        with suppress(ProcessLookupError):  # workers that have outlived it
            os.killpg(process.pid, signal.SIGKILL)


def is_healthy(port: int) -> bool:
    """Whether a server answers."""
    for path in ("healthz", "health"):
        try:
            with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5):
                return True
        except OSError:
            continue
    return False


def made_model(folder: Path) -> Path:
    """Save the paper's network with 1,000 classes and random weights; return the path."""
    from alexnet.checkpoints.model_file import ModelInfo
    from alexnet.config.recipe import Recipe
    from alexnet.inference.classifier import Classifier
    from alexnet.interop.published_preprocessing import published_preprocessing
    from alexnet.models.network import Network
    from alexnet.models.zoo import architecture

    arch = architecture("alexnet")
    info = ModelInfo(
        architecture=arch,
        class_names=tuple(f"class {i}" for i in range(arch.num_classes)),
        preprocessing=published_preprocessing("published", arch),
        recipe=Recipe(arch="alexnet"),
    )
    Classifier(Network(arch).eval(), info).save(folder / "alexnet.safetensors")
    return folder / "alexnet.safetensors"


class BareNetwork:
    """The optimized network alone, without a server, on images already decoded."""

    def __init__(self, model: Path) -> None:
        from alexnet.inference.classifier import load

        self.classifier = load(model).optimized()
        side = self.classifier.info.preprocessing.resize_size
        self.pixels = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
        self.classifier.probabilities(self.pixels)

    def images_per_second(self) -> float:
        """Measure images per second in batches of 64, for some seconds."""
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < BARE_SECONDS:
            self.classifier.probabilities(self.pixels)
            count += BATCH
        return count / (time.perf_counter() - began)


def main() -> None:
    """Measure, and print."""
    flags = _flags()
    from alexnet.runtime.malloc import disable_malloc_trim
    from alexnet.runtime.openmp import limit_openmp_spinning

    disable_malloc_trim()  # as the command line does
    limit_openmp_spinning()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = Path(flags.model) if flags.model else made_model(Path(folder))
        bare, speeds = BareNetwork(model), []
        servers = stack.enter_context(_servers(flags, model))
        loads = {name: Load() for name in servers}
        for _ in range(flags.rounds):
            speeds.append(bare.images_per_second())
            for name, (port, group, requests) in servers.items():
                os.killpg(group, signal.SIGCONT)
                seconds = flags.seconds / flags.rounds
                asyncio.run(put_under_load(port, requests, flags.clients, seconds, loads[name]))
                os.killpg(group, signal.SIGSTOP)
        speed = statistics.mean(speeds)
        _print(flags, speed, {name: load.facts() for name, load in loads.items()})


@contextmanager
def _servers(
    flags: argparse.Namespace, model: Path
) -> Iterator[dict[str, tuple[int, int, list[bytes]]]]:
    """A context with all servers: port, process group and requests of each, by name."""
    files = photos(flags.side)
    with ExitStack() as stack:
        ours = [sys.executable, "-m", "alexnet", "serve", str(model), "--port", str(flags.port)]

        group = stack.enter_context(started([*ours, "--json"], flags.port))
        raw = [request("/v1/predict", "image/jpeg", file) for file in files]
        servers = {"alexnet serve": (flags.port, group, raw)}
        if flags.litserve:
            os.killpg(group, signal.SIGSTOP)
            port = flags.port + 1
            theirs = [flags.litserve, str(LITSERVE), str(model), str(port)]
            group = stack.enter_context(started(theirs, port))
            bodies = (json.dumps({"image": base64.b64encode(f).decode()}).encode() for f in files)
            posts = [request("/predict", "application/json", body) for body in bodies]
            servers["LitServe"] = (port, group, posts)
            os.killpg(group, signal.SIGSTOP)
        yield servers


def _print(flags: argparse.Namespace, bare: float, facts: dict[str, dict[str, object]]) -> None:
    if flags.json:
        print(json.dumps({"clients": flags.clients, "bare_images_per_second": bare, **facts}))
        return
    print(f"{flags.clients} clients; the bare network: {bare:,.0f} images/s")
    for name, one in facts.items():
        share = float(str(one["images_per_second"])) / bare
        print(f"{name}: {100 * share:.0f} % of that; {one}")


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", nargs="?", default="", help="a run or a model file")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=30.0, help="for each server")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--side", type=int, default=500, help="width of the JPEGs in pixels")
    parser.add_argument("--port", type=int, default=8301)
    parser.add_argument("--litserve", default="", help="the python of an environment with LitServe")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
