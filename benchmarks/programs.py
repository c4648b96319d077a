"""The programs that peers.py compares: a function for each builds it and returns one step.

A function is named `<program>_<suite>`. It imports what it needs itself, since every program has a
process of its own and some packages may be missing.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from alexnet.models.variants import NormOption

Step = Callable[[], Any]


def ours_train(flags: argparse.Namespace, norm: NormOption = "published") -> Step:
    """A training step as `alexnet train` computes it: the paper's optimizer and batch size."""
    import torch

    from alexnet.benchmark.throughput import random_images
    from alexnet.config.recipe import OptimizerOptions, Recipe
    from alexnet.models.network import Network, channels_last
    from alexnet.models.variants import ModelOptions, variant
    from alexnet.models.zoo import architecture
    from alexnet.runtime.malloc import disable_malloc_trim
    from alexnet.training.step import set_up_update, update

    disable_malloc_trim()
    device = torch.device(flags.device)
    torch.manual_seed(0)
    network = channels_last(Network(variant(architecture(flags.arch), ModelOptions(norm=norm)))).to(
        device
    )
    images = random_images(network.architecture, flags.batch_size, device)
    labels = torch.randint(network.architecture.num_classes, (flags.batch_size,), device=device)
    recipe = Recipe(optimizer=OptimizerOptions(optimizer=flags.optimizer, lr=1e-3))
    network.train()
    if flags.compile:
        network.compile()
    setup = set_up_update(network, recipe)
    return lambda: update(setup, images, labels)


def ours_without_norm_train(flags: argparse.Namespace) -> Step:
    """As `ours_train`, without response norms."""
    return ours_train(flags, "none")


def ours_gains(flags: argparse.Namespace) -> Step:
    """The training step of `ours_train`, with which the other `gains` are compared."""
    return ours_train(flags)


def ours_torch_norm_gains(flags: argparse.Namespace) -> Step:
    """As `ours_train`, with the response norm in torch operations instead of C kernels."""
    os.environ["ALEXNET_KERNELS"] = "0"
    return ours_train(flags)


def ours_malloc_trim_gains(flags: argparse.Namespace) -> Step:
    """As `ours_train`, with malloc returning freed memory to the system."""
    import alexnet.runtime.malloc

    alexnet.runtime.malloc.disable_malloc_trim = lambda: False
    return ours_train(flags)


def ours_compiled_gains(flags: argparse.Namespace) -> Step:
    """As `ours_train`, with the whole network compiled."""
    flags.compile = True
    return ours_train(flags)


def plain_net(with_norm: bool = True) -> Any:
    """The paper's network as most people write it in PyTorch."""
    from torch import nn

    def norm() -> tuple[nn.Module, ...]:
        return (nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0),) if with_norm else ()

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


def plain_pytorch_train(flags: argparse.Namespace) -> Step:
    """A training step in eager float32, with torch's own norm, memory format and SGD."""
    return pytorch_train(flags, plain_net())


def tuned_pytorch_train(flags: argparse.Namespace, with_norm: bool = True) -> Step:
    """A training step in PyTorch with all that an expert adds by hand.

    bf16 autocast where the CPU has bf16 products, channels-last memory, torch.compile, fused SGD,
    and malloc that keeps memory.
    """
    import torch

    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    net = plain_net(with_norm).to(memory_format=torch.channels_last)
    return pytorch_train(flags, net, tuned=True)


def tuned_pytorch_without_norm_train(flags: argparse.Namespace) -> Step:
    """As `tuned_pytorch_train`, without response norms."""
    return tuned_pytorch_train(flags, with_norm=False)


