"""The files around the code: the workflow, the hooks and the citation say what is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch

import pytest
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


def test_nothing_else_is_in_the_repository() -> None:
    """What a test that failed has left there, for example."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this is no checkout")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    patterns = [one.removeprefix("/") for one in config["build"]["targets"]["sdist"]["include"]]
    tops = {path.split("/")[0] for path in listed}
    unknown = {top for top in tops if not any(fnmatch(top, p.split("/")[0]) for p in patterns)}
    assert unknown <= {".github", ".gitignore", ".pre-commit-config.yaml", "pyproject.toml"}
