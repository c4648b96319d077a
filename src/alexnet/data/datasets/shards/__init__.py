"""Tar archives of images and labels as WebDataset writes them, read in place.

- `source`: `shard_source`, from the files to a `Source`
- `index`: what a shard holds and where, read once and kept in the cache
- `samples`: the members of a shard, grouped by key
- `images`: `ShardImages`, opened by index
- `names`: patterns such as `train-{000000..000127}.tar`, and which archives are shards
"""