def pytorch_train(flags: argparse.Namespace, net: Any, tuned: bool = False) -> Step:
    """A training step of a PyTorch module on random images."""
    import torch

    from alexnet.runtime.device import compute_dtype

    torch.manual_seed(0)
    device = torch.device(flags.device)
    net = net.to(device)
    images = torch.randn(flags.batch_size, 3, 227, 227, device=flags.device)
    if tuned:
        images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (flags.batch_size,), device=flags.device)
    optimizer = torch.optim.SGD(
        net.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, fused=tuned
    )
    forward = torch.compile(net) if tuned else net
    dtype = compute_dtype(device, "auto")
    is_cast = dtype != torch.float32 and (tuned or flags.device == "cuda")

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(flags.device, dtype if is_cast else torch.bfloat16, enabled=is_cast):
            logits = forward(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def matmul_train(flags: argparse.Namespace) -> Step:
    """A square matrix multiplication in the type that ours computes in."""
    import torch

    from alexnet.benchmark.throughput import make_matmul
    from alexnet.runtime.device import compute_dtype

    device = torch.device(flags.device)
    return make_matmul(device, compute_dtype(device, "auto"))[0]


def shared_inputs(flags: argparse.Namespace) -> tuple[Any, Any]:
    """The network and images that are the same in every process."""
    import torch

    from alexnet.models.network import create_model

    torch.manual_seed(0)
    network = create_model(flags.arch).eval()
    images = torch.randn(flags.batch_size, *network.architecture.input)
    return network, images


def ours_infer(flags: argparse.Namespace) -> Step:
    """Inference with the network as it was trained."""
    import torch

    from alexnet.benchmark.throughput import make_inference_step
    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    network, images = shared_inputs(flags)
    images = images.to(flags.device).contiguous(memory_format=torch.channels_last)
    return make_inference_step(network.to(flags.device), images, "auto")


def ours_optimized_infer(flags: argparse.Namespace) -> Step:
    """Inference with the network as `Classifier.optimized()` prepares it."""
    import torch

    from alexnet.benchmark.throughput import make_inference_step
    from alexnet.inference.optimize import optimize_for_inference
    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    network, images = shared_inputs(flags)
    images = images.to(flags.device).contiguous(memory_format=torch.channels_last)
    return make_inference_step(optimize_for_inference(network.to(flags.device)), images, "auto")


def plain_pytorch_infer(flags: argparse.Namespace) -> Step:
    """Inference with the plain PyTorch network, with the same weights."""
    import torch

    network, images = shared_inputs(flags)
    net = plain_net().eval()
    net.load_state_dict(dict(zip(net.state_dict(), network.state_dict().values(), strict=True)))
    net, images = net.to(flags.device), images.to(flags.device)

    @torch.inference_mode()
    def infer() -> Any:
        return net(images)

    return infer


def onnx_file(flags: argparse.Namespace, int8: bool = False) -> tuple[str, Any]:
    """The path of the network's ONNX file, optionally rounded as by `export --int8`; and images."""
    from torch import nn

    from alexnet.interop.onnx.export import network_model
    from alexnet.interop.onnx.modules import onnx_modules
    from alexnet.interop.onnx.rounding import static_int8_model

    network, images = shared_inputs(flags)
    path = Path(flags.folder) / f"{flags.arch}-{os.getpid()}.onnx"
    module = nn.Sequential(onnx_modules(network)).eval()
    model = network_model(module, network.architecture.input)
    if int8:
        model = static_int8_model(model, iter([images.numpy()]))
    path.write_bytes(model.SerializeToString())
    return str(path), images.numpy()


def onnxruntime_infer(flags: argparse.Namespace, int8: bool = False) -> Step:
    """Inference by ONNX Runtime on as many threads as torch has."""
    import onnxruntime
    import torch

    path, images = onnx_file(flags, int8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {session.get_inputs()[0].name: images})[0]


def onnxruntime_int8_infer(flags: argparse.Namespace) -> Step:
    """As `onnxruntime_infer`, in int8 calibrated on the images."""
    return onnxruntime_infer(flags, int8=True)


def openvino_infer(flags: argparse.Namespace, int8: bool = False) -> Step:
    """Inference by OpenVINO with torch's number of threads, a fixed shape, tuned for latency."""
    import openvino
    import torch

    path, images = onnx_file(flags)
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(list(images.shape))
    if int8:
        import nncf

        model = nncf.quantize(model, nncf.Dataset([images]))
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(model, "CPU", options)
    return lambda: compiled([images])[0]


def openvino_int8_infer(flags: argparse.Namespace) -> Step:
    """As `openvino_infer`, in int8 by NNCF, calibrated on the images."""
    return openvino_infer(flags, int8=True)


matmul_infer = matmul_gains = matmul_train


def ours_notebook(flags: argparse.Namespace) -> Step:
    """A training step of the notebook's network with Keras's Adam."""
    flags.arch, flags.optimizer = "alexnet_notebook", "keras_adam"
    return ours_train(flags)


def keras_notebook(
    flags: argparse.Namespace,
    backend: str,
    policy: str = "float32",
    jit_compile: bool | Literal["auto"] = "auto",
) -> Step:
    """A training step of the notebook's network, as it was meant, on one of Keras's backends."""
    os.environ["KERAS_BACKEND"] = backend
    import keras
    import numpy as np

    keras.mixed_precision.set_dtype_policy(policy)
    model = _keras_notebook_model()
    model.compile("adam", "categorical_crossentropy", jit_compile=jit_compile)
    random = np.random.default_rng(0)
    images = random.random((flags.batch_size, 224, 224, 3), np.float32)
    labels = np.eye(17, dtype=np.float32)[random.integers(17, size=flags.batch_size)]
    return lambda: float(model.train_on_batch(images, labels))


def _keras_notebook_model() -> Any:
    """The notebook's network, on the Keras backend of the environment."""
    import keras
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
            layers.Dense(17, activation="softmax", dtype="float32"),
        ]
    )
    assert model.count_params() == 28_096_769, model.count_params()
    return model


