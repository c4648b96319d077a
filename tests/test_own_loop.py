"""docs/own-loop.md: its loop, run as it is printed, ends with the bits of `alexnet.train`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from alexnet.inference.classifier import load
from support.places import ROOT
from support.runs import train


def test_own_loop_gives_the_bits_of_train(flowers: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "own-loop.md").read_text()
    code = re.findall(r"^```python skip\n(.*?)^```", page, re.S | re.M)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
    words = (
        f"data={str(flowers)!r}, width=0.05, input_size=67, batch_size=12, cutmix=0.5, mixup=0.2"
    )
    assert 'data="photos/"' in code
    names: dict[str, Any] = {}
    exec(compile(code.replace('data="photos/"', words), "own-loop.md", "exec"), names)
    run = train(names["recipe"], out=tmp_path / "run")
    assert names["step"] == 9
    own, theirs = names["network"].state_dict(), load(run.folder.last, "cpu").network.state_dict()
    assert list(own) == list(theirs)
    assert 0 < names["recipe"].augment.cutmix < 1
    assert [name for name in own if not torch.equal(own[name], theirs[name])] == []
