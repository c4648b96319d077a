"""`cache list` and `cache clean`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from alexnet.cli.cache import age_seconds
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store.build import prepare
from alexnet.data.store.store import open_store
from alexnet.errors import UsageError
from support.commands import Command
from support.noise_stores import TINY_FORM
from support.runs import SetAside


@pytest.fixture
def store(cache: Path, set_aside: SetAside) -> Path:
    """A store of 12 images in the cache, last used 40 days ago, and newer toyflowers."""
    made = prepare(folder_source(set_aside("test")), TINY_FORM).folder
    for path in (made, *made.iterdir()):
        os.utime(path, (time.time() - 40 * 86_400,) * 2)
    (cache / "data" / "toyflowers-1").mkdir(parents=True)
    return made


def test_list(command: Command, store: Path, cache: Path) -> None:
    result = command("cache", "list")
    assert (result.code, result.err) == (0, "")
    (line,) = [line for line in result.out.splitlines() if line.startswith("stores/")]
    assert "image store" in line
    assert f"{cache}: 2 entries, " in result.out
    facts = json.loads(command("cache", "list", "--json").out)
    assert (facts["schema"], facts["cache"]) == (1, str(cache))
    assert [entry["kind"] for entry in facts["entries"]] == ["data set", "image store"]
    assert facts["entries"][1]["size_bytes"] == sum(p.stat().st_size for p in store.iterdir())


def test_clean_removes_what_is_old(command: Command, store: Path, cache: Path) -> None:
    for words in ([], ["--dry-run"], ["--dry-run", "--yes"]):
        listed = command("cache", "clean", *words)
        assert "would remove 1 entry" in listed.out
        assert "add --yes" in listed.err
    assert "removed 0 entries" in command("cache", "clean", "--yes", "--older-than", "6w").out
    assert store.exists()
    result = command("cache", "clean", "--yes", "--older-than", "30d")
    assert (result.code, result.err) == (0, "")
    assert f"stores/{store.name}" in result.out
    assert not store.exists()
    assert (cache / "data" / "toyflowers-1").exists()
    facts = json.loads(command("cache", "clean", "--yes", "--older-than", "0", "--json").out)
    assert [entry["kind"] for entry in facts["removed"]] == ["data set"]


def test_an_open_store_stays(command: Command, store: Path) -> None:
    opened = open_store(store)
    result = command("cache", "clean", "--yes", "--older-than", "0d")
    assert result.code == 0
    assert result.err == f"kept {store}: a process is using it\n"
    assert store.exists()
    del opened
    assert command("cache", "clean", "--yes", "--older-than", "0d").code == 0
    assert not store.exists()


def test_what_cannot_be_removed_is_a_failure(
    command: Command, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alexnet.cli.cache.remove_entry", lambda entry: "Permission denied")
    result = command("cache", "clean", "--yes", "--json")
    assert result.code == 1
    assert json.loads(result.out)["kept"] == {str(store): "Permission denied"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("2W", 1_209_600), ("7", 604_800), (" 1.5m ", 90),
     ("0s", 0)],
)  # fmt: skip
def test_ages(text: str, seconds: float) -> None:
    assert age_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "30 days", "1e9d", "nan", "9" * 40])
def test_no_age(text: str) -> None:
    with pytest.raises(UsageError, match="must be a number with a unit"):
        age_seconds(text)
