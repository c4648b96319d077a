"""Short programs that predict with an exported ONNX file, without this package."""

from __future__ import annotations

from pathlib import Path

from alexnet.config.preprocessing import Preprocessing
from alexnet.inference.classifier import Classifier
from alexnet.interop.metadata import CLASS_NAMES, MEAN_IMAGE, Takes

NO_SCRIPT = (
    "no script for prediction is written, since the resize of the crop to the network's input is "
    "not a few lines; --with-preprocessing has it inside the file"
)
SCRIPT = '''\
"""Classes of images: python {script} IMAGE ..  Needs onnxruntime, numpy and Pillow."""
{imports}

parser = argparse.ArgumentParser(description="The classes of images and their probabilities.")
parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image file")
images, status = parser.parse_args().images, 0
session = onnxruntime.InferenceSession(Path(__file__).with_name({file!r}))
metadata = session.get_modelmeta().custom_metadata_map
names = json.loads(metadata["{class_names}"])
for path in images:
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode == "F":
                raise ValueError("a floating-point image has no colour scale")
            if image.mode.startswith("I"):  # 16 bits, of which the highest 8 are used
                image = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
            image = image.convert("RGBA")
    except Exception as error:  # a missing or broken file, a folder: the others are predicted
        print(f"{{path}}: cannot be read as an image: {{error}}", file=sys.stderr)
        status = 1
        continue
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
{steps}
    for i in np.argsort(-probabilities)[:5]:
        print(f"{{path}}\\t{{names[i]}}\\t{{probabilities[i]:.4f}}")
sys.exit(status)
'''
WHOLE_STEPS = '    probabilities = session.run(None, {"image": np.array(image)})[0]'


def script_path(out: Path) -> Path:
    """The path of the script beside an ONNX file: predict_NAME.py for NAME.onnx."""
    return out.with_name(f"predict_{out.stem}.py")


def predict_script(classifier: Classifier, file: str, takes: Takes) -> str:
    """The script that predicts images with an ONNX file beside it; "" if it would be long.

    Args:
        classifier: the model.
        file: the name of the ONNX file.
        takes: "image" or "normalized"; for the latter the script includes the preprocessing.
    """
    preprocessing = classifier.info.preprocessing
    if takes != "image" and preprocessing.input_side != preprocessing.crop_size:
        return ""
    has_mean_image = takes != "image" and preprocessing.has_mean_image
    modules = ["argparse", *(["base64"] if has_mean_image else []), "json", "sys"]
    imports = [f"import {name}" for name in modules]
    imports += ["from pathlib import Path", "", "import numpy as np", "import onnxruntime"]
    imports += ["from PIL import Image, ImageOps"]
    steps = WHOLE_STEPS
    if takes != "image":
        steps = _preprocessing_steps(preprocessing, classifier.info.temperature)
    return SCRIPT.format(
        script=script_path(Path(file)).name,
        imports="\n".join(imports),
        file=file,
        class_names=CLASS_NAMES,
        steps=steps,
    )


def _preprocessing_steps(own: Preprocessing, temperature: float) -> str:
    """The lines of the script from an RGB image of Pillow to its probabilities."""
    n, c = own.resize_size, own.channels
    lines = [f"image = image.resize(({n}, {n}), Image.Resampling.LANCZOS)"]
    if own.resize == "shortest_edge":
        lines = [f"image = ImageOps.fit(image, ({n}, {n}), Image.Resampling.LANCZOS)"]
    lines += ["pixels = np.array(image, np.float32)"]
    if own.padding:
        lines += [f"pixels = np.pad(pixels, (({own.padding},) * 2, ({own.padding},) * 2, (0, 0)))"]
    start = (n + 2 * own.padding - own.crop_size) // 2
    if start:
        end = start + own.crop_size
        lines += [f"pixels = pixels[{start}:{end}, {start}:{end}]"]
    if c == 1:
        lines += ["pixels = pixels @ np.float32([[0.299], [0.587], [0.114]])"]
    lines += ["inputs = pixels.transpose(2, 0, 1)[None]", *_normalization(own)]
    lines += ['logits = session.run(None, {"images": inputs})[0][0]']
    divided = "" if temperature == 1 else f" / {temperature!r}"
    lines += [f"probabilities = np.exp((logits - logits.max()){divided})"]
    lines += ["probabilities /= probabilities.sum()"]
    return "\n".join(f"    {line}" for line in lines)


def _normalization(own: Preprocessing) -> list[str]:
    """The lines of the script that normalize inputs, float32 [1, C, H, W]."""
    mean, std = (
        f"np.float32({[[float(f'{x:.9g}')] for x in values[: own.channels]]})[..., None]"
        for values in (own.mean, own.std)
    )
    if not own.has_mean_image:
        return [f"inputs = (inputs - {mean}) / {std}"]
    return [
        f'mean = base64.b64decode(json.loads(metadata["{MEAN_IMAGE}"]))',
        f'inputs = (inputs - np.frombuffer(mean, "<f4").reshape(inputs.shape)) / {std}',
    ]
