"""Run `tutorial.py` from top to bottom and keep it, with its outputs, as `tutorial.ipynb`."""

from __future__ import annotations

import base64
import io
import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
TEXT = HERE / "tutorial.py"
NOTEBOOK = HERE / "tutorial.ipynb"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def read_text() -> Any:
    """The notebook of the text without outputs; its cells are numbered, so that diffs are small."""
    notebook = jupytext.read(TEXT)
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
    return notebook


def execute(notebook: Any, timeout: int = 1800) -> Any:
    """The notebook with the outputs of its cells; an error of a cell is raised."""
    NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
    ).execute()
    return notebook


def shrink(notebook: Any) -> None:
    """Keep the images of outputs in 256 colors, which takes a third of the room."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _with_palette(data["image/png"])


def _with_palette(text: str) -> str:
    """A PNG in base64, with at most 256 colors."""
    image = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    small = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def main() -> None:
    """Run the text and write the notebook."""
    start = time.monotonic()
    notebook = execute(read_text())
    shrink(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)
    minutes, size = (time.monotonic() - start) / 60, NOTEBOOK.stat().st_size / 1e6
    print(f"{NOTEBOOK.name}: {minutes:.1f} minutes, {size:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
