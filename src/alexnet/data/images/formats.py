"""The image formats that are read, and the endings of their files."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
"""Pillow's names of the formats that are read, whatever a file is called. Its other formats stay
off: one of them, EPS, is a program that Pillow has Ghostscript run."""
FORMAT_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm"),
}
"""The usual endings of each format."""
SUFFIXES = tuple(dict.fromkeys(suffix for group in FORMAT_SUFFIXES.values() for suffix in group))
"""Endings, in lower case, of the files that are taken for images."""
