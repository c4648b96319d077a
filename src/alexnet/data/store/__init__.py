"""The image store: every image of a data set decoded once to one size.

- `store`: `Store`, opened and read
- `formats`: as pixels (`pixels`) or as JPEGs (`jpegs`), and how much space they take
- `plan`: what the store of a source is, and whether it is there
- `build`: `prepare`, from a `Source` to a store, on all CPU cores
- `sample`: a few images decoded into memory, where no store is needed
- `partial`: a store that is being built, so that an interrupted build resumes
"""
