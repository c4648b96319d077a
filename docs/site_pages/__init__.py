"""Pages of the site that are made of the program itself, at the start of a build.

    commands    every command with its flags, from their dataclasses
    schemas     what every command prints with --json, and its JSON Schema
    recipes     every preset as what it changes
    python_api  every public name, from its docstring

They are written to `reference/generated` beside this folder, which git ignores.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes

from site_pages import commands, python_api, recipes, schemas

GENERATED = Path("reference") / "generated"


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before Sphinx looks for documents."""
    app.connect("config-inited", write_pages)
    app.connect("missing-reference", plain_type)
    app.connect("autodoc-process-docstring", python_api.hide_colons, priority=400)
    app.connect("autodoc-process-docstring", python_api.show_colons, priority=600)
    app.connect("autodoc-before-process-signature", python_api.short_signature)
    return {"parallel_read_safe": True}


def write_pages(app: Any, _config: Any) -> None:
    """Write every page anew, so that nothing remains of an earlier program."""
    out = Path(app.srcdir) / GENERATED
    shutil.rmtree(out, ignore_errors=True)
    for module in (commands, schemas, recipes, python_api):
        for name, text in module.pages().items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def plain_type(_app: Any, _env: Any, node: Any, content: nodes.Element) -> nodes.Element | None:
    """A type in a signature that has no page here is text; other references must lead somewhere."""
    return content if node.get("refdomain") == "py" else None
