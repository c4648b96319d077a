"""The networks of this repository for torch.hub.

    torch.hub.load(REPOSITORY, "alexnet_owt", pretrained=True, num_classes=5)

REPOSITORY is a copy of this repository (`source="local"`), or its address on GitHub. Arguments are
those of `alexnet.create_model`; `model` loads a trained classifier.
"""

import sys
from functools import partial
from pathlib import Path

dependencies = [
    "torch", "numpy", "PIL", "safetensors", "tyro", "filelock", "rich", "matplotlib",
    "platformdirs", "jinja2",
]  # fmt: skip

try:
    import alexnet as _package
except ImportError:  # not installed: the package of this repository
    sys.path.insert(0, str(Path(__file__).parent / "src"))
    import alexnet as _package


def _entry(name):
    """A function that creates a network."""
    entry = partial(_package.create_model, name)
    entry.__doc__ = f"The network {name}; arguments are those of alexnet.create_model."
    return entry


for _name in _package.list_models():
    globals()[_name] = _entry(_name)


def model(address, device="auto"):
    """A trained classifier: a run folder, a model file, or "hf:OWNER/NAME"."""
    return _package.load(address, device)
