"""From stored images (uint8 [B, S, S, 3]) to network inputs (float32 [B, C, side, side]).

- `augment`: random crops, flips, colour, contrast and noise for training
- `crops`: centre crop and ten crops for evaluation; `normalize` and its inverse
- `mixing`: CutMix
- `statistics`: mean, standard deviation and principal colours of the training images
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.transforms.augment import Augmenter
    from alexnet.transforms.crops import center_crop, denormalize, normalize, ten_crop
    from alexnet.transforms.mixing import cutmix

__all__ = ["Augmenter", "center_crop", "cutmix", "denormalize", "normalize", "ten_crop"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Augmenter": "augment",
        "center_crop": "crops",
        "denormalize": "crops",
        "normalize": "crops",
        "ten_crop": "crops",
        "cutmix": "mixing",
    },
)
