"""Caffe's model files (`.caffemodel`): bvlc_alexnet, CaffeNet, and networks trained from them.

- `protobuf`: the encoding below them.
- `reader`: a file as an architecture with weights.
"""
