"""`doctor`: versions, device and folders, as text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from support.commands import Command


def test_doctor(command: Command, cache: Path) -> None:
    facts = json.loads(command("doctor", "--json").out)
    assert facts["cache"] == str(cache)
    for key in (
        "torch",
        "python",
        "numpy",
        "pillow",
        "device",
        "has_bf16",
        "auto_precision",
        "cores",
        "threads",
    ):
        assert key in facts["environment"]
    for key in ("kernels_from", "kernels_openmp", "instruction_sets", "c_compiler"):
        assert key in facts["search"]
    assert facts["search"]["instruction_sets"][-1] == "baseline"
    assert facts["processes"]["backends"][0] == "gloo"
    assert facts["processes"]["gpus"] == torch.cuda.device_count()
    assert "toyflowers" in facts["data_sets"]
    assert str(cache) in command("doctor").out
