"""Names in figures: short, different, and in a font that has their letters."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from alexnet.plots import class_labels, drawable, font_note, fonts, short_label, wrapped_label
from alexnet.plots.labels import MAX_LABEL_WIDTH, text_width


@pytest.fixture
def only_default_font(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has matplotlib's own font alone."""
    monkeypatch.setattr(fonts, "_candidates", lambda: ())
    fonts.family_with.cache_clear()


def test_short_names_stay() -> None:
    assert short_label("n02086240 Shih-Tzu") == "n02086240 Shih-Tzu"


@pytest.mark.parametrize("name", ["x" * 200, "文" * 200, "ñ̃" * 100, "a\n" * 100])
def test_long_names_keep_both_ends(name: str) -> None:
    label = short_label(name)
    assert MAX_LABEL_WIDTH - 2 <= text_width(label) <= MAX_LABEL_WIDTH
    assert "…" in label
    assert "\n" not in label
    assert label[0] == name[0]


def test_wide_letters_take_two_columns() -> None:
    assert text_width("日本 ñ") == 6
    assert text_width("n\u0303") == 1


def test_names_are_wrapped_where_words_end() -> None:
    name = "great_white_shark, Carcharodon"
    assert wrapped_label(name, 20) == "great_white_shark,\nCarcharodon"
    assert wrapped_label("short", 20) == "short"
    assert wrapped_label("Shih-Tzu -12", 9) == "Shih-Tzu\n-12"
    assert wrapped_label("color -22 -12", 12) == "color -22\n-12"
    lines = wrapped_label("y" * 100, 20, max_lines=3).split("\n")
    assert lines[:2] == ["y" * 20] * 2
    assert text_width(lines[2]) == 20
    assert "…" in lines[2]


def test_labels_of_different_classes_differ() -> None:
    names = ["x" * 100 + f"{i}" + "y" * 100 for i in range(3)]
    labels = class_labels([*names, "rose"])
    assert len(set(labels)) == 4
    assert labels[3] == "rose"
    assert all(text_width(label) <= MAX_LABEL_WIDTH for label in labels)


@pytest.mark.usefixtures("only_default_font")
def test_a_number_replaces_a_name_that_no_font_has() -> None:
    names = ["rose", "花", "größe", "한국"]
    assert class_labels(names) == ["rose", "class 1", "größe", "class 3"]
    assert drawable("花.jpg", "image 7") == "image 7"
    assert drawable("größe.jpg", "image 7") == "größe.jpg"
    assert drawable("größe 花") == "größe \\u82b1"  # of some classes, whose numbers are others
    assert font_note(names).startswith("no installed font can draw 2 class names; plots show their")
    assert font_note(names[:2]).startswith(
        "no installed font can draw 1 class name; plots show its"
    )
    assert font_note(["rose", "größe"]) == ""


def test_a_font_that_has_the_letters_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "family_with", {"花": "Song"}.get)
    figure = Figure()
    chinese, latin = figure.text(0, 0, "花"), figure.text(0, 0, "rose")
    fonts.use_fallback_fonts(figure)
    assert chinese.get_fontfamily() == ["DejaVu Sans", "Song"]
    assert "Song" not in latin.get_fontfamily()


def test_installed_fonts_are_found_by_their_letters() -> None:
    assert fonts.family_with("ñ") == "DejaVu Sans"
    assert fonts.family_with("\U000e0fff") is None, "no font of boxes for every character"
