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
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], Any]
TURN_SECONDS = 0.2
"""What a program's turn lasts at least."""
LONGEST_REST_SECONDS = 2.0
"""After a turn, as long as it lasted: the system still takes back the memory that it used."""
SUITES = {
    "train": ("ours", "ours_without_norm", "plain_pytorch", "matrix"),
    "gains": ("ours", "ours_torch_norm", "ours_fresh_memory", "ours_compiled", "matrix"),
    "infer": ("ours", "ours_optimized", "onnxruntime", "openvino", "plain_pytorch", "matrix"),
    "notebook": ("ours", "keras_jax", "keras_tensorflow", "keras_torch"),
    "prepare": ("ours", "pillow_loop"),
}


# one function a program: it builds what it needs and returns one step


def ours_train(flags: argparse.Namespace, norm: str = "published") -> Work:
    """A training step as `alexnet train` computes it: the paper's rule, the paper's batch."""
    import torch

    from alexnet.benchmark import drawn
    from alexnet.memory import keep_freed_memory
    from alexnet.network import Network, channels_last
    from alexnet.optim import build_optimizer
    from alexnet.recipe import Optimizer, Recipe
    from alexnet.training import update
    from alexnet.variants import variant
    from alexnet.zoo import architecture

    keep_freed_memory()
    device = torch.device(flags.device)
    torch.manual_seed(0)
    network = channels_last(Network(variant(architecture(flags.arch), norm=norm))).to(device)
    optimizer = build_optimizer(network, Optimizer(rule=flags.rule, rate=1e-3))
    images = drawn(network.architecture, flags.batch, device)
    labels = torch.randint(network.architecture.classes, (flags.batch,), device=device)
    recipe = Recipe()
    network.train()
    if flags.compile:
        network.compile()
    return lambda: update(network, optimizer, images, labels, recipe)


def ours_without_norm_train(flags: argparse.Namespace) -> Work:
    """The same without its response norms."""
    return ours_train(flags, "none")


def ours_gains(flags: argparse.Namespace) -> Work:
    """As in `train`."""
    return ours_train(flags)


def ours_torch_norm_gains(flags: argparse.Namespace) -> Work:
    """With the response norm in torch's operations instead of the kernel."""
    os.environ["ALEXNET_KERNELS"] = "0"
    return ours_train(flags)


def ours_fresh_memory_gains(flags: argparse.Namespace) -> Work:
    """With memory taken from the system and given back for every tensor."""
    import alexnet.memory

    alexnet.memory.keep_freed_memory = lambda: False
    return ours_train(flags)


def ours_compiled_gains(flags: argparse.Namespace) -> Work:
    """With the whole network compiled."""
    flags.compile = True
    return ours_train(flags)


def plain_net() -> Any:
    """The paper's network as most people write it in PyTorch."""
    from torch import nn

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
        *(nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 1000)),
    )


def plain_pytorch_train(flags: argparse.Namespace) -> Work:
    """Eager, float32, torch's own norm, default memory format, torch's SGD."""
    import torch

    torch.manual_seed(0)
    net = plain_net().to(flags.device)
    images = torch.randn(flags.batch, 3, 227, 227, device=flags.device)
    labels = torch.randint(1000, (flags.batch,), device=flags.device)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(flags.device, torch.bfloat16, enabled=flags.device == "cuda"):
            loss = torch.nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()

    return step


def matrix_train(flags: argparse.Namespace) -> Work:
    """A square matrix product in the type that ours computes in."""
    import torch

    from alexnet.benchmark import matrix_product
    from alexnet.precision import computing_type

    device = torch.device(flags.device)
    return matrix_product(device, computing_type(device, "auto"))[0]


def shared_inputs(flags: argparse.Namespace) -> tuple[Any, Any]:
    """The same network and images in every process."""
    import torch

    from alexnet.network import create_model

    torch.manual_seed(0)
    network = create_model(flags.arch).eval()
    images = torch.randn(flags.batch, *network.architecture.input)
    return network, images


def ours_infer(flags: argparse.Namespace) -> Work:
    """The network as it is trained."""
    import torch

    from alexnet.benchmark import inference_work
    from alexnet.memory import keep_freed_memory

    keep_freed_memory()
    network, images = shared_inputs(flags)
    images = images.to(flags.device).contiguous(memory_format=torch.channels_last)
    return inference_work(network.to(flags.device), images, "auto")


def ours_optimized_infer(flags: argparse.Namespace) -> Work:
    """The network as `Classifier.optimized()` prepares it."""
    import torch

    from alexnet.benchmark import inference_work
    from alexnet.inference import optimized_network
    from alexnet.memory import keep_freed_memory

    keep_freed_memory()
    network, images = shared_inputs(flags)
    images = images.to(flags.device).contiguous(memory_format=torch.channels_last)
    return inference_work(optimized_network(network.to(flags.device)), images, "auto")


def plain_pytorch_infer(flags: argparse.Namespace) -> Work:
    """The plain network with the same weights."""
    import torch

    network, images = shared_inputs(flags)
    net = plain_net().eval()
    net.load_state_dict(dict(zip(net.state_dict(), network.state_dict().values(), strict=True)))
    net, images = net.to(flags.device), images.to(flags.device)

    @torch.inference_mode()
    def infer() -> Any:
        return net(images)

    return infer


