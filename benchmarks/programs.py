"""The programs that peers.py compares: one function each, which builds it and returns one step.

A function's name is the program's, then the suite's. What it imports is imported in it, since every
program has a process of its own and some are not installed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[[], Any]


def ours_train(flags: argparse.Namespace, norm: str = "published") -> Work:
    """A training step as `alexnet train` computes it: the paper's rule, the paper's batch."""
    import torch

    from alexnet.benchmark.throughput import drawn
    from alexnet.config.recipe import OptimizerOptions, Recipe
    from alexnet.models.network import Network, channels_last
    from alexnet.models.variants import ModelOptions, variant
    from alexnet.models.zoo import architecture
    from alexnet.runtime.malloc import disable_malloc_trim
    from alexnet.training.optimizers import build_optimizer
    from alexnet.training.step import update

    disable_malloc_trim()
    device = torch.device(flags.device)
    torch.manual_seed(0)
    network = channels_last(Network(variant(architecture(flags.arch), ModelOptions(norm=norm)))).to(
        device
    )
    optimizer = build_optimizer(network, OptimizerOptions(optimizer=flags.optimizer, lr=1e-3))
    images = drawn(network.architecture, flags.batch, device)
    labels = torch.randint(network.architecture.num_classes, (flags.batch,), device=device)
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
    import alexnet.runtime.malloc

    alexnet.runtime.malloc.disable_malloc_trim = lambda: False
    return ours_train(flags)


def ours_compiled_gains(flags: argparse.Namespace) -> Work:
    """With the whole network compiled."""
    flags.compile = True
    return ours_train(flags)


def plain_net(has_norm: bool = True) -> Any:
    """The paper's network as most people write it in PyTorch."""
    from torch import nn

    def norm() -> tuple[nn.Module, ...]:
        return (nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),) if has_norm else ()

    return nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), *norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), *norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
        *(nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 1000)),
    )


def plain_pytorch_train(flags: argparse.Namespace) -> Work:
    """Eager, float32, torch's own norm, default memory format, torch's SGD."""
    return pytorch_train(flags, plain_net())


def tuned_pytorch_train(flags: argparse.Namespace, has_norm: bool = True) -> Work:
    """What an expert adds by hand.

    bf16 autocast, channels-last memory, torch.compile, fused SGD, and freed memory kept.
    """
    import torch

    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    net = plain_net(has_norm).to(memory_format=torch.channels_last)
    return pytorch_train(flags, net, is_tuned=True)


def tuned_pytorch_without_norm_train(flags: argparse.Namespace) -> Work:
    """The same without its response norms."""
    return tuned_pytorch_train(flags, has_norm=False)


def pytorch_train(flags: argparse.Namespace, net: Any, is_tuned: bool = False) -> Work:
    """A training step of a PyTorch module on random images."""
    import torch

    torch.manual_seed(0)
    net = net.to(flags.device)
    images = torch.randn(flags.batch, 3, 227, 227, device=flags.device)
    if is_tuned:
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (flags.batch,), device=flags.device)
    optimizer = torch.optim.SGD(
        net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, fused=is_tuned
    )
    forward = torch.compile(net) if is_tuned else net
    has_bf16 = is_tuned or flags.device == "cuda"

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(flags.device, torch.bfloat16, enabled=has_bf16):
            logits = forward(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step


def matrix_train(flags: argparse.Namespace) -> Work:
    """A square matrix product in the type that ours computes in."""
    import torch

    from alexnet.benchmark.throughput import matrix_product
    from alexnet.runtime.device import compute_dtype

    device = torch.device(flags.device)
    return matrix_product(device, compute_dtype(device, "auto"))[0]


def shared_inputs(flags: argparse.Namespace) -> tuple[Any, Any]:
    """The same network and images in every process."""
    import torch

    from alexnet.models.network import create_model

    torch.manual_seed(0)
    network = create_model(flags.arch).eval()
    images = torch.randn(flags.batch, *network.architecture.input)
    return network, images


def ours_infer(flags: argparse.Namespace) -> Work:
    """The network as it is trained."""
    import torch

    from alexnet.benchmark.throughput import inference_work
    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    network, images = shared_inputs(flags)
    images = images.to(flags.device).contiguous(memory_format=torch.channels_last)
    return inference_work(network.to(flags.device), images, "auto")


def ours_optimized_infer(flags: argparse.Namespace) -> Work:
    """The network as `Classifier.optimized()` prepares it."""
    import torch

    from alexnet.benchmark.throughput import inference_work
    from alexnet.inference.optimize import optimize_for_inference
    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    network, images = shared_inputs(flags)
    images = images.to(flags.device).contiguous(memory_format=torch.channels_last)
    return inference_work(optimize_for_inference(network.to(flags.device)), images, "auto")


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
    from torch import nn

    from alexnet.interop.onnx.export import onnx_bytes
    from alexnet.interop.onnx.modules import onnx_modules

    network, images = shared_inputs(flags)
    path = Path(flags.folder) / f"{flags.arch}-{os.getpid()}.onnx"
    module = nn.Sequential(onnx_modules(network)).eval()
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
    flags.arch, flags.optimizer = "alexnet_notebook", "keras_adam"
    return ours_train(flags)


def keras_notebook(flags: argparse.Namespace, backend: str, policy: str = "float32") -> Work:
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

    keras.mixed_precision.set_dtype_policy(policy)
    model = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            *(*block(96, 11, 4), *pool(), *block(256, 11), *pool()),
            *(*block(384, 3), layers.BatchNormalization()),
            *(*block(384, 3), layers.BatchNormalization(), *block(256, 3), *pool()),
            *(layers.Flatten(), *dense(4096), *dense(4096), *dense(1000)),
            layers.Dense(17, activation="softmax", dtype="float32"),
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


def keras_tensorflow_bf16_notebook(flags: argparse.Namespace) -> Work:
    """Keras on TensorFlow under its policy `mixed_bfloat16`."""
    return keras_notebook(flags, "tensorflow", "mixed_bfloat16")


def keras_torch_notebook(flags: argparse.Namespace) -> Work:
    """Keras on torch."""
    return keras_notebook(flags, "torch")


def ours_prepare(flags: argparse.Namespace) -> Work:
    """A store of the folder, made anew."""
    from alexnet.data.datasets.catalogue import open_source
    from alexnet.data.store.build import prepare

    source = open_source(flags.folder_of_pictures, allow_unlabelled=True)

    def work() -> None:
        with tempfile.TemporaryDirectory(dir=flags.folder) as place:
            prepare(source, resize="shortest_edge", side=256, cache=Path(place))

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
