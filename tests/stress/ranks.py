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

from alexnet.config.serialization import to_json
from stress.children import Child, Ended, plain_plots, start
from stress.kills import ENDED, state_of_run
from stress.subjects import MEASURED, folders_differ, paint_images, recipes
from stress.tally import Tally, counted
from support.processes import free_port, torchrun_environment

SIZE = 2
EPOCHS = 12
SECONDS_TO_END = 30.0
"""From the loss of one process to the end of all, and for slow machines twice that."""
SLACK = 2.0


@dataclass(frozen=True)
class Ranks:
    """A run by several processes."""

    config: Path
    cache: Path
    whole: Path
    """The run folder when undisturbed."""
    seconds: float = 0.0

    def start(self, place: Path, turn: int) -> list[Child]:
        """Start the run in `place/run`, or resume it."""
        out, port = place / "run", free_port()
        words = ["--resume", out] if out.exists() else ["--config", self.config, "--out", out]
        return [
            start(
                ["train", *words],
                cache=self.cache,
                log=place / f"log-{turn}-{rank}",
                setup=(plain_plots, partial(join_as, rank, SIZE, port)),
            )
            for rank in range(SIZE)
        ]


def join_as(rank: int, size: int, port: int) -> None:
    """Set what torchrun would."""
    torch.set_num_threads(1)
    os.environ.update(torchrun_environment(rank, size, port))


def wait_for_all(children: list[Child]) -> list[Ended]:
    """Wait until all have ended; when one has, the others are asked to.

    Raises:
        TimeoutError: one has not ended.
    """
    while all(child.process.is_alive() for child in children):
        time.sleep(0.05)
    time.sleep(0.1)
    if any(child.process.exitcode for child in children if not child.process.is_alive()):
        for child in children:
            child.kill(signal.SIGTERM)
    return [child.wait(SLACK * SECONDS_TO_END) for child in children]


def stress(count: int, seed: int, folder: Path) -> Tally:
    """`count` signals to one of the processes."""
    rng, outcomes, failures = random.Random(seed), list[str](), list[str]()
    subject = train_undisturbed(folder)
    number = 0
    while len(outcomes) < count:
        problem = run_through(subject, rng, folder / f"trial-{number}", outcomes)
        if problem:
            failures.append(f"trial {number} of seed {seed}: {problem}")
        number += 1
    return counted("one of two processes killed or stopped", outcomes, failures)


def train_undisturbed(folder: Path) -> Ranks:
    """An undisturbed run by as many processes, timed when a run before it has warmed all up.

    Raises:
        RuntimeError: it failed.
    """
    paint_images(folder / "images")
    config = folder / "config.json"
    config.write_text(to_json(recipes(folder / "images", EPOCHS)[1]))
    subject = Ranks(config, folder / "cache", folder / "whole" / "run")
    for place in ("warm-up", "whole"):
        began = time.monotonic()
        for ended in wait_for_all(subject.start(folder / place, 0)):
            if ended.code:
                raise RuntimeError(f"undisturbed, it ended with {ended.code}: {ended.err}")
    return replace(subject, seconds=time.monotonic() - began)


def run_through(subject: Ranks, rng: random.Random, place: Path, outcomes: list[str]) -> str:
    """Run to the end, with up to three signals; what is wrong, or ""."""
    for turn in range(rng.randint(1, 3)):
        children, number = subject.start(place, turn), rng.choice([signal.SIGKILL, signal.SIGSTOP])
        seconds, rank = rng.uniform(0, subject.seconds), rng.randrange(SIZE)
        wait_until(place / f"log-{turn}-0.err", seconds, is_joined=number == signal.SIGSTOP)
        children[rank].kill(number)
        try:
            ends = wait_for_all(children)
        except TimeoutError as error:
            return str(error)
        if not any(end.code for end in ends):
            break
        outcomes.append(f"{number.name} {state_of_run(place)}")
        if problem := told_wrong([end.err for end in ends]):
            return problem
        if state_of_run(place) == ENDED:
            break
    if state_of_run(place) != ENDED:
        for ended in wait_for_all(subject.start(place, 9)):
            if ended.code:
                return f"it did not resume: {ended.code}, {ended.err}"
    return folders_differ(subject.whole, place / "run", MEASURED)


def wait_until(log: Path, seconds: float, *, is_joined: bool) -> None:
    """Wait so long, and if wanted until the processes are connected, or have ended."""
    time.sleep(seconds)
    end = time.monotonic() + SECONDS_TO_END
    while is_joined and time.monotonic() < end and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)


def told_wrong(texts: list[str]) -> str:
    """What is wrong with the messages of processes of which one was lost; "" if nothing."""
    told = [line for text in texts for line in text.splitlines() if line.startswith("alexnet: ")]
    if any("Traceback" in text for text in texts):
        return f"a traceback: {''.join(texts)}"
    return f"told more than once: {told}" if len(told) > 1 else ""
