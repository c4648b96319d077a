"""Read and write Keras files.

- `reader`: whole models, matched against an architecture; `weights_only`: files of weights alone.
- `config`: the layers of a config in order; `layers`: convert them to our layers;
  `preprocessing`: the layers that prepare the images.
- `arrays`: the texts and arrays of a file, which are HDF5 and read in a process of their own;
  `weights`: the arrays by layer.
- `export`: write a model as a Keras file.
"""
