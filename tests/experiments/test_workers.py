"""Several runs at once: the order in which they begin, failures, interruptions, equal results."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch

from alexnet.config.recipe import Recipe
from alexnet.errors import TrainingError
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.plan import Plan
from alexnet.experiments.run import run_experiment
from alexnet.experiments.schedule import Schedule
from alexnet.experiments.task import Task, carry_out
from alexnet.reporter import NullReporter, StepReport
from alexnet.runtime import workers
from alexnet.runtime.signals import TrainingInterrupted
from alexnet.runtime.workers import (
    DONE,
    SendingReporter,
    Worker,
    WorkerLostError,
    Workers,
    default_jobs,
    serve,
)
from support.experiments import Finished
from support.kernels import torch_threads
from support.runs import Witness


def task(name: str) -> Task:
    return Task(path=Path(name), recipe=Recipe(), description=name, measure="test_error")


def searches() -> Iterator[Iterator[list[Task]]]:
    yield iter([[task("a1"), task("a2")], [task("a3")]])
    yield iter([[task("b1")], [task("b2")]])


def test_a_search_goes_on_when_all_of_its_tasks_are_finished() -> None:
    """Earlier searches first; a3 waits for a1 and a2, and b2 for b1 alone."""
    schedule, begun = Schedule(searches()), list[Task]()
    while one := schedule.next():
        begun.append(one)
    assert [one.description for one in begun] == ["a1", "a2", "b1"]
    a1, a2, b1 = begun
    schedule.finish(a1)
    assert schedule.next() is None
    schedule.finish(b1)
    schedule.finish(a2)
    rest = [schedule.next(), schedule.next(), schedule.next()]
    assert [one.description if one else None for one in rest] == ["a3", "b2", None]


def test_one_after_the_other_a_search_is_finished_before_the_next_begins() -> None:
    schedule, order = Schedule(searches()), list[str]()
    while one := schedule.next():
        order.append(one.description)
        schedule.finish(one)
    assert order == ["a1", "a2", "a3", "b1", "b2"]


class FakeProcess:
    """A process that was killed."""

    exitcode = -9

    def join(self, timeout: float) -> None:
        """It has ended."""


def worker() -> tuple[Worker[Task], SendingReporter]:
    ours, theirs = Pipe()
    one = Worker(FakeProcess(), ours)  # type: ignore[arg-type]
    return one, SendingReporter(theirs)


def test_what_a_worker_is_told_reaches_the_reporter(witness: Witness) -> None:
    one, sending = worker()
    one.begin(task("a"), nullcontext(witness))
    sending.note("careful")
    sending._send(DONE, "")
    assert one.receive() is None
    finished = one.receive()
    assert finished is not None
    assert finished.description == "a"
    assert one.task is None
    assert "careful" in witness.notes


def test_a_failure_and_a_killed_process_name_the_run() -> None:
    one, sending = worker()
    one.begin(task("runs/a"), nullcontext(NullReporter()))
    sending._send(DONE, "no data here")
    with pytest.raises(TrainingError, match="runs/a: no data here"):
        one.receive()
    one.begin(task("runs/b"), nullcontext(NullReporter()))
    sending._connection.close()
    with pytest.raises(TrainingError, match=r"runs/b ended with exit code -9.* lower --jobs"):
        one.receive()


def test_a_worker_frees_the_memory_of_a_gpu_before_it_says_that_a_task_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[object] = []
    tasks = iter([task("runs/a"), task("runs/b")])

    class Main:
        """The main process, which ends after two tasks."""

        def recv(self) -> Task:
            try:
                return next(tasks)
            except StopIteration:
                raise EOFError from None

        def send(self, message: object) -> None:
            events.append(message)

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: events.append("freed"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(workers, "disable_malloc_trim", lambda: None)
    serve(Main(), torch.get_num_threads(), lambda one, _: events.append(one.path.name))  # type: ignore[arg-type]
    ended = (DONE, ("",))
    assert events == ["a", "freed", ended, "b", "freed", ended]


def killed_worker() -> Worker[Task]:
    """A worker whose process really was killed while it had nothing to do."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=time.sleep, args=(600,), daemon=True)
    process.start()
    theirs.close()
    process.kill()
    process.join()
    return Worker(process, ours)


