"""Carry out tasks in several processes at once, each as it would be carried out alone.

A worker is a process that gets one task after the other. It sends back the calls of its reporter,
and at the end of a task its failure, if any. All results are files.
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
    """A task for a worker, which is pickled and sent to its process."""

    @property
    def path(self) -> Path:
        """The task's run folder, which names it in messages."""


T = TypeVar("T", bound=Task)
CarryOut: TypeAlias = Callable[[T, Reporter], None]
"""A function that carries out a task; a worker's process imports it by its module and name."""
NewReporter: TypeAlias = Callable[[str], AbstractContextManager[Reporter]]
"""A function from a run's description to its reporter, a context that is left at the run's end."""

GIGABYTE = 1 << 30
MEMORY_PER_CPU_JOB, MEMORY_PER_GPU_JOB = 3 * GIGABYTE, 4 * GIGABYTE
"""Most bytes of memory that the training of a task needs; most trainings need a third of it."""
MAX_GPU_JOBS = 8
"""Most tasks at once on one GPU; a small training leaves most of a GPU idle."""
SECONDS_PER_REPORT = 0.5
"""Least time between two steps that a worker reports."""
SECONDS_TO_END = 15.0
"""Time after which a worker that was asked to end is killed."""
DONE = "done"
"""Name of the message that ends a task, with the text of its failure or ""; all other messages
are named by a reporter's methods."""


def default_jobs(device_name: str) -> int:
    """The number of trainings that fit into memory, at most one per core and MAX_GPU_JOBS on a GPU.

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
    """The error for a process that has ended before its task."""

    def __init__(self, task: Task, exit_code: int | None) -> None:
        super().__init__(
            f"the process of {task.path} ended with exit code {exit_code}, perhaps "
            "for lack of memory; repeat the command to resume, with a lower --jobs"
        )
        self.task = task
        self.exit_code = exit_code


@dataclass(eq=False)
class Worker(Generic[T]):
    """The main process's handle of a process that carries out tasks."""

    process: multiprocessing.process.BaseProcess
    connection: Connection
    task: T | None = None
    """The task that it carries out; None if it is idle."""
    reporter: Reporter = field(default_factory=NullReporter)
    open_reporter: ExitStack = field(default_factory=ExitStack)

    def begin(self, task: T, reporter: AbstractContextManager[Reporter]) -> None:
        """Send a task to the process, and enter its reporter.

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
        """Receive one message; return the task if it is finished, else None.

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
        """Kill the process, if it has not ended, and leave its reporter."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.open_reporter.close()


class Workers(Generic[T]):
    """A pool of at most `count` processes, which are started when they are needed."""

    def __init__(self, count: int, carry_out: CarryOut[T]) -> None:
        """Divide the threads of this process among `count` workers that call `carry_out`."""
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
        """Give a task to an idle worker, or to a new one; killed idle workers are removed.

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
        """Wait for messages, at most `timeout_seconds`, and yield the tasks that have ended.

        Raises:
            TrainingError: a task failed.
            WorkerLostError: a task's process was killed; a new process can take its place.
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

    A terminal sends it to all processes, but the main process alone handles it.
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
    """Carry out tasks in a worker's process until the main process ends or asks it to end."""
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
    """Release GPU memory that torch's allocator caches, for other processes."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()  # a compiled network refers to itself
        torch.cuda.empty_cache()


def failure_of(carry_out: CarryOut[T], task: T, reporter: Reporter) -> str:
    """Carry out a task; return the reason why it failed, or ""."""
    try:
        carry_out(task, reporter)
    except AlexNetError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return ""


class SendingReporter:
    """A reporter that sends its calls to the main process.

    If that process has ended, SIGTERM asks this one to stop, so that it saves a checkpoint.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._next_report_at = 0.0
        self._is_open = True

    def note(self, text: str) -> None:
        """Send a sentence for the user, such as a warning."""
        self._send("note", text)

    def on_prepare(self, done: int, total: int) -> None:
        """Send the progress of building the image store: images decoded, and images in all."""
        self._send_sometimes("on_prepare", done, total)

    def on_step(self, report: StepReport) -> None:
        """Send the report of a training step, if SECONDS_PER_REPORT have passed."""
        self._send_sometimes("on_step", report)

    def on_epoch(self, record: EpochRecord, times: EpochTimes) -> None:
        """Send the record of an epoch."""
        self._send("on_epoch", record, times)

    def on_start(self, done: int, total: int) -> None:
        """Send, before the first step of a session, the finished epochs and the epochs in all."""
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
