"""Inference with a trained network: predictions, and a faster network for the CPU.

- `classifier`: `Classifier` with its class names and preprocessing; `load` reads it from a run.
- `predictor`: `Predictor`, the base of classifiers: from images to the most probable classes.
- `inputs`, `arrays`, `decoding`: images in any form, read and resized.
- `predictions`: `Prediction`, the most probable classes of an image.
- `optimize`: `optimize_for_inference` folds batch norms and replaces layers by faster ones.
- `answering`: the classifier that `alexnet predict` uses, kept in the cache.
- `frozen`, `freeze`: a classifier in int8 that needs no torch, and the file that it is read from.
- `fused`: ReLU, response norm and max pooling in one pass.
- `winograd`: 3 x 3 and 5 x 5 convolutions by Winograd's filtering, where the CPU lacks bf16.
- `int8`: convolutions and linear layers of quantized weights and activations.
- `int8_kernels`: the C kernels that these compute with, on arrays, without torch.
- `quantization`: float weights as int8, with scales.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.inference.classifier import Classifier, load
    from alexnet.inference.optimize import optimize_for_inference
    from alexnet.inference.predictions import ClassProbability, Prediction

__all__ = [
    "ClassProbability",
    "Classifier",
    "Prediction",
    "load",
    "optimize_for_inference",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "ClassProbability": "predictions",
        "Classifier": "classifier",
        "Prediction": "predictions",
        "load": "classifier",
        "optimize_for_inference": "optimize",
    },
)
