"""Tasks in several processes at once, each done as it would be done alone.

A worker is a process of its own that gets one task after the other. It sends back what its reporter
is told, and at the end of a task its failure, if any. All results are files.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import torch

from alexnet.errors import AlexNetError, TrainingError
from alexnet.ops.control_groups import memory_limit
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import NullReporter, Reporter, StepReport, progress_callback
from alexnet.runtime.device import choose_device
from alexnet.runtime.malloc import disable_malloc_trim
from alexnet.runtime.signals import TrainingInterrupted


class Task(Protocol):
    """What a worker does; it is sent to its process."""

    @property
    def path(self) -> Path:
        """Its run folder, which names it in messages."""


T = TypeVar("T", bound=Task)
CarryOut: TypeAlias = Callable[[T, Reporter], None]
"""Does a task; a function of a module, since the process of a worker imports it by its name."""
NewReporter: TypeAlias = Callable[[str], AbstractContextManager[Reporter]]
"""Takes the description of a run that begins and gives its reporter, which is left at its end."""

GIGABYTE = 1 << 30
MEMORY_PER_CPU_JOB, MEMORY_PER_GPU_JOB = 3 * GIGABYTE, 4 * GIGABYTE
"""What a training of such a task needs at most, in bytes; most need a third of it."""
MAX_GPU_JOBS = 8
"""Small trainings on one GPU, each of which leaves most of it idle."""
SECONDS_PER_REPORT = 0.5
"""Between two steps that a worker tells of."""
SECONDS_TO_END = 15.0
"""After which a worker that was asked to end is killed."""
DONE = "done"
"""The message that ends a task, with the text of its failure or "". Others are a reporter's."""