def onnx_file(flags: argparse.Namespace) -> tuple[str, Any]:
    """The network exported, and the images."""
    from collections import OrderedDict

    from torch import nn

    from alexnet.interop.export_onnx import onnx_bytes
    from alexnet.interop.exportable import onnx_parts

    network, images = shared_inputs(flags)
    path = Path(flags.folder) / f"{flags.arch}-{os.getpid()}.onnx"
    module = nn.Sequential(OrderedDict(onnx_parts(network))).eval()
    path.write_bytes(onnx_bytes(module, network.architecture.input)[0])
    return str(path), images.numpy()


def onnxruntime_infer(flags: argparse.Namespace) -> Work:
    """ONNX Runtime on as many threads as torch."""
    import onnxruntime
    import torch

    path, images = onnx_file(flags)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {session.get_inputs()[0].name: images})[0]


def openvino_infer(flags: argparse.Namespace) -> Work:
    """OpenVINO on as many threads as torch, its shape fixed, tuned for latency."""
    import openvino
    import torch

    path, images = onnx_file(flags)
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(images.shape))
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(model, "CPU", options)
    return lambda: compiled([images])[0]


matrix_infer = matrix_gains = matrix_train


def ours_notebook(flags: argparse.Namespace) -> Work:
    """A training step of the tutorial's network with Keras's rule."""
    flags.arch, flags.rule = "alexnet_notebook", "keras_adam"
    return ours_train(flags)


def keras_notebook(flags: argparse.Namespace, backend: str) -> Work:
    """The tutorial's program, as it was meant, on one of Keras's backends."""
    os.environ["KERAS_BACKEND"] = backend
    import keras
    import numpy as np
    from keras import layers

    def block(width: int, kernel: int, stride: int = 1) -> tuple[Any, ...]:
        return (layers.Conv2D(width, kernel, stride, activation="relu"),)

    def pool() -> tuple[Any, ...]:
        return layers.MaxPooling2D(2, 2), layers.BatchNormalization()

    def dense(width: int) -> tuple[Any, ...]:
        return (
            layers.Dense(width, activation="relu"),
            layers.Dropout(0.4),
            layers.BatchNormalization(),
        )

    model = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            *(*block(96, 11, 4), *pool(), *block(256, 11), *pool()),
            *(*block(384, 3), layers.BatchNormalization()),
            *(*block(384, 3), layers.BatchNormalization(), *block(256, 3), *pool()),
            *(layers.Flatten(), *dense(4096), *dense(4096), *dense(1000)),
            layers.Dense(17, activation="softmax"),
        ]
    )
    assert model.count_params() == 28_096_769, model.count_params()
    model.compile("adam", "categorical_crossentropy")
    random = np.random.default_rng(0)
    images = random.random((flags.batch, 224, 224, 3), np.float32)
    labels = np.eye(17, dtype=np.float32)[random.integers(17, size=flags.batch)]
    return lambda: float(model.train_on_batch(images, labels))


def keras_jax_notebook(flags: argparse.Namespace) -> Work:
    """Keras on JAX."""
    return keras_notebook(flags, "jax")


def keras_tensorflow_notebook(flags: argparse.Namespace) -> Work:
    """Keras on TensorFlow."""
    return keras_notebook(flags, "tensorflow")


def keras_torch_notebook(flags: argparse.Namespace) -> Work:
    """Keras on torch."""
    return keras_notebook(flags, "torch")


def ours_prepare(flags: argparse.Namespace) -> Work:
    """A store of the folder, made anew."""
    from alexnet.data.prepare import prepare
    from alexnet.data.unlabelled import open_pictures

    source = open_pictures(flags.folder_of_pictures)

    def work() -> None:
        with tempfile.TemporaryDirectory(dir=flags.folder) as place:
            prepare(source, resize="shorter_side", side=256, cache=Path(place))

    return work


def pillow_loop_prepare(flags: argparse.Namespace) -> Work:
    """One loop, the same pixels: open, central square, 256 x 256; pictures stay in memory."""
    import numpy as np
    from PIL import Image, ImageOps

    paths = sorted(Path(flags.folder_of_pictures).rglob("*.jpg"))

    def square(path: Path) -> Any:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        return np.asarray(ImageOps.fit(rgb, (256, 256), Image.Resampling.LANCZOS))

    return lambda: np.stack([square(path) for path in paths])


# the processes and their turns


def worker(name: str, flags: argparse.Namespace) -> None:
    """Build one program, then run a step for every line that comes in."""
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        work = globals()[f"{name}_{flags.suite}"](flags)
        result = work()
        work()
        began = time.perf_counter()
        finished(work())
        steps = max(1, round(TURN_SECONDS / (time.perf_counter() - began)))
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

    from alexnet.benchmark import MATRIX_SIDE
    from alexnet.environment import describe_environment, installed
    from alexnet.values import to_plain

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
        "versions": {name: installed(name) for name in packages},
        "environment": to_plain(describe_environment(torch.device(flags.device))),
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
            f"{name:<20}{row['median']:10.1f} ms  ({row['low']:.1f} to {row['high']:.1f})"
            f"{speed}  x {ratio:.2f}"
        )
    for name, why in result["missing"].items():
        lines.append(f"{name:<20}left out: {why}")
    if "matrix_gflops" in result:
        lines.append(f"matrix product {result['matrix_gflops']:.0f} GFLOP/s")
    machine = result["environment"]
    lines.append(
        f"{machine['processor']}, {machine['threads']} threads, bf16 {machine['has_bf16']}, "
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
    parser.add_argument("--rule", default="paper")
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
