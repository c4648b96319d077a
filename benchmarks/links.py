#!/usr/bin/env python3
"""Time training steps of several processes on slow links, beside what arithmetic predicts.

    sudo python benchmarks/links.py [--rates 100mbit,1gbit] [--out FILE.json]

Every process gets a network namespace with a link that `tc` limits in both directions; the end
removes them. All of them share this machine's cores. It needs Linux, root, and the tests' packages.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alexnet.parallel.world import World
    from support.network_namespaces import Host

HERE = Path(__file__).resolve().parent
PORT = 29_400
HEADERS = 1448 / 1514
"""Fraction of an Ethernet frame that is left for data after the headers of Ethernet, IP and TCP."""
LATENCY = 1e-4
"""Latency between network namespaces of one machine, in seconds."""
COUNTER = Path("/sys/class/net/eth0/statistics/tx_bytes")
WAYS: tuple[dict[str, str], ...] = (
    {"parallel": "data"},
    {"parallel": "data", "gradient_compression": "bf16"},
    {"parallel": "hybrid"},
    {"parallel": "hybrid", "exchange": "turns"},
    {"parallel": "hybrid", "exchange": "slices"},
    {"parallel": "hybrid", "gradient_compression": "bf16"},
)


class Flags(argparse.Namespace):
    """The flags of the command line."""

    arch: str
    width: float
    processes: int
    batch_size: int
    steps: int
    rates: str
    ways: str
    out: str
    worker: bool


@dataclass
class Workers:
    """The processes, each on its host."""

    hosts: list[Host]
    running: list[subprocess.Popen[str]]

    def ask(self, do: str, **options: Any) -> list[Any]:
        """Send a request to every process; return their answers in the order of the ranks."""
        for process in self.running:
            assert process.stdin
            process.stdin.write(json.dumps({"do": do, **options}) + "\n")
            process.stdin.flush()
        return [_answer(process) for process in self.running]

    def limit(self, rate: str) -> None:
        """Limit the rate of every link in both directions; "" removes the limit."""
        what = ("root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
        for number, host in enumerate(self.hosts):
            switch = f"{host.namespace.rpartition('-')[0]}-switch"
            for namespace, device in ((host.namespace, "eth0"), (switch, f"host{number}")):
                change = ["replace", "dev", device, *what] if rate else ["del", "dev", device]
                command = ["ip", "netns", "exec", namespace, "tc", "qdisc", *change]
                words = command if rate else [*command, "root"]  # there may be none to delete
                subprocess.run(words, check=bool(rate), stderr=None if rate else subprocess.DEVNULL)


def _answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    line = process.stdout.readline()
    assert line, "a process has ended"
    return json.loads(line)


@contextmanager
def start_workers(hosts: Sequence[Host], flags: Flags) -> Iterator[Workers]:
    """A context with a process on each host."""
    running = []
    words = ["--arch", flags.arch, "--width", flags.width, "--batch-size", flags.batch_size]
    try:
        for rank, host in enumerate(hosts):
            command = host.command([sys.executable, __file__, "--worker", *words])
            environment = os.environ | _torchrun(rank, hosts)
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)
            running.append(process)
        yield Workers(list(hosts), running)
    finally:
        for process in running:
            process.kill()
            process.wait()


def _torchrun(rank: int, hosts: Sequence[Host]) -> dict[str, str]:
    """The environment variables that torchrun sets, for a host of one process."""
    return {
        "RANK": f"{rank}",
        "WORLD_SIZE": f"{len(hosts)}",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": hosts[0].address,
        "MASTER_PORT": f"{PORT}",
        "GLOO_SOCKET_IFNAME": "eth0",
        "OMP_NUM_THREADS": "1",
    }


def measure(flags: Flags) -> dict[str, Any]:
    """Measure all ways to exchange at all rates, with their predictions."""
    from alexnet.io.files import write_text
    from support.network_namespaces import start_hosts

    ways = [WAYS[int(place)] for place in flags.ways.split(",")] if flags.ways else WAYS
    with start_hosts(flags.processes) as hosts, start_workers(hosts, flags) as workers:
        results: dict[str, Any] = {
            "network": flags.arch,
            "processes": flags.processes,
            "batch_size": flags.batch_size,
            **_alone(flags, workers.ask("alone", steps=flags.steps)),
            "steps": [],
        }
        for way in ways:
            workers.limit("")
            workers.ask("build", way=way)
            workers.ask("steps", steps=1)
            for rate in flags.rates.split(","):
                workers.limit(rate)
                workers.ask("steps", steps=1)
                found = workers.ask("steps", steps=flags.steps)
                row = _row(flags, way, rate, found, results)
                results["steps"].append(row)
                print(_line(row), flush=True)
                if flags.out:
                    write_text(Path(flags.out), json.dumps(results, indent=1) + "\n")
    return results


def _alone(flags: Flags, answers: Sequence[Any]) -> dict[str, Any]:
    """The seconds of a step that is computed alone, and their part that images do not change."""
    once, twice = ([t for one in answers for t in one[key]] for key in ("once", "twice"))
    seconds = statistics.median(once)
    fixed = max(0.0, 2 * seconds - statistics.median(twice))
    convolutions = [
        statistics.median(one[key] for one in answers) for key in ("conv once", "conv twice")
    ]
    return {
        "alone_seconds": _spread(once),
        "alone_seconds_twice_the_images": _spread(twice),
        "alone_images_per_second": flags.batch_size // flags.processes / seconds,
        "fixed_seconds": fixed,
        "conv_seconds": convolutions,
        "conv_fixed_seconds": min(fixed, max(0.0, 2 * convolutions[0] - convolutions[1])),
    }


def _row(
    flags: Flags, way: dict[str, str], rate: str, found: list[Any], results: dict[str, Any]
) -> dict[str, Any]:
    """The row of one measurement, with the prediction."""
    predicted = _predict(flags, way, rate, results)
    measured = _spread(found[0]["seconds"])
    return {
        **{"exchange": "all", "gradient_compression": "none"},
        **way,
        "link": rate,
        "measured_seconds": measured,
        "predicted_seconds": predicted.step_seconds,
        "predicted_compute_seconds": predicted.compute_seconds,
        "predicted_send_seconds": predicted.send_seconds,
        "measured_to_predicted": measured["median"] / predicted.step_seconds,
        "counted_bytes": found[0]["counted"] / flags.steps,
        "planned_bytes": predicted.sent_bytes,
        "bytes_on_the_link": found[0]["on_the_link"] / flags.steps,
    }


def _predict(flags: Flags, way: dict[str, str], rate: str, results: dict[str, Any]) -> Any:
    from alexnet.parallel.plan import plan_for
    from alexnet.parallel.prediction import Device, Link, predict_step, read_bandwidth

    plan: Any = plan_for(network(flags), way["parallel"], flags.processes)  # type: ignore[arg-type]
    device = Device(
        images_per_second=results["alone_images_per_second"],
        fixed_seconds=results["fixed_seconds"],
        conv_fixed_seconds=results["conv_fixed_seconds"],
    )
    return predict_step(
        plan,
        flags.batch_size,
        device,
        Link(bandwidth=HEADERS * read_bandwidth(rate), latency=LATENCY),
        exchange="rounds" if way.get("exchange", "all") != "all" else "all",
        gradient_bytes=2 if way.get("gradient_compression") == "bf16" else 4,
    )


def network(flags: Flags) -> Any:
    """The architecture of the network that is trained."""
    from alexnet.models.variants import ModelOptions, variant
    from alexnet.models.zoo import architecture

    return variant(architecture(flags.arch), ModelOptions(width=flags.width))


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "n": len(values),
    }


def _line(row: dict[str, Any]) -> str:
    seconds = row["measured_seconds"]
    name = " ".join((row["parallel"], row["exchange"], row["gradient_compression"]))
    return (
        f"{name:<20} {row['link']:<8} {seconds['median']:7.3f} s ({seconds['low']:.3f} to "
        f"{seconds['high']:.3f}, n = {seconds['n']})  predicted {row['predicted_seconds']:7.3f} s "
        f"({row['measured_to_predicted']:.2f})  {row['counted_bytes'] / 1e6:6.1f} MB counted, "
        f"{row['planned_bytes'] / 1e6:6.1f} planned, {row['bytes_on_the_link'] / 1e6:6.1f} sent"
    )


def work(flags: Flags) -> None:
    """Work as one of the processes: answer the requests on stdin until it ends."""
    import torch

    from alexnet.benchmark.processes import make_shared_step
    from alexnet.config.distributed import DistributedOptions
    from alexnet.parallel.world import join_world
    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    with join_world() as world:
        device, shared = torch.device("cpu"), None
        for line in sys.stdin:
            words = json.loads(line)
            world.barrier()
            answer: Any = None
            if words["do"] == "alone":
                answer = _time_all_alone(flags, words["steps"], world)
            elif words["do"] == "build":
                shared = None
                options = DistributedOptions(devices=world.size, **words["way"])
                shared = make_shared_step(
                    network(flags), flags.batch_size, device, "float32", options
                )
            elif shared:
                answer = _time_shared(shared, words["steps"])
            print(json.dumps(answer), flush=True)


def _time_all_alone(flags: Flags, steps: int, world: World) -> dict[str, Any]:
    """Measure steps without exchanges, in seconds, while the other processes do the same.

    Of a process's images, and of twice as many; and the median of those of the layers before the
    fully connected ones alone.
    """
    images = flags.batch_size // world.size
    return {
        "once": _time_alone(flags, images, steps, world),
        "twice": _time_alone(flags, 2 * images, steps, world),
        "conv once": _time_convolutions(flags, images, steps, world),
        "conv twice": _time_convolutions(flags, 2 * images, steps, world),
    }


def _time_convolutions(flags: Flags, images: int, steps: int, world: World) -> float:
    import torch

    from alexnet.benchmark.throughput import random_images
    from alexnet.models.network import create_model
    from alexnet.parallel.hybrid import first_connected
    from alexnet.parallel.plan import plan_for

    arch = network(flags)
    pixels = random_images(arch, images, torch.device("cpu"))
    layers = list(create_model(arch).children())[: first_connected(plan_for(arch, "data", 1))]
    part = torch.nn.Sequential(*layers)

    def step() -> None:
        part.zero_grad(set_to_none=True)
        part(pixels).sum().backward()
        world.barrier()

    step()
    return statistics.median(_seconds(step) for _ in range(steps))


def _time_alone(flags: Flags, images: int, steps: int, world: World) -> list[float]:
    """Measure steps without exchanges that all processes begin together, in seconds."""
    import torch

    from alexnet.benchmark.throughput import make_train_step, random_images
    from alexnet.models.network import create_model

    model = create_model(network(flags))
    pixels = random_images(model.architecture, images, torch.device("cpu"))
    update = make_train_step(model, pixels, "float32")

    def step() -> None:
        update()
        world.barrier()

    step()
    return [_seconds(step) for _ in range(steps + 1)][1:]


def _time_shared(shared: Any, steps: int) -> dict[str, Any]:
    before, shared_before = int(COUNTER.read_text()), shared.meter.num_bytes
    seconds = [_seconds(shared.call) for _ in range(steps)]
    return {
        "seconds": seconds,
        "counted": shared.meter.num_bytes - shared_before,
        "on_the_link": int(COUNTER.read_text()) - before,
    }


def _seconds(step: Any) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    """Measure; print a line for each way and link, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", default="alexnet")
    parser.add_argument("--width", type=float, default=1.0, help="of all layers, to test this")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=32, help="of all processes together")
    parser.add_argument("--steps", type=int, default=5, help="that count")
    parser.add_argument("--rates", default="1gbit,100mbit", help="of the links, as tc calls them")
    parser.add_argument("--ways", default="", help="numbers of WAYS; all unless given")
    parser.add_argument("--out", default="", help="a JSON file for the results")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args(namespace=Flags())
    if flags.worker:
        work(flags)
        return
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.network_namespaces import why_impossible

    if reason := why_impossible():
        sys.exit(f"links cannot be limited here: {reason}")
    measure(flags)


if __name__ == "__main__":
    main()
