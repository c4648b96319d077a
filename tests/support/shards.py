"""The same small images as a folder, as tar shards and as Parquet files."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("iris", "lily", "rose")


def photo(seed: int) -> bytes:
    """A JPEG of 40 x 34 noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (34, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def labelled_photos(per_class: int = 4) -> dict[str, bytes]:
    """JPEGs by their paths, "test/iris/0.jpg", in the order of the paths."""
    names = [
        f"{split}/{label}/{number}.jpg"
        for split in ("test", "train")
        for label in CLASSES
        for number in range(per_class)
    ]
    return {name: photo(seed) for seed, name in enumerate(names)}


def write_folder(root: Path, photos: Mapping[str, bytes]) -> Path:
    """A folder of splits, with class folders in them."""
    for name, content in photos.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A tar archive of files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def write_shards(root: Path, photos: Mapping[str, bytes], per_shard: int = 5) -> Path:
    """Shards train-000000.tar and so on, of JPEGs and names of classes."""
    root.mkdir(parents=True, exist_ok=True)
    for split, names in by_split(photos).items():
        for shard, first in enumerate(range(0, len(names), per_shard)):
            part = names[first : first + per_shard]
            content = tar_bytes(
                member
                for name in part
                for member in sample(name.removeprefix(f"{split}/"), photos[name])
            )
            (root / f"{split}-{shard:06d}.tar").write_bytes(content)
    return root


def sample(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """The two files of one image, whose class is its folder."""
    return [(name, content), (f"{name[:-4]}.cls", name.split("/")[0].encode())]


def write_parquet(root: Path, photos: Mapping[str, bytes]) -> Path:
    """A file of each split as Hugging Face writes them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True, exist_ok=True)
    names_of_classes = ["rose", "lily", "iris"]
    label = {"names": names_of_classes, "_type": "ClassLabel"}
    features = {"image": {"_type": "Image"}, "label": label}
    for split, names in by_split(photos).items():
        columns = {
            "image": [{"bytes": photos[name], "path": name} for name in names],
            "label": [names_of_classes.index(name.split("/")[1]) for name in names],
        }
        schema = {"huggingface": json.dumps({"info": {"features": features}})}
        table = pa.table(columns).replace_schema_metadata(schema)
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet", row_group_size=3)
    return root


def by_split(photos: Mapping[str, bytes]) -> dict[str, list[str]]:
    """The names of each split."""
    splits: dict[str, list[str]] = {}
    for name in photos:
        splits.setdefault(name.split("/")[0], []).append(name)
    return splits
