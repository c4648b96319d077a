"""Image files, read safely: damaged or hostile ones are rejected with a reason.

- `find`: the image files below a folder
- `open`: `open_image`, an image file decoded by Pillow, within limits of size and memory
- `fraction`: large JPEGs are decoded at a fraction of their size
- `formats`: the formats that are read
- `rejection`: why an image cannot be used
- `concurrency`: limits and silence for the threads that decode
- `integrity`: damage that Pillow does not report (JPEG and PNG)
- `decode`: rotation, colour modes and resizing to uint8 RGB of one size
- `resize`: Pillow's Lanczos filter, by our kernel where there is one, with the same bits
"""
