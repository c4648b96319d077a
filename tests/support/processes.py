"""Processes of one world for tests: they stay alive for several checks, so the start is paid once.

They are forked from a server that has imported torch once, and talk by gloo on localhost.
"""

from __future__ import annotations

import importlib.util
import inspect
import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Check = Callable[..., Any]
"""A function at the top of a test module; it runs in every process of the world."""
TIMEOUT_SECONDS = 50


class Processes:
    """The processes of a world; `run` calls a function in all of them."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def run(self, check: Check, *arguments: object) -> list[Any]:
        """What the function returns in each process, in the order of the ranks.

        The arguments and the results are pickled. The environment is that of this process.
        """
        place = Path(inspect.getfile(check)), check.__qualname__
        for pipe in self._pipes:
            pipe.send((*place, arguments, dict(os.environ)))
        results = []
        for rank, pipe in enumerate(self._pipes):
            assert pipe.poll(TIMEOUT_SECONDS), f"rank {rank} does not answer"
            result, error = pipe.recv()
            assert not error, f"in rank {rank}:\n{error}"
            results.append(result)
        return results


@contextmanager
def start_processes(size: int) -> Iterator[Processes]:
    """A context with `size` connected processes of one thread each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["alexnet.training.trainer"])
    port, pipes, workers = free_port(), [], []
    for rank in range(size):
        pipe, end = context.Pipe()
        worker = context.Process(target=_work, args=(end, rank, size, port), daemon=True)
        worker.start()
        pipes.append(pipe)
        workers.append(worker)
    try:
        yield Processes(pipes)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def torchrun_environment(rank: int, size: int, port: int) -> dict[str, str]:
    """The variables that torchrun sets, for one host."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _work(pipe: Connection, rank: int, size: int, port: int) -> None:
    """Join the world and answer calls until the parent ends."""
    import torch

    from alexnet.parallel.world import join_world

    torch.set_num_threads(1)
    os.environ.update(torchrun_environment(rank, size, port))
    with join_world():
        while True:
            path, name, arguments, environment = pipe.recv()
            os.environ.update({**environment, **torchrun_environment(rank, size, port)})
            try:
                pipe.send((_load(path, name)(*arguments), ""))
            except BaseException:
                pipe.send((None, traceback.format_exc()))


def _load(path: Path, name: str) -> Check:
    """The function of a test module, which is imported by its file."""
    module_name = f"checks_in_{path.stem}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
    check: Check = getattr(sys.modules[module_name], name)
    return check
