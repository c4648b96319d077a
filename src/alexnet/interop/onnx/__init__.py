"""ONNX files.

- `load`: read and check a file; `graph`: its input and its layers.
- `parse`: the nodes of a graph, one after another, as a `chain` of layers: `nodes`, `reshapes`,
  `scales`, `norms`, `adaptive_pools`, and `constants` for what does not depend on the images.
- `normalization`: what a graph does to its images before the first layer.
- `reader`: import a network from a graph, and compare their logits.
- `modules`: torch modules for layers that ONNX writes in another way; `export`: write a file.
- `whole_model`: preprocessing and softmax around a network; `rounding`: float16 and int8;
  `predict_script`: a program beside a file.
- `runtime`: run a file with onnxruntime or the onnx package.
"""
