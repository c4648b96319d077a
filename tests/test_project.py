"""The files around the code: the workflow, the hooks and the citation say what is true."""

from __future__ import annotations

import re
import tomllib

import yaml

import alexnet
from support.places import ROOT


def test_the_workflow_and_the_hooks_call_what_is_there() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text())
    job = workflow["jobs"]["checks"]
    assert (ROOT / ".ci" / "run").exists()
    assert any(step.get("run") == ".ci/run" for step in job["steps"])
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f">={job['strategy']['matrix']['python'][0]}" == lowest
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    checks = re.findall(r"\$\(BIN\)/([\w-]+)", (ROOT / "Makefile").read_text())
    assert {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks} <= set(checks)


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == alexnet.__version__
