"""Models for others: a folder with a model card, Hugging Face's hub, and small files.

- `folder`: `write_folder`, what a run is as a folder for others
- `card`, `templates/`: its README.md, with the metadata that the hub reads
- `examples`: example images, only if they are asked for
- `weights`: half precision, and the difference to a trunk
- `upload`: the folder as a repository of the hub
- `fetch`: `find_model`, the model file of an address or of a folder
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.sharing.fetch import find_model
    from alexnet.sharing.folder import ShareOptions, write_folder
    from alexnet.sharing.upload import upload_folder

__all__ = ["ShareOptions", "find_model", "upload_folder", "write_folder"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "ShareOptions": "folder",
        "find_model": "fetch",
        "upload_folder": "upload",
        "write_folder": "folder",
    },
)
