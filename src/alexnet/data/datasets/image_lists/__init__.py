"""Lists of images and labels as data sets.

- `source`: `list_source`, from a list's path to a `Source`
"""
