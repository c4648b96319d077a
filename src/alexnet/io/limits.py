"""The largest files, images and architectures that are accepted.

Files may come from anywhere. Larger ones are rejected before memory is allocated for them: a few
lines of JSON can describe a network that fits no machine, and a small archive can unpack to a huge
size. Every limit is several times what real files need.
"""

from __future__ import annotations

# Files of any kind.
MAX_TEXT_BYTES = 1 << 22
"""A recipe, a list of names, or a list of files: 4 MiB."""
MAX_YAML_BYTES = 1 << 18
"""A recipe in YAML, which PyYAML reads slowly."""
MAX_RESULT_BYTES = 1 << 28
"""The metrics or the result of a run; the confusion matrix of 1,000 classes takes 10 MB."""
MAX_FIGURE_BYTES = 1 << 26
"""A figure in the folder of a run; usual ones have 0.1 to 3 MB."""
MAX_CSV_BYTES = 1 << 28
"""A CSV file of images and labels."""
MAX_ROW_GROUP_BYTES = 1 << 30
"""The images of one row group of a Parquet file; real ones have 10 to 500 MB."""
MAX_SHARD_BYTES = 1 << 40
"""A tar shard, which is never read at once; usual ones have 0.1 to 10 GB."""
MAX_SHARD_LABEL_BYTES = 1 << 20
"""The label of one image in a tar shard, perhaps among other facts in JSON."""
MAX_DOWNLOAD_BYTES = 4 << 30
"""A download whose size is not known in advance."""
MAX_ARCHIVE_BYTES = 1 << 29
"""All files of a .tgz together, unpacked; Oxford 17's images have 60 MB."""
MAX_ARCHIVE_MEMBERS = 20_000
"""Files in a .tgz."""

# Archives of data sets, which are unpacked into the cache.
MAX_DATA_ARCHIVE_FILES = 5_000_000
"""Files in the archive of a data set; ImageNet has 1.4 million."""
MAX_DATA_ARCHIVE_INDEX_BYTES = 1 << 29
"""The index of a .zip; ImageNet's has about 150 MB."""
MAX_UNPACKED_RATIO = 100
"""Unpacked bytes for each byte of an archive; photos unpack to about as many."""
MIN_UNPACKED_LIMIT_BYTES = 1 << 30
"""Size to which an archive may always unpack, however small it is."""
MIN_FREE_BYTES = 1 << 28
"""Space that unpacking leaves free on the disk."""

# Images and data sets.
MAX_IMAGE_BYTES = 1 << 29
"""An image file."""
MAX_URL_IMAGE_BYTES = 1 << 26
"""An image that is downloaded."""
MAX_URL_SECONDS = 60.0
"""Longest time for the download of an image."""
MAX_IMAGE_PIXELS = 178_956_970
"""Width times height of an image; twice the limit at which Pillow warns."""
MAX_STORED_SIDE = 4096
"""Side of a stored image, of its padding, of a crop and of the network's input, in pixels."""
MAX_IDX_BYTES = 1 << 28
"""The values of an IDX file (MNIST), unpacked; the largest real one has 47 MB."""
MAX_MAT_BYTES = 1 << 22
"""A .mat file."""
MAX_MAT_UNPACKED_BYTES = 1 << 25
"""The variables of a .mat file, unpacked."""

# Files of weights.
MAX_WEIGHTS_BYTES = 1 << 33
"""A model file or state dict; the paper's net has 244 MB."""
MAX_PICKLE_BYTES = 1 << 28
"""The pickle in a state dict, which holds everything but the numbers."""
MAX_NPZ_BYTES = 1 << 30
"""All arrays of an .npy or .npz file, unpacked; bvlc_alexnet.npy has 244 MB."""
MAX_HEADER_BYTES = 1 << 24
"""The JSON header of a safetensors file."""
MAX_ONNX_BYTES = 1 << 31
"""An ONNX file; protobuf cannot hold more."""
MAX_KERAS_WEIGHTS_BYTES = 1 << 30
"""All arrays of a Keras file, unpacked."""
MAX_KERAS_CHUNK_BYTES = 1 << 28
"""One compressed chunk of an HDF5 array, unpacked."""

# Architectures.
MAX_LAYERS = 1000
MAX_INPUT_SIDE = 1 << 14
"""Largest side of the input in pixels, and largest number of its channels."""
MAX_LAYER_INTEGER = 1 << 24
"""Any integer of a layer; sizes computed from such numbers stay exact."""
MAX_PARAMETERS = 1 << 29
"""Number of weights, 2.1 GB in float32; the paper's net has 61 million."""
MAX_ACTIVATIONS = 1 << 28
"""Outputs of one layer for one image, 1.1 GB in float32; the paper's conv1 has 290 thousand."""
MAX_MACS = 1 << 40
"""Multiply-accumulates for one image, tens of seconds; the paper's net has 720 million."""
