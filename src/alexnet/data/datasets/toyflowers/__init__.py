"""The built-in data set: twelve species of flowers, painted by the program.

- `dataset`: one image from a species and a seed; all images as a folder
- `shapes`: the species as a table of forms, and random flowers of a species
- `painting`: a flower, its stem and the background on a Pillow canvas
"""