def test_an_idle_worker_that_was_killed_is_replaced(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Workers(1, carry_out)
    pool.workers = [killed_worker()]
    new, _sending = worker()

    def start() -> Worker[Task]:
        pool.workers.append(new)
        return new

    monkeypatch.setattr(pool, "_start", start)
    pool.begin(task("runs/a"), nullcontext(witness))
    assert pool.workers == [new]
    assert new.task is not None
    assert new.reporter is witness
    pool.workers, new = [], killed_worker()
    with pytest.raises(WorkerLostError, match=r"runs/a ended with exit code -9"):
        pool.begin(task("runs/a"), nullcontext(witness))
    assert not pool.workers


def test_without_its_main_process_a_worker_is_asked_to_end_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second signal would not wait for the checkpoint."""
    signals: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", signals.append)
    one, sending = worker()
    one.connection.close()
    sending.note("a")
    sending.note("b")
    assert signals == [signal.SIGTERM]


def test_as_many_runs_as_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(workers, "memory_bytes", lambda: 24 * workers.GIGABYTE)
    assert default_jobs("cpu") == 8
    assert Workers(3, carry_out).threads == 5
    monkeypatch.setattr(workers, "memory_bytes", lambda: 1)
    assert default_jobs("cpu") == 1


@pytest.fixture
def without_a_seed(own_out: Path) -> Iterator[Path]:
    """The finished experiment without the five runs of its last seed, which one thread ran."""
    for path in own_out.glob("runs/*2"):
        shutil.rmtree(path)
    assert len(list(own_out.glob("runs/*"))) == 10
    (own_out / "result.json").unlink()
    with torch_threads(1):
        yield own_out


def files(place: Path, name: str) -> dict[str, str]:
    return {f"{path.relative_to(place)}": path.read_text() for path in place.rglob(name)}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_at_once_give_the_bits_of_one_after_the_other(
    experiment: Experiment, finished: Finished, without_a_seed: Path
) -> None:
    run_experiment(Plan(experiment=experiment), without_a_seed, jobs=2)
    for name in ("outcome-*.json", "metrics.jsonl"):
        assert files(without_a_seed, name) == files(finished.out, name)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["interrupted", "killed"])
def test_an_end_ends_all_within_seconds_and_everything_resumes(
    kind: str, experiment: Experiment, finished: Finished, without_a_seed: Path
) -> None:
    """At the first step that is told of: Ctrl-C, or one of the processes is killed."""
    others = set(multiprocessing.active_children())  # of other tests' fixtures

    told: list[StepReport] = []

    class Ending(NullReporter):
        def on_step(self, report: StepReport) -> None:
            told.append(report)
            if len(told) > 1:  # both processes may tell at once, and a second Ctrl-C does not wait
                return
            if kind == "killed":
                own = set(multiprocessing.active_children()) - others
                os.kill(own.pop().pid or 0, signal.SIGKILL)
            else:
                signal.raise_signal(signal.SIGINT)

    expected = TrainingInterrupted if kind == "interrupted" else TrainingError
    began_at = time.monotonic()
    with pytest.raises(expected, match="saved" if kind == "interrupted" else "exit code -9"):
        run_experiment(
            Plan(experiment=experiment), without_a_seed, lambda _: nullcontext(Ending()), jobs=2
        )
    assert set(multiprocessing.active_children()) <= others
    assert time.monotonic() - began_at < 100
    run_experiment(Plan(experiment=experiment), without_a_seed, jobs=2)
    assert files(without_a_seed, "outcome-*.json") == files(finished.out, "outcome-*.json")
