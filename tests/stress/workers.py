"""Cases that run in worker processes, which may hang, die or run out of memory.

A harness module has `cases(seed, folder) -> Callable[[int], Ending]`. It is called once in each
worker and makes what all cases need; its result is called with the number of each case.
`python -m stress.workers MODULE SEED FOLDER MEMORY_BYTES` is a worker: it reads numbers and
answers with lines of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from stress.tally import Tally, counted

START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How one case ended."""

    outcome: str
    """A few words, the same for all cases with this outcome."""
    failure: str = ""
    """What went wrong; "" if nothing."""


Cases = Callable[[int], Ending]


def run_cases(
    name: str,
    module: str,
    count: int,
    seed: int,
    folder: Path,
    *,
    seconds: float,
    memory_bytes: int,
) -> Tally:
    """Try `count` cases of a module, each with limits of time and of memory beyond the start's.

    A worker that hangs or dies is a failure of its case, and is replaced.
    """
    worker = Worker(module, seed, folder, memory_bytes)
    endings = [worker.ask(index, seconds) for index in range(count)]
    worker.end()
    failures = [f"case {i} of seed {seed}: {e.failure}" for i, e in enumerate(endings) if e.failure]
    return counted(name, [ending.outcome for ending in endings], failures)


class Worker:
    """One worker process, restarted after a case that it did not survive."""

    def __init__(self, module: str, seed: int, folder: Path, memory_bytes: int) -> None:
        self._folder = folder / "worker"
        self._folder.mkdir()
        arguments = [module, str(seed), str(self._folder), str(memory_bytes)]
        self._command = [sys.executable, "-m", "stress.workers", *arguments]
        self._log = folder / "stderr.txt"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        """A process that is ready for cases."""
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        if _line(process, START_SECONDS) != b"ready\n":
            process.kill()
            raise RuntimeError(f"it does not start: {self._log.read_text()[-3000:]}")
        return process

    def ask(self, index: int, seconds: float) -> Ending:
        """Run one case."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{index}\n".encode())
        self._process.stdin.flush()
        answer = _line(self._process, seconds)
        if answer.endswith(b"\n"):
            return Ending(**json.loads(answer))
        is_dead = self._process.poll() is not None
        self.end()
        code = self._process.returncode
        self._process = self._start()
        if not is_dead:
            return Ending("hung", f"no answer within {seconds:g} s")
        died = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return Ending("died", f"the process died: {died}")

    def end(self) -> None:
        """Kill the process and wait for it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    """The next line of a process; incomplete if it died or took longer."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([process.stdout], [], [], seconds)[0]:
            break
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            process.wait()
            break
        line += part
    return line


WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod")
RUNS = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn",
    "socket.connect", "socket.getaddrinfo",
)  # fmt: skip


class AuditMonitor:
    """Records what no file may cause: new processes, network access, writes outside."""

    def __init__(self, folder: Path) -> None:
        self._inside = str(folder.resolve())
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        is_reader = event == "subprocess.Popen" and "alexnet.io.isolated" in arguments[1]
        if (event in RUNS and not is_reader) or (
            (is_write or event in CHANGES) and self._is_outside(arguments[0])
        ):
            self.seen.append(f"{event} {arguments[:2]}")

    def _is_outside(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike) or os.fspath(path) == os.devnull:
            return False
        return not os.path.realpath(os.fsdecode(path)).startswith(self._inside)


def _serve(module: str, seed: int, folder: Path, memory_bytes: int) -> None:
    """Run the cases whose numbers are read from stdin."""
    sys.dont_write_bytecode = True
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print to stdout
    try_one: Cases = import_module(module).cases(seed, folder)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    monitor = AuditMonitor(folder)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        monitor.seen.clear()
        ending = try_one(int(line))
        if monitor.seen:
            ending = Ending("escaped", "; ".join(monitor.seen)[:500])
        print(json.dumps(asdict(ending)), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
