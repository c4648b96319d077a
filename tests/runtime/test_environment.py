"""What a run records of versions and hardware."""

from __future__ import annotations

import dataclasses
import json

import torch

from alexnet.config.serialization import from_dict, to_json
from alexnet.runtime.environment import Environment, describe_environment, installed_version


def test_environment_of_this_process() -> None:
    found = describe_environment(torch.device("cpu"))
    assert (found.torch, found.device) == (torch.__version__, "cpu")
    assert found.threads == torch.get_num_threads()
    assert all(str(value) for value in dataclasses.asdict(found).values())
    assert from_dict(Environment, json.loads(to_json(found))) == found


def test_a_package_that_is_not_installed() -> None:
    assert installed_version("numpy")[0].isdigit()
    assert installed_version("no-such-package-here") == "not installed"
