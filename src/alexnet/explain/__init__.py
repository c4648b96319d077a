"""What a trained network looks at: the input pixels that a prediction depends on.

- `explainer`: `explain_image`, one image by all methods
- `explanation`: `Explanation`, their arrays
- `attribution`: Grad-CAM, integrated gradients, occlusion, guided backpropagation, by captum
- `channels`: the strongest channels of every convolution
- `feature_layers`: the layers whose outputs are maps, and these maps on the input
- `placement`: where the network's input lies on the image
- `image_sheet`: all of an image as one figure
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.explain.explainer import explain_image
    from alexnet.explain.explanation import METHODS, Explanation
    from alexnet.explain.image_sheet import sheet

__all__ = ["METHODS", "Explanation", "explain_image", "sheet"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "METHODS": "explanation",
        "Explanation": "explanation",
        "explain_image": "explainer",
        "sheet": "image_sheet",
    },
)
