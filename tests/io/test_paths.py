"""Where data sets and cached files are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.errors import UsageError
from alexnet.io.paths import (
    cache_folder,
    data_roots,
    find,
    matching_paths,
    missing_dataset_error,
    path_text,
)


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ALEXNET_DATA", str(tmp_path / "data"))
    return tmp_path


def test_a_path_begins_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert Path(path_text("~/a")) == Path(path_text(Path("~/a"))) == tmp_path / "a"
    assert path_text("~") == str(tmp_path)
    for text in ("", "./mnist", "a/~/b", "hf:me/net", "photos/"):
        assert path_text(text) == text
    monkeypatch.setenv("ALEXNET_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"
    assert data_roots("~/data")[0] == tmp_path / "data"


@pytest.mark.parametrize("text", ["a\0b", "x" * 5000, "x" * 300])
def test_what_no_file_can_be_called(text: str) -> None:
    with pytest.raises(UsageError, match="data is too long for one, or has a NUL"):
        path_text(text, "data")
    assert path_text("~nobody-of-that-name/a") == "~nobody-of-that-name/a"


@pytest.mark.parametrize(("path", "kind"), [(None, "None"), (5, "a int"), ([], "a list")])
def test_what_is_no_path(path: object, kind: str) -> None:
    with pytest.raises(UsageError, match=f"^out must be a text or a path, not {kind}$"):
        path_text(path, "out")


def test_the_flag_comes_before_the_variable_and_the_cache_last(roots: Path) -> None:
    assert cache_folder() == roots / "cache"
    expected = (roots / "flag", roots / "data", roots / "cache" / "data")
    assert data_roots(str(roots / "flag")) == expected
    assert data_roots() == expected[1:]


def test_find_takes_the_first_root_and_then_the_first_name(roots: Path) -> None:
    assert find("", ("a", "b")) is None
    for path in ("data/b", "cache/data/a"):
        (roots / path).mkdir(parents=True)
    assert find("", ("a", "b")) == roots / "data/b"
    (roots / "data/a").mkdir()
    assert find("", iter(("a", "b"))) == roots / "data/a"
    (roots / "flag/b").mkdir(parents=True)
    assert find(str(roots / "flag"), ("a", "b")) == roots / "flag/b"


def test_a_pattern_in_a_folder_with_brackets(tmp_path: Path) -> None:
    for name in ("photos [2024]/a/1.jpg", "photos [2024]/b/2.jpg", "photos 2/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for pattern, expected in (
        ("photos [2024]/*/*.jpg", ["a/1.jpg", "b/2.jpg"]),
        ("photos [2024]/**/*.jpg", ["a/1.jpg", "b/2.jpg"]),
        ("photos [2024]/a/[0-9].jpg", ["a/1.jpg"]),
        ("photos [2024]/nothing*", []),
    ):
        found = matching_paths(str(tmp_path / pattern))
        assert found == [tmp_path / "photos [2024]" / name for name in expected]
    assert matching_paths(f"{tmp_path}/photos [2024]/*/*/") == [], "those are no folders"
    assert len(matching_paths(f"{tmp_path}/photos [2024]/*/")) == 2
    assert matching_paths("a" * 300 + "/*.jpg") == []
    assert matching_paths(str(tmp_path / "photos [0-9]/*.jpg")) == [tmp_path / "photos 2/3.jpg"]


def test_a_missing_data_set_says_what_to_download_and_where_to(roots: Path) -> None:
    error = missing_dataset_error("X", "x.tgz", "https://x.org", str(roots / "flag"))
    assert str(error) == (
        f"X is not here: download x.tgz from https://x.org and put it into {roots / 'flag'}, "
        "or pass --data-root"
    )
