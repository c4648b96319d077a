"""The image store: every image of a data set decoded once to one size.

- `store`: `Store`, opened and read
- `build`: `prepare`, from a `Source` to a store, on all CPU cores
- `sample`: a few images decoded into memory, where no store is needed
- `partial`: the arrays of a store that is being built, so that an interrupted build resumes
"""
