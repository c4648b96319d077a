"""Share models: a folder with a model card, Hugging Face's hub, and small files of weights.

- `folder`: `write_folder` writes the folder of a run that is shared
- `card`, `templates/`: its README.md, with the metadata that the hub reads
- `examples`: example images, only if they are asked for
- `weights`: half precision, and files without the weights of a trunk
- `upload`: upload the folder to a repository of the hub
- `fetch`: `find_model`, the model file at an address or in a folder
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
