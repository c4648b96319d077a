"""Import networks of torchvision, Keras, ONNX and Caffe; export to ONNX, Keras, torch.export, ..

Code inside a file is never run. Wherever a file has a graph of its own, its logits are compared
with our network's.

- `importer`: import a file as a model; `exporter`: export a model to a file, with a report.
- `export_module`: a classifier as a plain torch module, and its torch.export archive.
- `export_report`: the report beside an exported file; `reported_facts`: what an import needs of it.
- `agreement`, `real_images`: files in float16 and int8, compared with the model on images.
- `torchvision_export`: state dicts for torchvision's `alexnet`.
- `class_names`: lists of class names in text, CSV and JSON files.
- `match`: match the layers read from a file against an architecture.
- `metadata`: the class names and the preprocessing inside an exported file.
- `parity`: compare the logits of two implementations on random images.
- `published_preprocessing`: the preprocessing of torchvision, Caffe and the notebook.
- `state_dict`: state dicts, matched by names and shapes.
- `weight_layout`: weights in TensorFlow's order of axes, and of networks that take BGR.
- `caffe/`: Caffe's model files. `keras/`: Keras 3 files. `onnx/`: ONNX files, in and out.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.interop.exporter import export_model
    from alexnet.interop.importer import import_model

__all__ = ["export_model", "import_model"]
__getattr__, __dir__ = attach(__name__, {"export_model": "exporter", "import_model": "importer"})
