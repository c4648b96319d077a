"""From stored images (uint8 [B, S, S, 3]) to network inputs (float32 [B, C, side, side]).

- `augment`: random crops, flips, colour, contrast and noise for training, as one call
- `random_crops`: where the crops are, and their pixels
- `applied`: what was done to each image, in words
- `crops`: centre crop and ten crops for evaluation; `normalize` and its inverse
- `mixing`: CutMix
- `statistics`: mean, standard deviation and principal colours of the training images
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.transforms.augment import Augmenter, pca_color_jitter
    from alexnet.transforms.crops import center_crop, denormalize, normalize, ten_crop
    from alexnet.transforms.mixing import cutmix
    from alexnet.transforms.statistics import color_principal_axes, fit_preprocessing

__all__ = [
    "Augmenter",
    "center_crop",
    "color_principal_axes",
    "cutmix",
    "denormalize",
    "fit_preprocessing",
    "normalize",
    "pca_color_jitter",
    "ten_crop",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Augmenter": "augment",
        "center_crop": "crops",
        "color_principal_axes": "statistics",
        "cutmix": "mixing",
        "denormalize": "crops",
        "fit_preprocessing": "statistics",
        "normalize": "crops",
        "pca_color_jitter": "augment",
        "ten_crop": "crops",
    },
)
