"""What the first step of a training does not wait for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.config.serialization import to_dict

RULES = get_args(get_type_hints(OptimizerOptions)["optimizer"])
CODE = """
import json, sys
from dataclasses import replace
from pathlib import Path
from alexnet.checkpoints.model_file import load_model
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict
from alexnet.reporter import NullReporter
from alexnet.training.trainer import train

out, tiny, rules = Path(sys.argv[1]), from_dict(Recipe, json.loads(sys.argv[2])), sys.argv[3:]
first = {}

class Watch(NullReporter):
    def on_step(self, report):
        first.setdefault("plots", "matplotlib" in sys.modules)

for rule in rules:
    recipe = replace(tiny, epochs=1, optimizer=replace(tiny.optimizer, optimizer=rule))
    run = train(recipe, out=out / rule, reporter=Watch(), save_plot=lambda draw, path: None)
load_model(run.folder.model)
print(json.dumps({**first, "compiler": "torch._dynamo" in sys.modules}))
"""


@pytest.mark.slow
def test_neither_the_compiler_nor_the_plots_are_imported(tiny: Recipe, tmp_path: Path) -> None:
    words = [str(tmp_path), json.dumps(to_dict(tiny)), *RULES]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        env={**os.environ, "ALEXNET_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"plots": False, "compiler": False}
