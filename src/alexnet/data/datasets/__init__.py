"""The data sets that have a name, and folders and lists of images.

- `catalogue`: `open_source`, from a name or path to a `Source`; `DATASETS`, the names
- `folder`: a folder of class folders; `image_lists/`: CSV, JSON and Parquet; `rows`: their rows
- `folder_layout`, `split_names`, `folder_tree`: which folders are classes, and which are splits
- `shards/`: tar shards as WebDataset writes them
- `archive`: a .zip or .tar of such a folder
- `file_names`: classes in the names of image files
- `unlabelled`: a folder of images alone
- `flowers17`, `cifar10`, `imagenet`, `mnist` (and Fashion-MNIST): published data sets
- `imagenet_layout`, `imagenet_labels`: the folders and lists in which ImageNet is published
- `imagenet_classes`: wnids and names of its 1,000 classes
- `toyflowers/`: the built-in data set, painted by the program
- `published`: how many images the published data sets have, for plans made without their files
- `mat`: MATLAB files, in which parts of two data sets are published
"""
