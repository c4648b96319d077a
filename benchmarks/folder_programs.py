"""The programs of `peers.py folder`: a folder of JPEGs to the most probable class of each.

One step of a program is the whole folder, or its first `--limit` images. All networks have the same
random weights of the paper's net. The others resize by Pillow's bicubic filter, which is timm's
default and takes two thirds of the time of our Lanczos filter.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from programs import Step, onnx_file, plain_net, shared_inputs

BATCH, RESIZED, CROPPED = 64, 256, 227
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's pixels by color channel, on the 0-255 scale."""


def paths(flags: argparse.Namespace) -> list[Path]:
    """The paths of the images, at most `flags.limit`."""
    found = sorted(Path(flags.image_folder).rglob("*.jpg"))
    return found[: flags.limit or len(found)]


def ours_folder(flags: argparse.Namespace, exact: bool = False) -> Step:
    """The folder as `alexnet predict` computes it: the optimized network, all rows."""
    from dataclasses import replace

    from alexnet.inference.classifier import Classifier
    from alexnet.runtime.malloc import disable_malloc_trim

    disable_malloc_trim()
    classifier = Classifier(shared_inputs(flags)[0], model_info(flags))
    classifier = replace(classifier, precision="float32") if exact else classifier.optimized()
    images = paths(flags)
    return lambda: [row for batch in classifier.predict_batches(images) for row in batch]


def ours_exact_folder(flags: argparse.Namespace) -> Step:
    """The folder as `alexnet predict --exact` computes it, in float32."""
    return ours_folder(flags, exact=True)


def model_info(flags: argparse.Namespace) -> Any:
    """The header that a model file of the network would have."""
    from alexnet.checkpoints.model_file import ModelInfo
    from alexnet.config.preprocessing import Preprocessing
    from alexnet.config.recipe import Recipe
    from alexnet.models.zoo import architecture

    arch = architecture(flags.arch)
    names = tuple(map(str, range(arch.num_classes)))
    preprocessing = Preprocessing(resize_size=RESIZED, crop_size=CROPPED, mean=MEAN, std=STD)
    return ModelInfo(
        architecture=arch, class_names=names, preprocessing=preprocessing, recipe=Recipe()
    )


def our_decoding_folder(flags: argparse.Namespace) -> Step:
    """Our decoding and resizing alone, on all cores."""
    from alexnet.inference.decoding import decode_batches
    from alexnet.inference.inputs import read_inputs

    images, preprocessing = paths(flags), model_info(flags).preprocessing
    decoded = partial(decode_batches, preprocessing=preprocessing, prefetch=True)
    return lambda: [len(batch) for batch in decoded(read_inputs(images))]


def pillow_decoding_folder(flags: argparse.Namespace) -> Step:
    """Pillow's decoding and its Lanczos filter alone, to the same pixels as ours, on all cores."""
    import numpy as np
    from PIL import Image, ImageOps

    def square(path: Path) -> Any:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        return np.asarray(ImageOps.fit(rgb, (RESIZED, RESIZED), Image.Resampling.LANCZOS))

    pool, images = ThreadPoolExecutor(num_threads()), paths(flags)
    return lambda: [pixels.shape for pixels in pool.map(square, images)]


def num_threads() -> int:
    """The number of threads that torch uses."""
    import torch

    return torch.get_num_threads()


def crop(path: Path) -> Any:
    """Resize the shorter side to 256 (bicubic), crop the central 227: uint8 [227, 227, 3]."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        rgb = image.convert("RGB")
    scale = RESIZED / min(rgb.size)
    width, height = (round(length * scale) for length in rgb.size)
    rgb = rgb.resize((width, height), Image.Resampling.BICUBIC)
    left, upper = (width - CROPPED) // 2, (height - CROPPED) // 2
    return np.asarray(rgb.crop((left, upper, left + CROPPED, upper + CROPPED)))


def dataloader_folder(flags: argparse.Namespace) -> Step:
    """A loop as timm's `inference.py`: a DataLoader of processes, bf16 autocast, channels last."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    from alexnet.runtime.malloc import disable_malloc_trim

    class Images(Dataset[Any]):
        """The images as timm's loader gives them: uint8 [3, 227, 227]."""

        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, index: int) -> Any:
            return torch.from_numpy(crop(images[index]).copy()).permute(2, 0, 1)

    disable_malloc_trim()
    images, net = paths(flags), plain_net().eval()
    values = shared_inputs(flags)[0].state_dict().values()
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
    net = net.to(memory_format=torch.channels_last)
    mean, std = (torch.tensor(color).view(1, 3, 1, 1) for color in (MEAN, STD))
    loader = DataLoader(
        Images(), BATCH, num_workers=num_threads(), persistent_workers=True, prefetch_factor=2
    )

    @torch.inference_mode()
    def step() -> list[Any]:
        rows = []
        for batch in loader:
            x = ((batch - mean) / std).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                rows += net(x).softmax(1).topk(5).indices.tolist()
        return rows

    return step


def openvino_folder(flags: argparse.Namespace) -> Step:
    """OpenVINO, fed by a pool of threads; two requests, so that it computes while others decode."""
    import numpy as np
    import openvino

    flags.batch_size = BATCH
    path, _ = onnx_file(flags)
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape([BATCH, 3, CROPPED, CROPPED])
    compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    pool, images = ThreadPoolExecutor(num_threads()), paths(flags)
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)

    def normalized(image: Path) -> Any:
        return ((crop(image) - mean) / std).transpose(2, 0, 1)

    def step() -> list[Any]:
        rows: list[Any] = []
        queue = openvino.AsyncInferQueue(compiled, 2)
        queue.set_callback(lambda done, _: rows.extend(done.get_output_tensor().data.argmax(1)))
        ahead = pool.map(normalized, images)
        for first in range(0, len(images), BATCH):
            count = min(BATCH, len(images) - first)
            batch = np.zeros((BATCH, 3, CROPPED, CROPPED), np.float32)
            batch[:count] = [next(ahead) for _ in range(count)]
            queue.start_async([batch])
        queue.wait_all()
        return rows[: len(images)]

    return step
