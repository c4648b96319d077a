"""Transforms of stored images, uint8 [B, S, S, 3], to network inputs, float32 [B, C, side, side].

- `augment`: random crops, flips, colour, contrast and noise for training, as one call
- `random_crops`: where the crops are, and their pixels
- `applied`: what was done to each image, in words
- `crops`: centre crop and ten crops for evaluation; `normalize` and its inverse
- `affine`: rotation, shear and translation of crops, in one resampling
- `randaugment`: RandAugment; `color_operations`: its operations on colours
- `erasing`: random erasing
- `mixing`: CutMix and mixup
- `crop_kernel`: crops by the C kernels
- `checks`: of the images that a transform is given
- `statistics`: mean, standard deviation and principal colours of the training images
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.transforms.affine import rotate
    from alexnet.transforms.augment import Augmenter, pca_color_jitter
    from alexnet.transforms.crops import center_crop, denormalize, normalize, ten_crop
    from alexnet.transforms.erasing import random_erasing
    from alexnet.transforms.mixing import cutmix, mix, mixup
    from alexnet.transforms.randaugment import rand_augment
    from alexnet.transforms.statistics import color_principal_axes, fit_preprocessing

__all__ = [
    "Augmenter",
    "center_crop",
    "color_principal_axes",
    "cutmix",
    "denormalize",
    "fit_preprocessing",
    "mix",
    "mixup",
    "normalize",
    "pca_color_jitter",
    "rand_augment",
    "random_erasing",
    "rotate",
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
        "mix": "mixing",
        "mixup": "mixing",
        "normalize": "crops",
        "pca_color_jitter": "augment",
        "rand_augment": "randaugment",
        "random_erasing": "erasing",
        "rotate": "affine",
        "ten_crop": "crops",
    },
)
