"""Training on several hosts, which are network namespaces of this machine."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from alexnet.config.recipe import Recipe
from support.network_namespaces import start_hosts
from support.processes import Processes
from support.runs import resume, train
from support.torchrun import (
    MANY_EPOCHS,
    TIMEOUT_SECONDS,
    wait_for_epochs,
    write_job,
)

SERVE = "import socket; s = socket.create_server(('', 4000)); print('up', flush=True); s.accept()"
CALL = "import socket; socket.create_connection(('host-1', 4000), 5); print(socket.gethostname())"


@pytest.mark.slow
def test_hosts_reach_each_other_by_name_and_leave_nothing() -> None:
    with start_hosts(2) as (one, two):
        words = two.command([sys.executable, "-c", SERVE])
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            assert server.stdout.readline() == "up\n"
            call = one.command([sys.executable, "-c", CALL])
            assert subprocess.check_output(call, text=True) == "host-0\n"
    namespaces = subprocess.check_output(["ip", "netns", "list"], text=True)
    assert one.namespace not in namespaces
    assert two.namespace not in namespaces


SECONDS_TO_END = 30.0
"""From the loss of a link to the end of both sides."""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_cut_link_ends_both_sides_and_the_run_goes_on(small: Recipe, tmp_path: Path) -> None:
    """No packet says that the other side is gone; each side names it, and can be resumed."""
    job = write_job(small, tmp_path / "job", MANY_EPOCHS)
    with start_hosts(2) as hosts, ExitStack() as stack:
        processes = [
            stack.enter_context(
                job.start(host.command(job.words_of_rank(rank, "host-0")), str(rank))
            )
            for rank, host in enumerate(hosts)
        ]
        wait_for_epochs(job, 2)
        hosts[1].cut_link()
        end = time.monotonic() + SECONDS_TO_END
        assert [p.wait(end - time.monotonic()) for p in processes] == [2, 2]
    advice = "has ended or does not answer; resume with: alexnet train --resume run"
    for rank, other in ((0, 1), (1, 0)):
        last = (job.place / str(rank)).read_text().splitlines()[-1]
        assert last.startswith(f"alexnet: rank {other} (process ")
        assert last.endswith(f" on host-{other}) {advice}")
    finished = job.epochs()
    assert len(resume(job.out, epochs=finished + 1).history) == finished + 1


TWO_HOSTS = (
    "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-id", "1", "--rdzv-backend", "c10d",
    "--rdzv-endpoint", "host-0:29400", "--max-restarts", "3",
    "--rdzv-conf", "keep_alive_interval=1",
)  # fmt: skip


def run_here(recipe: Recipe, out: Path) -> None:
    train(recipe, out=out)


@pytest.mark.timeout(400)
def test_a_host_is_killed_and_comes_back_to_the_bits_of_two_processes(
    small: Recipe, tmp_path: Path, pair: Processes
) -> None:
    """One run of torchrun on two hosts: those here that it is compared with were never stopped."""
    job = write_job(small, tmp_path / "job", 12)
    pair.run(run_here, job.recipe(), tmp_path / "here")
    words = job.words(*TWO_HOSTS)
    with start_hosts(2) as (one, two), job.start(one.command(words), "0") as first:
        with job.start(two.command(words), "1"):
            wait_for_epochs(job, 2)
        assert first.poll() is None
        with job.start(two.command(words), "2") as again:
            assert first.wait(TIMEOUT_SECONDS) == again.wait(TIMEOUT_SECONDS) == 0
    assert "rank 1 (process" in (job.place / "0").read_text()
    assert job.has_resumed()
    assert not (job.place / "2").read_text().count("epoch")
    for name in ("model", "last"):
        file = f"{name}.safetensors"
        assert (job.out / file).read_bytes() == (tmp_path / "here" / file).read_bytes()
    for file in ("config.json", "environment.json", "metrics.jsonl"):
        assert (job.out / file).read_text() == (tmp_path / "here" / file).read_text()
