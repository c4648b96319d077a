#!/usr/bin/env python3
"""Compare our speed with other programs on the same network and sizes, timed alternately.

Every program runs in a process of its own, as its users run it, and computes only when it is its
turn: one step, or as many as fill 0.2 s, so that a step of milliseconds does not start with the
caches of another program. The order of the programs is reversed every second round, and a pause
follows every measurement, so that other load on the machine slows all alike. Prints a table, or
with --json one line. Programs that are not installed are listed as missing.

    python benchmarks/peers.py train [--batch-size 128]    the paper's net, a training step
    python benchmarks/peers.py gains [--batch-size 128]    the same, one optimization off
    python benchmarks/peers.py infer [--batch-size 64]     the paper's net, inference
    python benchmarks/peers.py notebook [--batch-size 64]  the notebook's net, a training step
    python benchmarks/peers.py prepare --images FOLDER     decoding and resizing a folder of .jpg
    python benchmarks/peers.py folder --images FOLDER      a folder of .jpg to its classes

onnxruntime, openvino and keras (with jax, tensorflow or torch) are needed for some of them:
pip install onnx onnxscript onnxruntime openvino nncf keras jax tensorflow-cpu
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

import checkout  # noqa: F401 - before the package itself
import folder_programs
import programs

MIN_SAMPLE_SECONDS = 0.2
"""Minimum duration of a measurement in seconds; a step of milliseconds is repeated to fill it."""
MAX_PAUSE_SECONDS = 2.0
"""Maximum pause in seconds. A pause is as long as the measurement before it, whose memory the
system still reclaims."""
PACKAGES = (
    *("torch", "onnxruntime", "openvino", "nncf", "keras", "jax", "tensorflow-cpu", "pillow"),
)
"""Packages whose versions are reported."""
SUITES = {
    "train": (
        *("ours", "ours_without_norm", "tuned_pytorch", "tuned_pytorch_without_norm"),
        *("plain_pytorch", "matmul"),
    ),
    "gains": ("ours", "ours_torch_norm", "ours_malloc_trim", "ours_compiled", "matmul"),
    "infer": (
        *("ours", "ours_optimized", "openvino_int8", "openvino", "onnxruntime_int8"),
        *("onnxruntime", "plain_pytorch", "matmul"),
    ),
    "notebook": (
        *("ours", "keras_tensorflow_bf16", "keras_tensorflow_bf16_without_xla"),
        *("keras_tensorflow", "keras_jax", "keras_torch"),
    ),
    "prepare": ("ours", "pillow_draft_threads", "pillow_threads", "pillow_loop"),
    "folder": (
        *("ours", "ours_exact", "our_decoding", "pillow_decoding", "dataloader", "openvino"),
    ),
}


def worker(name: str, flags: argparse.Namespace) -> None:
    """Build one program, then time its step for every line on stdin."""
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        module = folder_programs if flags.suite == "folder" else programs
        step: programs.Step = getattr(module, f"{name}_{flags.suite}")(flags)
        result = step()
        steps = 1 if flags.suite == "folder" else count_steps(step, flags.device)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    is_network = flags.suite == "infer" and name != "matmul"
    logits = first_logits(result) if is_network else []
    print(json.dumps({"ready": True, "logits": logits}), file=answers, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(steps):
            step()
            synchronize(flags.device)
        seconds = (time.perf_counter() - start) / steps
        print(json.dumps({"seconds": seconds}), file=answers, flush=True)


def count_steps(step: programs.Step, device: str) -> int:
    """The number of steps that fill MIN_SAMPLE_SECONDS, measured after a warm-up step."""
    step()
    synchronize(device)
    start = time.perf_counter()
    step()
    synchronize(device)
    return max(1, round(MIN_SAMPLE_SECONDS / (time.perf_counter() - start)))


def synchronize(device: str) -> None:
    """Wait until the GPU has finished; it need not be the first one."""
    if device.startswith("cuda") and (torch := sys.modules.get("torch")):
        torch.cuda.synchronize(device)


def first_logits(result: Any) -> list[float]:
    """Five logits of the first image, to check that all programs compute the same network."""
    return [float(value) for value in result[0][:5]]


def start_worker(
    name: str, flags: argparse.Namespace
) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start a worker process; return it and its first message."""
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", name, "--folder", flags.folder]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, json.loads(line) if line else {"missing": "it crashed; run it with --worker"}


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """Measure the seconds per step of every program, alternately."""
    processes, missing, logits = {}, {}, {}
    for name in SUITES[flags.suite]:
        if flags.only and name not in flags.only:
            continue
        process, answer = start_worker(name, flags)
        if "missing" in answer:
            missing[name] = answer["missing"]
        else:
            processes[name], logits[name] = process, answer["logits"]
    times: dict[str, list[float]] = {name: [] for name in processes}
    for repeat in range(flags.repeats):
        order = reversed(processes) if repeat % 2 else iter(processes)
        for name in order:
            process, start = processes[name], time.perf_counter()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            times[name].append(json.loads(process.stdout.readline())["seconds"])
            time.sleep(min(time.perf_counter() - start, MAX_PAUSE_SECONDS))
    for process in processes.values():
        process.communicate()
    return {"times": times, "missing": missing, "logits": {k: v for k, v in logits.items() if v}}


