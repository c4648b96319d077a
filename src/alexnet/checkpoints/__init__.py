"""Files with weights: model files of this package, and weights of other programs.

- `model_file`: `save_model` and `load_model`: weights with a header, `ModelInfo`
- `file_header`: the header alone, without torch
- `tensors`: the file format below it: safetensors with a JSON header, its format and checksum
- `validation`: whether tensors and preprocessing match an architecture
- `weights`: `read_weights` of other files, and which of them a network can load; below it
  `file_format`, `torch_file`, `numpy_file`, `inert_pickle` and `stored_tensors` (files),
  `checkpoint_content` (where in a checkpoint the state dict is), `layer_names` (our names)
- `pretrained_layers`: files of layers pretrained without labels
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
    from alexnet.checkpoints.weights import read_weights

__all__ = ["ModelInfo", "load_model", "read_weights", "save_model"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "ModelInfo": "model_file",
        "load_model": "model_file",
        "read_weights": "weights",
        "save_model": "model_file",
    },
)
