#!/usr/bin/env python3
"""Ours beside other programs, on the same network and sizes, in one alternating run.

Every program runs in a process of its own, as its users run it, and works only when it is told to:
one step of each in turn, or as many as fill .2 s, so that a busy machine slows all alike and a step
of milliseconds does not begin with the caches of another program. Every second round goes
backwards, and a rest follows every turn. Prints a table, or with --json one line. What is not
installed is left out and named.

    python benchmarks/peers.py train [--batch 128]         the paper's net, a training step
    python benchmarks/peers.py gains [--batch 128]         the same, without each of its gains
    python benchmarks/peers.py infer [--batch 64]          the paper's net, inference
    python benchmarks/peers.py notebook [--batch 64]       the tutorial's net, a training step
    python benchmarks/peers.py prepare --pictures FOLDER   decoding and resizing a folder of .jpg

onnxruntime, openvino and keras (with jax, tensorflow or torch) are wanted for some peers:
pip install onnx onnxscript onnxruntime openvino keras jax tensorflow-cpu
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import programs

MIN_SAMPLE_SECONDS = 0.2
"""What a program's turn lasts at least."""
LONGEST_REST_SECONDS = 2.0
"""After a turn, as long as it lasted: the system still takes back the memory that it used."""
SUITES = {
    "train": (
        *("ours", "ours_without_norm", "tuned_pytorch", "tuned_pytorch_without_norm"),
        *("plain_pytorch", "matrix"),
    ),
    "gains": ("ours", "ours_torch_norm", "ours_fresh_memory", "ours_compiled", "matrix"),
    "infer": ("ours", "ours_optimized", "onnxruntime", "openvino", "plain_pytorch", "matrix"),
    "notebook": ("ours", "keras_tensorflow_bf16", "keras_jax", "keras_tensorflow", "keras_torch"),
    "prepare": ("ours", "pillow_loop"),
}


def worker(name: str, flags: argparse.Namespace) -> None:
    """Build one program, then run a step for every line that comes in."""
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        work: programs.Work = getattr(programs, f"{name}_{flags.suite}")(flags)
        result = work()
        work()
        began = time.perf_counter()
        finished(work())
        steps = max(1, round(MIN_SAMPLE_SECONDS / (time.perf_counter() - began)))
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    head = first_numbers(result) if flags.suite == "infer" and name != "matrix" else []
    print(json.dumps({"ready": True, "head": head}), file=answers, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(steps):
            finished(work())
        seconds = (time.perf_counter() - began) / steps
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


def finished(result: Any) -> None:
    """Wait for a GPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def first_numbers(result: Any) -> list[float]:
    """The first logits of the first image, to see that all compute the same network."""
    return [float(value) for value in result[0][:5]]


def start(name: str, flags: argparse.Namespace) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """A worker's process and its first answer."""
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", name, "--folder", flags.folder]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, json.loads(line) if line else {"missing": "it stopped; run it with --worker"}


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every program's step, in turns."""
    processes, missing, heads = {}, {}, {}
    for name in SUITES[flags.suite]:
        if flags.only and name not in flags.only:
            continue
        process, answer = start(name, flags)
        if "missing" in answer:
            missing[name] = answer["missing"]
        else:
            processes[name], heads[name] = process, answer["head"]
    times: dict[str, list[float]] = {name: [] for name in processes}
    for turn in range(flags.repeats):
        order = reversed(processes) if turn % 2 else iter(processes)
        for name in order:
            process, began = processes[name], time.perf_counter()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            times[name].append(json.loads(process.stdout.readline())["seconds"])
            time.sleep(min(time.perf_counter() - began, LONGEST_REST_SECONDS))
    for process in processes.values():
        process.communicate()
    return {"times": times, "missing": missing, "heads": {k: v for k, v in heads.items() if v}}


def report(found: dict[str, Any], flags: argparse.Namespace) -> dict[str, Any]:
    """Medians, spreads, and each program's time over ours."""
    import torch

    from alexnet.benchmark.throughput import MATRIX_SIDE
    from alexnet.config.serialization import to_dict
    from alexnet.runtime.environment import describe_environment, installed_version

    times = found["times"]
    best = "ours_optimized" if "ours_optimized" in times else "ours"
    ratios = {
        name: statistics.median(t / o for t, o in zip(taken, times[best], strict=True))
        for name, taken in times.items()
    }
    packages = ("torch", "onnxruntime", "openvino", "keras", "jax", "tensorflow-cpu", "pillow")
    result = {
        "suite": flags.suite,
        "batch": flags.batch,
        "n": flags.repeats,
        "milliseconds": {
            name: {
                "median": 1e3 * statistics.median(taken),
                "low": 1e3 * min(taken),
                "high": 1e3 * max(taken),
                f"times_{best}": ratios[name],
            }
            for name, taken in times.items()
        },
        "missing": found["missing"],
        "logits": found["heads"],
        "versions": {name: installed_version(name) for name in packages},
        "environment": to_dict(describe_environment(torch.device(flags.device))),
    }
    if "matrix" in times:
        flops = 2 * MATRIX_SIDE[flags.device] ** 3
        result["matrix_gflops"] = flops / statistics.median(times["matrix"]) / 1e9
    return result


def text(result: dict[str, Any]) -> str:
    """The report as a table."""
    images = 1360 if result["suite"] == "prepare" else result["batch"]
    lines = [f"{result['suite']}, batch {result['batch']}, n = {result['n']}, in turns"]
    for name, row in result["milliseconds"].items():
        (ratio,) = (value for key, value in row.items() if key.startswith("times_"))
        speed = "" if name == "matrix" else f"{1e3 * images / row['median']:9.1f} a second"
        lines.append(
            f"{name:<28}{row['median']:10.1f} ms  ({row['low']:.1f} to {row['high']:.1f})"
            f"{speed}  x {ratio:.2f}"
        )
    for name, why in result["missing"].items():
        lines.append(f"{name:<28}left out: {why}")
    if "matrix_gflops" in result:
        lines.append(f"matrix product {result['matrix_gflops']:.0f} GFLOP/s")
    machine = result["environment"]
    lines.append(
        f"{machine['device_name']}, {machine['threads']} threads, bf16 {machine['has_bf16']}, "
        + ", ".join(f"{k} {v}" for k, v in result["versions"].items() if v != "not installed")
    )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--arch", default="alexnet")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--optimizer", default="paper")
    parser.add_argument("--compile", action="store_true", help="of ours")
    parser.add_argument("--only", nargs="*", help="programs to run; all unless given")
    parser.add_argument("--pictures", dest="folder_of_pictures", default="", help="for prepare")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.worker:
        worker(flags.worker, flags)
        return
    with tempfile.TemporaryDirectory() as flags.folder:
        result = report(measure(flags), flags)
    print(json.dumps(result) if flags.json else text(result))


if __name__ == "__main__":
    main()
