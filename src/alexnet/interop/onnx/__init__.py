"""ONNX files.

- `graph`: a file's input, constants and chain of nodes; `nodes`: the nodes as layers.
- `reader`: import a network from a graph, and compare their logits.
- `modules`: torch modules for layers that ONNX writes in another way; `export`: write a file.
- `runtime`: run a file with onnxruntime or the onnx package.
"""
