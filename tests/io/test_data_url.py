"""Base64 and `data:` URLs, which anyone may have written."""

from __future__ import annotations

import base64
import binascii
import tracemalloc

import pytest

from alexnet.io.data_url import decode_base64

CONTENT = b"\xfb\xff\x00 any bytes"
TEXT = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "escape",
    [
        {"+": "%2B", "/": "%2F", "=": "%3D"},
        {"+": "%2b", "/": "%2f", "=": "%3d"},
        {"A": "A%0D%0A", "I": "I%20"},
        {"A": "A\r\n\t", "I": " I"},
    ],
    ids=["upper case", "lower case", "escaped lines", "lines"],
)
def test_base64_as_urls_and_mails_write_it(escape: dict[str, str]) -> None:
    text = TEXT.translate(str.maketrans(escape))
    assert text != TEXT
    assert decode_base64(text, is_url=True) == decode_base64(text.encode(), is_url=True) == CONTENT


@pytest.mark.parametrize("text", ["A*", "AAA", "%2B%2B", "\u00e4AAA", "\ud800AAA"], ids=ascii)
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(binascii.Error):
        decode_base64(text)


@pytest.mark.parametrize("piece", ["A ", "%2B", "%41", "%", "AAAA"])
def test_no_text_takes_much_more_memory_than_itself(piece: str) -> None:
    text = (piece * 100_000).encode()
    tracemalloc.start()
    try:
        decode_base64(text, is_url=True)
    except binascii.Error:
        pass
    finally:
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 4 * len(text)
