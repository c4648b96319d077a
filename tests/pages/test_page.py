"""What all pages share: escaping, the policy for scripts, colors that can be read, thumbnails."""

import base64
import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.pages.page import HERE, render_page, script_hash
from alexnet.pages.thumbnails import ByteBudget, jpeg_url
from alexnet.reports.run_report import TEMPLATES

TEMPLATE = """{% extends "base.html" %}
{% block title %}{{ name }}{% endblock %}
{% block main %}<p title="{{ name }}">{{ name }}</p>
<script type="application/json" id="data">{{ name|tojson }}</script>{% endblock %}"""
HOSTILE = "</script><script>alert(1)</script>\"'&{{ 7 * 7 }}\u202e\0\udcff"


@pytest.fixture
def hostile_page(tmp_path: Path) -> str:
    (tmp_path / "one.html").write_text(TEMPLATE)
    (tmp_path / "one.js").write_text("const own = 1;")
    return render_page(tmp_path, "one", {"name": HOSTILE})


def test_texts_are_escaped_and_printable(hostile_page):
    assert hostile_page.count("<script") == 2  # the data and the page's own
    assert "alert(1)</script>" not in hostile_page
    assert "{{ 7 * 7 }}" in hostile_page
    assert "\\u202e\\x00\\xff" in hostile_page
    hostile_page.encode()


def test_only_the_page_s_own_script_may_run(hostile_page):
    script = re.findall(r"<script>(.*?)</script>", hostile_page, re.DOTALL)[-1]
    assert script.endswith("const own = 1;")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', hostile_page)
    assert f"script-src &#39;{script_hash(script)}&#39;" in policy[1]
    assert "connect-src &#39;none&#39;" in policy[1]


def palette(theme: int) -> dict[str, str]:
    """The colors of base.css, of the light theme (0) or of the dark one (1)."""
    pairs = re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", (HERE / "base.css").read_text()
    )
    return {name: colors[theme] for name, *colors in pairs}


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors, 1 to 21. Source: WCAG 2.2, "contrast ratio"."""
    high, low = sorted(map(luminance, (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


TEXTS = ("ink", "soft", "blue", "orange", "green", "purple", "violet", "gold")


@pytest.mark.parametrize("theme", [0, 1])
def test_all_text_has_a_contrast_of_4_5(theme):
    colors = palette(theme)
    pairs = [*itertools.product(TEXTS, ("page", "card", "tint")), ("on-blue", "blue")]
    low = {pair: contrast(*(colors[name] for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def print_rules(*paths: Path) -> dict[str, str]:
    """The declarations for paper by selector."""
    blocks = "".join(path.read_text().split("@media print {")[1] for path in paths)
    return dict(re.findall(r"^  ([^@*{]+) \{ (.*?) \}$", blocks, flags=re.M))


def test_paper_has_all_of_a_table_and_nothing_that_is_folded_or_clicked():
    rules = print_rules(HERE / "base.css", TEMPLATES / "charts.css")
    assert rules["details:not([open])"] == "display: none;"
    assert rules[".screen, .toolbar, #theme, .skip"] == "display: none !important;"
    assert rules[".paper"] == "display: revert;"
    assert rules[".scroll"] == "overflow: visible;"
    assert rules[".tall"] == "max-height: none; overflow: visible;"
    assert rules["figure, .card, tr, li, pre"] == "break-inside: avoid;"
    assert "break-inside: auto" in rules[".card:has(tbody)"], "longer than a sheet"


def test_a_thumbnail_is_a_jpeg_no_larger_than_its_side():
    pixels = np.zeros((40, 80, 3), np.uint8)
    kind, data = jpeg_url(pixels, 20).split(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (20, 10)
    small = jpeg_url(pixels[:, :, 0], 200).split(",")[1]
    assert Image.open(io.BytesIO(base64.b64decode(small))).size == (80, 40)


def test_a_budget_takes_what_fits():
    budget = ByteBudget(5)
    assert [budget.take(text) for text in ("abc", "abc", "ab")] == [True, False, True]