def keras_jax_notebook(flags: argparse.Namespace) -> Step:
    """The notebook's training step by Keras on JAX."""
    return keras_notebook(flags, "jax")


def keras_tensorflow_notebook(flags: argparse.Namespace) -> Step:
    """The notebook's training step by Keras on TensorFlow."""
    return keras_notebook(flags, "tensorflow")


def keras_tensorflow_bf16_notebook(flags: argparse.Namespace) -> Step:
    """The notebook's training step by Keras on TensorFlow with the policy `mixed_bfloat16`."""
    return keras_notebook(flags, "tensorflow", "mixed_bfloat16")


def keras_tensorflow_bf16_without_xla_notebook(flags: argparse.Namespace) -> Step:
    """As `keras_tensorflow_bf16_notebook` without XLA: by TensorFlow's oneDNN operations."""
    return keras_notebook(flags, "tensorflow", "mixed_bfloat16", jit_compile=False)


def keras_torch_notebook(flags: argparse.Namespace) -> Step:
    """The notebook's training step by Keras on torch."""
    return keras_notebook(flags, "torch")


def ours_prepare(flags: argparse.Namespace) -> Step:
    """Build the image store of a folder."""
    from alexnet.config.preprocessing import StoredForm
    from alexnet.data.datasets.catalogue import open_source
    from alexnet.data.store.build import prepare

    source = open_source(flags.image_folder, allow_unlabelled=True)

    def step() -> None:
        with tempfile.TemporaryDirectory(dir=flags.folder) as cache:
            prepare(source, StoredForm(), cache=Path(cache))

    return step


def pillow_loop_prepare(flags: argparse.Namespace) -> Step:
    """A loop with Pillow to the same pixels: open, center square, 256 x 256; kept in memory."""
    import numpy as np

    paths = sorted(Path(flags.image_folder).rglob("*.jpg"))
    return lambda: np.stack([pillow_square(path) for path in paths])


def pillow_threads_prepare(flags: argparse.Namespace) -> Step:
    """As `pillow_loop_prepare`, by a pool of threads, one per core."""
    return _pillow_threads(flags, pillow_square)


def pillow_draft_threads_prepare(flags: argparse.Namespace) -> Step:
    """As `pillow_threads_prepare`, with large photos decoded at a reduced size of at least 512."""
    return _pillow_threads(flags, lambda path: pillow_square(path, draft=512))


def _pillow_threads(flags: argparse.Namespace, square: Callable[[Path], Any]) -> Step:
    import numpy as np

    paths = sorted(Path(flags.image_folder).rglob("*.jpg"))
    pool = ThreadPoolExecutor(os.cpu_count())
    return lambda: np.stack(list(pool.map(square, paths)))


def pillow_square(path: Path, draft: int = 0) -> Any:
    """The central square of a photo at 256 x 256 pixels; `draft`: the side it must keep."""
    import numpy as np
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        if draft:
            image.draft("RGB", (draft, draft))
        rgb = image.convert("RGB")
    return np.asarray(ImageOps.fit(rgb, (256, 256), Image.Resampling.LANCZOS))
