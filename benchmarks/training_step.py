#!/usr/bin/env python3
"""Images per second of a training step and of inference, beside the machine's matrix-product rate.

One alternating run: a training step, an inference pass and a matrix product take turns, so that a
noisy machine disturbs all three alike. Prints one JSON line with medians, spread and n.

    python benchmarks/training_step.py [--arch alexnet] [--batch 64] [--repeats 7] [--device cpu]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from alexnet import create_model
from alexnet.environment import describe_environment
from alexnet.optim import build_optimizer
from alexnet.precision import autocast
from alexnet.recipe import Optimizer
from alexnet.values import to_plain


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of one call."""
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--arch", default="alexnet")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    flags = parser.parse_args()
    device = torch.device(flags.device)
    net = create_model(flags.arch, device=device)
    optimizer = build_optimizer(net, Optimizer())
    images = torch.randn(flags.batch, *net.architecture.input, device=device).contiguous(
        memory_format=torch.channels_last
    )
    labels = torch.randint(net.architecture.classes, (flags.batch,), device=device)
    side = 3072 if device.type == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))

    def train() -> None:
        net.train()
        with autocast(device, "auto"):
            logits = net(images)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        net.eval()
        with autocast(device, "auto"):
            net(images)

    work = {"train": train, "infer": infer, "matmul": lambda: a @ b}
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(flags.repeats + 1):
        for name, call in work.items():
            taken = seconds(call, device)
            if turn:
                times[name].append(taken)
    rate = {name: sorted(flags.batch / t for t in times[name]) for name in ("train", "infer")}
    print(
        json.dumps(
            {
                "arch": flags.arch,
                "batch": flags.batch,
                "n": flags.repeats,
                **{f"{name}_images_per_second": _spread(values) for name, values in rate.items()},
                "matmul_bf16_gflops": _spread([2 * side**3 / t / 1e9 for t in times["matmul"]]),
                "environment": to_plain(describe_environment(device)),
            }
        )
    )


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "min": round(min(values), 1),
        "max": round(max(values), 1),
    }


if __name__ == "__main__":
    main()
