"""`benchmarks/links.py`: steps on links that tc limits, in namespaces that are gone at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.network_namespaces import PREFIX, why_impossible

BURST = 2 * 256_000
"""Bytes that may pass a queue, and that of the other end, before it limits them."""
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "links.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_slow_link_takes_the_time_of_its_bytes(tmp_path: Path) -> None:
    if reason := why_impossible():
        pytest.skip(reason)
    out = tmp_path / "links.json"
    net = "--arch alexnet --width 0.1 --processes 2 --batch-size 4"
    words = f"{net} --steps 2 --rates 10mbit --ways 0,2 --out {out}".split()
    with subprocess.Popen([sys.executable, SCRIPT, *words], stderr=subprocess.PIPE) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    data, hybrid = json.loads(out.read_text())["steps"]
    for step in (data, hybrid):
        sent = step["planned_bytes"]
        assert step["counted_bytes"] == sent > 0
        assert step["bytes_on_the_link"] == pytest.approx(sent, rel=0.1)
        assert step["measured_seconds"]["n"] == 2
        assert step["measured_seconds"]["low"] > (sent - BURST) * 8 / 10e6
        assert step["predicted_send_seconds"] == pytest.approx(sent * 8 / 10e6, rel=0.1)
    assert (data["parallel"], hybrid["parallel"]) == ("data", "hybrid")
    left = subprocess.check_output(["ip", "netns", "list"], text=True)
    assert f"{PREFIX}-{process.pid}-" not in left
