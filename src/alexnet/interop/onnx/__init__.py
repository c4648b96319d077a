"""Read and write ONNX files.

- `load`: read and check a file; `graph`: its input and its layers.
- `parse`: convert the nodes of a graph, in order, to a `chain` of layers: `nodes`, `reshapes`,
  `scales`, `norms`, `adaptive_pools`, and `constants` for values that do not depend on the images.
- `normalization`: the normalization of the images before a graph's first layer.
- `reader`: import a network from a graph, and compare their logits.
- `modules`: torch modules for layers that ONNX defines differently; `export`: write a file.
- `whole_model`: preprocessing and softmax around a network; `rounding`: float16 and int8;
  `predict_script`: a program beside a file.
- `runtime`: run a file with onnxruntime or the onnx package.
"""
