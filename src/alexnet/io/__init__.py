"""Files, folders and downloads, without torch.

- `files`: atomic writing, and reading that never blocks on a pipe or device.
- `paths`: where data sets and cached files are.
- `downloads`, `http`: downloads that resume and are verified.
- `archives`: reading .tgz, .zip and compressed files with limits.
- `unpack`: unpacking the archive of a data set.
- `isolated`: running a reader of untrusted files in a process of its own.
- `limits`: the largest files, images and architectures that are accepted.
- `text`: names and shapes for messages.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.io.downloads import download
    from alexnet.io.files import atomic_write, open_regular
    from alexnet.io.paths import cache_folder, find

__all__ = ["atomic_write", "cache_folder", "download", "find", "open_regular"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "atomic_write": "files",
        "cache_folder": "paths",
        "download": "downloads",
        "find": "paths",
        "open_regular": "files",
    },
)
