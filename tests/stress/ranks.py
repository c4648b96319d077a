"""Training by several processes, one of which is killed or stopped at random moments.

All must end within 30 seconds, with one sentence, and the run must be resumed to the bytes of an
undisturbed one. As torchrun does, the harness ends the others when one has ended.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from alexnet.config.distributed import DistributedOptions
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_json
from stress.children import Child, Ended, Setup, plain_plots, start
from stress.kills import ENDED, state_of_run
from stress.subjects import MEASURED, folders_differ, paint_images, recipes
from stress.tally import Tally, counted
from support.processes import free_port, torchrun_environment

EPOCHS = 12
START_FRACTION = 0.1
"""Of the signals, that come before the first step."""
SECONDS_TO_END = 30.0
"""From the loss of one process to the end of all."""
SECONDS_TO_RUN = 600.0
"""Undisturbed; longer means that it hangs."""
LAYOUTS = ("data 2", "columns 2", "data 2", "data 3", "data 2", "hybrid 4")
"""Of one trial after the other: the scheme, and the number of processes."""


@dataclass(frozen=True)
class Ranks:
    """A run by several processes."""

    size: int
    config: Path
    cache: Path
    whole: Path
    """The run folder when undisturbed."""
    seconds: float = 0.0

    def start(self, place: Path, turn: int, first: tuple[Setup, ...] = ()) -> list[Child]:
        """Start the run in `place/run`, or resume it; `first` is for the process of rank 0."""
        out, port = place / "run", free_port()
        words = ["--resume", out] if out.exists() else ["--config", self.config, "--out", out]
        return [
            start(
                ["train", *words],
                cache=self.cache,
                log=place / f"log-{turn}-{rank}",
                setup=(
                    plain_plots,
                    partial(join_as, rank, self.size, port),
                    *(() if rank else first),
                ),
            )
            for rank in range(self.size)
        ]


def join_as(rank: int, size: int, port: int) -> None:
    """Set what torchrun would."""
    torch.set_num_threads(1)
    os.environ.update(torchrun_environment(rank, size, port))


def wait_for_all(children: list[Child], seconds: float) -> list[Ended]:
    """Wait until all have ended; when one has failed, the others are asked to.

    When one has ended well, the last exchange is over: no process waits for another any more, so
    nobody can notice one that is stopped. It is continued, and must end well too.

    Raises:
        TimeoutError: one has not ended so many seconds later.
    """
    end = time.monotonic() + seconds
    while all(child.process.is_alive() for child in children) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.1)
    codes = [child.process.exitcode for child in children if not child.process.is_alive()]
    for child in children:
        child.kill(signal.SIGTERM if any(codes) else signal.SIGCONT)
    return [child.wait(max(0.1, end - time.monotonic())) for child in children]


def stress(count: int, seed: int, folder: Path) -> Tally:
    """`count` signals to one of the processes."""
    rng, outcomes, failures = random.Random(seed), list[str](), list[str]()
    paint_images(folder / "images")
    subjects = dict[str, Ranks]()
    number = 0
    while len(outcomes) < count:
        layout = LAYOUTS[number % len(LAYOUTS)]
        if layout not in subjects:
            subjects[layout] = train_undisturbed(layout, folder)
        problem = run_through(subjects[layout], rng, folder / f"trial-{number}", outcomes)
        if problem:
            failures.append(f"trial {number} of seed {seed}, {layout}: {problem}")
        number += 1
    return counted("one of 2 to 4 processes killed or stopped", outcomes, failures)


def recipe_of(layout: str, images: Path) -> Recipe:
    """A run in a layout; but for the cheapest one with batch norm, or in columns."""
    every_step, some_steps, _ = recipes(images, EPOCHS)
    parallel = layout.partition(" ")[0]
    if parallel == "columns":
        recipe = replace(every_step, arch="alexnet", optimizer=some_steps.optimizer)
        return replace(recipe, distributed=DistributedOptions(parallel="columns"))
    if layout == "data 2":
        return some_steps
    is_hybrid = parallel == "hybrid"
    options = DistributedOptions(parallel="hybrid" if is_hybrid else "data", sync_batch_norm=True)
    return replace(every_step, distributed=options)


def train_undisturbed(layout: str, folder: Path) -> Ranks:
    """An undisturbed run in a layout, timed when a run before it has warmed all up.

    Raises:
        RuntimeError: it failed.
    """
    recipe, size = recipe_of(layout, folder / "images"), int(layout.split()[1])
    place = folder / layout.replace(" ", "-")
    place.mkdir()
    config = place / "config.json"
    config.write_text(to_json(recipe))
    subject = Ranks(size, config, folder / "cache", place / "whole" / "run")
    for name in ("warm-up", "whole"):
        began = time.monotonic()
        ends = wait_for_all(subject.start(place / name, 0), SECONDS_TO_RUN)
        if any(ended.code for ended in ends):
            raise RuntimeError(f"undisturbed, it failed: {ends}")
    return replace(subject, seconds=time.monotonic() - began)


def run_through(subject: Ranks, rng: random.Random, place: Path, outcomes: list[str]) -> str:
    """Run to the end, with up to three signals; what is wrong, or ""."""
    for turn in range(rng.randint(1, 3)):
        children, number = subject.start(place, turn), rng.choice([signal.SIGKILL, signal.SIGSTOP])
        moment = random_moment(rng, place, subject)
        wait_until(moment, place, children, is_joined=number == signal.SIGSTOP)
        children[rng.randrange(subject.size)].kill(number)
        try:
            ends = wait_for_all(children, SECONDS_TO_END)
        except TimeoutError as error:
            return str(error)
        if not any(end.code for end in ends):
            break
        outcomes.append(f"{number.name} {state_of_run(place)}")
        has_joined = bool(ends[0].err)
        if has_joined and (problem := told_wrong([end.err for end in ends])):
            return problem
        if state_of_run(place) == ENDED:
            break
    if state_of_run(place) != ENDED:
        for ended in wait_for_all(subject.start(place, 9), SECONDS_TO_RUN):
            if ended.code:
                return f"it did not resume: {ended.code}, {ended.err}"
    return folders_differ(subject.whole, place / "run", MEASURED)


def random_moment(rng: random.Random, place: Path, subject: Ranks) -> tuple[int, float]:
    """A number of finished epochs, and the seconds to wait after them."""
    if rng.random() < START_FRACTION:
        return 0, rng.uniform(0, subject.seconds / 2)
    return rng.randint(min(epochs_in(place) + 1, EPOCHS), EPOCHS), rng.uniform(0, 0.5)


def epochs_in(place: Path) -> int:
    """The number of epochs that a run has finished."""
    metrics = place / "run" / "metrics.jsonl"
    return len(metrics.read_bytes().splitlines()) if metrics.exists() else 0


def wait_until(
    moment: tuple[int, float], place: Path, children: list[Child], *, is_joined: bool
) -> None:
    """Wait for a moment, and if wanted until the processes are connected; or for their end."""
    epochs, seconds = moment
    log = children[0].log.with_suffix(".err")
    end = time.monotonic() + SECONDS_TO_RUN
    while time.monotonic() < end and children[0].process.is_alive():
        has_joined = log.exists() and log.stat().st_size > 0
        if epochs_in(place) >= epochs and (has_joined or not is_joined):
            break
        time.sleep(0.01)
    time.sleep(seconds)


def told_wrong(texts: list[str]) -> str:
    """What is wrong with the messages of processes of which one was lost; "" if nothing."""
    told = [line for text in texts for line in text.splitlines() if line.startswith("alexnet: ")]
    if any("Traceback" in text for text in texts):
        return f"a traceback: {''.join(texts)}"
    return "" if len(told) == 1 else f"told {len(told)} times: {told}"
