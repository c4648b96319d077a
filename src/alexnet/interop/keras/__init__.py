"""Keras 3 files.

- `reader`: the layers of a file, matched against an architecture.
- `arrays`: the weights, which are HDF5 and read in a process of their own.
"""