def default_jobs(device_name: str) -> int:
    """As many trainings as one process for each core, or one GPU, have room for.

    Raises:
        UsageError: there is no such device.
    """
    device, cores = choose_device(device_name), torch.get_num_threads()
    if device.type == "cuda":
        free_gpu_memory()  # as after a training in a notebook
        free, _ = torch.cuda.mem_get_info(device)
        return max(1, min(cores, MAX_GPU_JOBS, free // MEMORY_PER_GPU_JOB))
    if device.type != "cpu":
        return 1
    return max(1, min(cores, memory_bytes() // MEMORY_PER_CPU_JOB))


def memory_bytes() -> int:
    """Memory of this machine or container; a large number where the system does not say."""
    try:
        all_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        all_bytes = sys.maxsize
    return int(min(all_bytes, memory_limit()))


class WorkerLostError(TrainingError):
    """The process of a task has ended before the task."""

    def __init__(self, task: Task, exit_code: int | None) -> None:
        super().__init__(
            f"the process of {task.path} ended with exit code {exit_code}, perhaps "
            "for lack of memory; repeat the command to resume, with a lower --jobs"
        )
        self.task = task
        self.exit_code = exit_code


@dataclass(eq=False)
class Worker(Generic[T]):
    """A process that carries out tasks, as the main process sees it."""

    process: multiprocessing.process.BaseProcess
    connection: Connection
    task: T | None = None
    """What it is doing; None: it is idle."""
    reporter: Reporter = field(default_factory=NullReporter)
    open_reporter: ExitStack = field(default_factory=ExitStack)

    def begin(self, task: T, reporter: AbstractContextManager[Reporter]) -> None:
        """Send a task.

        Raises:
            WorkerLostError: the process was killed while it was idle; the reporter was not entered.
        """
        try:
            self.connection.send(task)
        except OSError as error:
            raise self._lost(task) from error
        self.task = task
        self.reporter = self.open_reporter.enter_context(reporter)

    def receive(self) -> T | None:
        """Take one message; the task, if it is finished.

        Raises:
            TrainingError: the task failed.
            WorkerLostError: the process was killed.
        """
        task = self.task
        assert task is not None
        try:
            name, arguments = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._lost(task) from error
        if name != DONE:
            progress_callback(self.reporter, name)(*arguments)
            return None
        self.task = None
        self.open_reporter.close()
        if arguments[0]:
            raise TrainingError(f"{task.path}: {arguments[0]}")
        return task

    def _lost(self, task: T) -> WorkerLostError:
        self.process.join(SECONDS_TO_END)
        return WorkerLostError(task, self.process.exitcode)

    def forget(self) -> None:
        """End the process, if it has not ended, and leave its reporter."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.open_reporter.close()


class Workers(Generic[T]):
    """At most so many processes, which are started when there is something to do."""

    def __init__(self, count: int, carry_out: CarryOut[T]) -> None:
        """Share the threads of this process out among `count` workers that do `carry_out`."""
        self.count = count
        self.threads = max(1, torch.get_num_threads() // count)
        self.workers: list[Worker[T]] = []
        self._carry_out = carry_out

    def __enter__(self) -> Workers[T]:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def num_free(self) -> int:
        """How many further tasks can begin."""
        return self.count - sum(worker.task is not None for worker in self.workers)

    def begin(self, task: T, reporter: AbstractContextManager[Reporter]) -> None:
        """Give a task to an idle worker, or to a new one; idle ones that were killed are left out.

        Raises:
            WorkerLostError: the new process was killed at once.
        """
        for worker in [worker for worker in self.workers if worker.task is None]:
            with suppress(WorkerLostError), self._forgetting_lost(worker):
                worker.begin(task, reporter)
                return
        worker = self._start()
        with self._forgetting_lost(worker):
            worker.begin(task, reporter)

    def finished(self, timeout_seconds: float) -> Iterator[T]:
        """The tasks that have ended, after messages came or the time is over.

        Raises:
            TrainingError: a task failed.
            WorkerLostError: its process was killed; another takes its place.
        """
        busy = {worker.connection: worker for worker in self.workers if worker.task}
        for connection in wait(list(busy), timeout_seconds):
            worker = busy[connection]  # type: ignore[index]
            with self._forgetting_lost(worker):
                task = worker.receive()
            if task:
                yield task

    @contextmanager
    def _forgetting_lost(self, worker: Worker[T]) -> Iterator[None]:
        try:
            yield
        except WorkerLostError:
            self.workers.remove(worker)
            worker.forget()
            raise

    def close(self) -> None:
        """End all workers; those that train save a checkpoint first."""
        for worker in self.workers:
            worker.process.terminate()
        ends_at = time.monotonic() + SECONDS_TO_END
        for worker in self.workers:
            worker.process.join(max(0.0, ends_at - time.monotonic()))
            worker.forget()
        self.workers = []

    def _start(self) -> Worker[T]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, self.threads, self._carry_out)
        process = context.Process(target=serve, args=arguments, daemon=True)
        with ignoring_interrupts():
            process.start()
        theirs.close()
        self.workers.append(Worker(process, ours))
        return self.workers[-1]


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """A context in which Ctrl-C is ignored, also by processes that are started in it.

    A terminal sends it to all of them. The main process alone decides what it means.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def serve(connection: Connection, threads: int, carry_out: CarryOut[T]) -> None:
    """The life of a worker: carry out tasks until the main process ends or asks it to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    disable_malloc_trim()
    torch.set_num_threads(threads)
    with suppress(EOFError, ConnectionError, TrainingInterrupted):
        while True:
            task = connection.recv()
            failure = failure_of(carry_out, task, SendingReporter(connection))
            free_gpu_memory()  # before another task begins, which measures what is free
            connection.send((DONE, (failure,)))


def free_gpu_memory() -> None:
    """Give back the memory of a GPU that torch keeps of freed tensors, for other processes."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()  # a compiled network refers to itself
        torch.cuda.empty_cache()


def failure_of(carry_out: CarryOut[T], task: T, reporter: Reporter) -> str:
    """Carry out a task; why it failed, or ""."""
    try:
        carry_out(task, reporter)
    except AlexNetError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return ""


class SendingReporter:
    """Sends what it is told to the main process; if that has ended, this process is asked to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next_report_at = 0.0
        self._is_open = True

    def note(self, text: str) -> None:
        """A sentence for the user, such as a warning."""
        self._send("note", text)

    def on_prepare(self, done: int, total: int) -> None:
        """While the image store is built: images decoded so far."""
        self._send_sometimes("on_prepare", done, total)

    def on_step(self, report: StepReport) -> None:
        """After every training step."""
        self._send_sometimes("on_step", report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """After every epoch."""
        self._send("on_epoch", record, times)

    def on_start(self, done: int, total: int) -> None:
        """Before the first step of a session: epochs that are finished, and those in all."""
        self._send("on_start", done, total)

    def _send_sometimes(self, name: str, *arguments: Any) -> None:
        if time.monotonic() >= self._next_report_at:
            self._next_report_at = time.monotonic() + SECONDS_PER_REPORT
            self._send(name, *arguments)

    def _send(self, name: str, *arguments: Any) -> None:
        try:
            self._connection.send((name, arguments))
        except OSError:
            if self._is_open:  # once, since a second signal would not wait for a checkpoint
                signal.raise_signal(signal.SIGTERM)
            self._is_open = False
