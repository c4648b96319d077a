"""The process that decodes for the server, as itself: spoken to over its pipes."""

from __future__ import annotations

import errno
import io
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from alexnet.serve import decode_worker
from alexnet.serve.decode_worker import (
    ANSWER,
    OK,
    REQUEST,
    RESIZES,
    UNUSABLE,
    DecodedUpload,
    decode_upload,
)

SIDE, MEMORY_BYTES = 64, 1 << 30
MINOR_FAULTS = 9
"""Place in /proc/PID/stat."""


def faults(process: subprocess.Popen[bytes]) -> int:
    """Pages that the system has given the process so far."""
    return int(Path(f"/proc/{process.pid}/stat").read_text().split()[MINOR_FAULTS])


def decode(process: subprocess.Popen[bytes], content: bytes) -> None:
    assert process.stdin
    assert process.stdout
    header = REQUEST.pack(len(content), SIDE, RESIZES.index("stretch"), 1 << 24)
    process.stdin.write(header + content)
    process.stdin.flush()
    status, *_, size = ANSWER.unpack(process.stdout.read(ANSWER.size))
    assert (status, size) == (OK, SIDE * SIDE * 3)
    assert len(process.stdout.read(size)) == size


def test_a_failing_machine_gets_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    monkeypatch.setattr(decode_worker, "decode", fail)
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG")
    answer = decode_upload(file.getvalue(), "stretch", SIDE, 1 << 24)
    assert answer == DecodedUpload(UNUSABLE, reason="it cannot be decoded now; try again")


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_an_image_is_decoded_in_the_memory_of_the_last_one() -> None:
    """Mapping it anew took two fifths of the time."""
    file = io.BytesIO()
    Image.effect_noise((1000, 1000), 50).convert("RGB").save(file, "JPEG")
    command = [sys.executable, "-m", "alexnet.serve.decode_worker", str(MEMORY_BYTES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.read(ANSWER.size) == ANSWER.pack(OK, 0, 0, 0)  # it is ready
        for _ in range(3):
            decode(process, file.getvalue())
        before = faults(process)
        for _ in range(5):
            decode(process, file.getvalue())
        assert faults(process) - before < 300  # 1,345 if it is given back
        assert process.stdin
        process.stdin.close()