def report(measured: dict[str, Any], flags: argparse.Namespace) -> dict[str, Any]:
    """The results: medians, ranges, and each program's time divided by ours."""
    import torch

    from alexnet.benchmark.throughput import MATMUL_SIZE
    from alexnet.config.serialization import to_dict
    from alexnet.runtime.environment import describe_environment, installed_version

    times = measured["times"]
    best = next(name for name in ("ours_optimized", "ours", *times) if name in times)
    ratios = {
        name: statistics.median(t / o for t, o in zip(values, times[best], strict=True))
        for name, values in times.items()
    }
    result = {
        "suite": flags.suite,
        "batch_size": flags.batch_size,
        "num_images": len(folder_programs.paths(flags)) if flags.image_folder else 0,
        "n": flags.repeats,
        "milliseconds": {
            name: {
                "median": 1e3 * statistics.median(values),
                "low": 1e3 * min(values),
                "high": 1e3 * max(values),
                f"times_{best}": ratios[name],
            }
            for name, values in times.items()
        },
        "missing": measured["missing"],
        "logits": measured["logits"],
        "versions": {name: installed_version(name) for name in PACKAGES},
        "environment": to_dict(describe_environment(torch.device(flags.device))),
    }
    if "matmul" in times:
        flops = 2 * MATMUL_SIZE[flags.device] ** 3
        result["matmul_gflops"] = flops / statistics.median(times["matmul"]) / 1e9
    return result


def text(result: dict[str, Any]) -> str:
    """The report as a table."""
    images = result["num_images"] or result["batch_size"]
    lines = [
        f"{result['suite']}, batch {result['batch_size']}, n = {result['n']}, timed alternately"
    ]
    for name, row in result["milliseconds"].items():
        (ratio,) = (value for key, value in row.items() if key.startswith("times_"))
        speed = "" if name == "matmul" else f"{1e3 * images / row['median']:9.1f} images/s"
        lines.append(
            f"{name:<36}{row['median']:10.1f} ms  ({row['low']:.1f} to {row['high']:.1f})"
            f"{speed}  x {ratio:.2f}"
        )
    for name, why in result["missing"].items():
        lines.append(f"{name:<36}missing: {why}")
    if "matmul_gflops" in result:
        lines.append(f"matmul {result['matmul_gflops']:.0f} GFLOP/s")
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
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--optimizer", default="paper")
    parser.add_argument("--compile", action="store_true", help="of ours")
    parser.add_argument("--only", nargs="*", help="programs to run; unless given, all")
    parser.add_argument("--images", dest="image_folder", default="", help="for prepare and folder")
    parser.add_argument("--limit", type=int, default=0, help="images of the folder; 0: all")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    needs_images = flags.suite in ("prepare", "folder")
    if needs_images and not (flags.image_folder and folder_programs.paths(flags)):
        parser.error(f"{flags.suite} needs --images and a folder with .jpg files")
    if flags.worker:
        worker(flags.worker, flags)
        return
    with tempfile.TemporaryDirectory() as flags.folder:
        result = report(measure(flags), flags)
    print(json.dumps(result) if flags.json else text(result))


if __name__ == "__main__":
    main()
