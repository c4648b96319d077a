"""Read protocol buffers without a schema: numbered fields, the numbers of which the caller knows.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

Message: TypeAlias = dict[int, list[int | memoryview]]
"""The values of every field, in the order of the file: integers, or the bytes of anything else."""
VARINT, EIGHT_BYTES, LENGTH_DELIMITED, FOUR_BYTES = 0, 1, 2, 5
"""How a value is encoded ("wire type")."""
MAX_VARINT_BYTES = 10
MAX_FIELDS = 1 << 20
"""Fields that one message may have."""


def parse(data: memoryview) -> Message:
    """Parse a message into its fields, without copying.

    Raises:
        ValueError: the data are no message, or have too many fields.
    """
    message: Message = {}
    for count, (number, value) in enumerate(_fields(data)):
        if count >= MAX_FIELDS:
            raise ValueError(f"a message has more than {MAX_FIELDS:,} fields")
        message.setdefault(number, []).append(value)
    return message


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        wire_type = key & 7
        if wire_type == VARINT:
            value, position = _varint(data, position)
            yield key >> 3, value
            continue
        if wire_type == LENGTH_DELIMITED:
            length, position = _varint(data, position)
        elif wire_type in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire_type == EIGHT_BYTES else 4
        else:
            raise ValueError(f"field {key >> 3} has the unknown wire type {wire_type}")
        if position + length > len(data):
            raise ValueError("it ends too early")
        yield key >> 3, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """The integer encoded in groups of seven bits, lowest first, and the position after it."""
    value = 0
    for i, byte in enumerate(data[position : position + MAX_VARINT_BYTES]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, position + i + 1
    raise ValueError("it ends too early")


def sub_message(message: Message, number: int) -> Message:
    """The message in a field; empty if there is none."""
    return next(iter(sub_messages(message, number)), {})


def sub_messages(message: Message, number: int) -> Iterator[Message]:
    """The messages in a repeated field."""
    for value in message.get(number, []):
        if isinstance(value, memoryview):
            yield parse(value)


def text(message: Message, number: int) -> str:
    """The text in a field; "" if there is none."""
    value = message.get(number, [b""])[-1]
    return "" if isinstance(value, int) else bytes(value).decode("utf-8", "replace")


def integers(message: Message, number: int) -> list[int]:
    """The integers of a repeated field, packed or not."""
    found: list[int] = []
    for value in message.get(number, []):
        found += [value] if isinstance(value, int) else _packed(value)
    return found


def _packed(data: memoryview) -> list[int]:
    values, position = [], 0
    while position < len(data):
        value, position = _varint(data, position)
        values.append(value)
    return values


def integer(message: Message, number: int, default: int) -> int:
    """The integer in a field; `default` if there is none."""
    return (integers(message, number) or [default])[-1]


def floats(message: Message, number: int, dtype: str = "<f4") -> np.ndarray:
    """The floats of a repeated field, packed or not; `dtype` is "<f8" for doubles."""
    parts = [value for value in message.get(number, []) if isinstance(value, memoryview)]
    if len(parts) == 1:  # packed: no copy
        return np.frombuffer(parts[0], dtype)
    return np.frombuffer(b"".join(parts), dtype)


def number(message: Message, field: int, default: float) -> float:
    """The float in a field; `default` if there is none."""
    found = floats(message, field)
    return float(found[-1]) if len(found) else default
