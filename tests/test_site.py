"""The site: its consoles show what the program prints, and its pages are whole in a browser."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
from torch.optim import Optimizer

from alexnet.cli import VERBS, main
from alexnet.cli.completion import known_words
from alexnet.models.layers import Layer
from support.browser import chromium
from support.places import ROOT
from support.site import BUILT, import_page_writers, site_pages
from support.slow import first_fast


def consoles() -> list[tuple[str, str]]:
    """From every block of a console the command and what it prints."""
    texts = [page.read_text() for page in site_pages()]
    blocks = [b for text in texts for b in re.findall(r"^```console\n(.*?)^```", text, re.S | re.M)]
    return [(command, out) for command, _, out in (b[2:].partition("\n") for b in blocks)]


@pytest.mark.parametrize(("command", "shown"), first_fast(consoles(), fast=2))
def test_console_shows_what_the_command_prints(
    command: str,
    shown: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(shlex.split(command)[1:])
    printed = "".join(capsys.readouterr())
    ending = f"exit code: {code}\n" if code else ""
    assert _lines(printed + ending) == _lines(shown)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def test_every_flag_is_on_the_page_of_its_verb() -> None:
    import_page_writers()
    pages = import_module("site_pages.commands").pages()
    for command, words in known_words().items():
        verb = command.partition(" ")[0]
        if verb in VERBS and verb != "schema":
            page = pages[f"commands/{verb}.md"]
            flags = [w for w in words if w.startswith("--") and not w.startswith("--help")]
            assert [flag for flag in flags if not re.search(rf"{flag}[ ,`\n]", page)] == []


def test_a_class_is_shown_with_what_it_inherits_from_ours() -> None:
    """Where that has no place of its own, and is not how tables are computed or torch's."""
    import_page_writers()
    writer = import_module("site_pages.python_api")
    packages = map(import_module, ("alexnet", *(f"alexnet.{n}" for n in writer._folders())))
    values = [getattr(package, name) for package in packages for name in package.__all__]
    public = {value for value in values if isinstance(value, type)}
    inheriting = {
        one.__name__
        for one in public
        for base in one.__mro__[1:]
        if base.__module__.startswith("alexnet.")
        and base not in {*public, Layer}
        and not issubclass(base, Optimizer)
        if any(callable(value) and name[0] != "_" for name, value in vars(base).items())
    }
    assert inheriting == set(writer.INHERITED_UP_TO)


def test_the_build_is_strict_and_asks_nobody() -> None:
    makefile, conf = ((ROOT / name).read_text() for name in ("Makefile", "docs/conf.py"))
    assert "sphinx -n -W" in makefile
    assert "intersphinx" not in conf
    assert "make -j 2 check docs\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_built_pages_fit_the_screen_and_stay_at_home(width: int) -> None:
    if not BUILT.is_dir():
        pytest.skip("needs the site: make docs")
    with chromium() as browser:
        page = browser.new_page(viewport={"width": width, "height": 900})
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        for name in ("index", "claims", "tutorial", "reference/generated/commands/train"):
            page.goto((BUILT / f"{name}.html").as_uri())
            asked = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
            assert [url for url in asked if not url.startswith("file:")] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert said == []
