"""Caffe's model files (`.caffemodel`): bvlc_alexnet, CaffeNet, and networks trained from them.

- `protobuf`: the encoding of the files.
- `reader`: read a file as an architecture with weights.
"""
