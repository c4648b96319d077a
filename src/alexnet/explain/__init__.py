"""What a trained network looks at: the input pixels that a prediction depends on.

- `explainer`: `explain_image`, one image by all methods
- `explanation`: `Explanation`, their arrays
- `attribution`: Grad-CAM, integrated gradients, occlusion, guided backpropagation, by captum
- `channels`: the strongest channels of every convolution
- `feature_layers`: the layers whose outputs are maps, and these maps on the input
- `patches`: the image patches to which every channel responds most; dead channels
- `synthesis`: images that maximize a channel
- `sanity`: do maps depend on the weights (randomization test) and find what matters (deletion test)
- `placement`: where the network's input lies on the image
- `image_sheet`, `filter_sheets`: figures of an image, and of the channels of a layer
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.explain.explainer import explain_image
    from alexnet.explain.explanation import METHODS, Explanation
    from alexnet.explain.image_sheet import sheet
    from alexnet.explain.patches import LayerPatches, cut_patches, find_patches
    from alexnet.explain.sanity import deletion_test, randomization_test
    from alexnet.explain.synthesis import synthesize

__all__ = [
    "METHODS",
    "Explanation",
    "LayerPatches",
    "cut_patches",
    "deletion_test",
    "explain_image",
    "find_patches",
    "randomization_test",
    "sheet",
    "synthesize",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "METHODS": "explanation",
        "Explanation": "explanation",
        "LayerPatches": "patches",
        "cut_patches": "patches",
        "deletion_test": "sanity",
        "explain_image": "explainer",
        "find_patches": "patches",
        "randomization_test": "sanity",
        "sheet": "image_sheet",
        "synthesize": "synthesis",
    },
    called="alexnet.load(model).explain(image) explains one",
)
