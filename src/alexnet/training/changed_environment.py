"""Notes on how another environment changes a resumed run."""

from __future__ import annotations

from typing import Any

from alexnet.config.serialization import to_dict
from alexnet.reporter import Reporter
from alexnet.runtime.environment import Environment
from alexnet.training.run_folder import RunFolder

DETERMINISM_KEYS = (
    "alexnet", "torch", "device_name", "threads", "kernels", "device", "has_bf16", "processes",
)  # fmt: skip
"""Fields of the environment that decide the bits of a result."""


def warn_if_environment_changed(folder: RunFolder, now: Environment, reporter: Reporter) -> None:
    """Note what in the environment has changed since the run began; results may then differ."""
    then, here = folder.read_environment(), to_dict(now)
    changed = [
        f"{k} {then[k]} -> {here[k]}" for k in DETERMINISM_KEYS if k in then and then[k] != here[k]
    ]
    if changed:
        reporter.note(f"{_effect_of_change(then, here)}: {', '.join(changed)}")
    before = then.get("auto_precision") or ("bf16" if then.get("has_bf16") else "float32")
    if "has_bf16" in then and before != now.auto_precision:
        reporter.note(
            f"with --precision auto, matrix products are now in {now.auto_precision} instead of "
            f"{before}"
        )
    if not then:
        reporter.note(
            f"{folder.path / 'environment.json'} is missing or damaged, so a change of machine, "
            "versions or threads since the run began cannot be detected"
        )


def _effect_of_change(then: dict[str, Any], here: dict[str, Any]) -> str:
    """The effect of another environment: another kind of device draws other random numbers."""
    kinds = [str(one.get("device", here["device"])).partition(":")[0] for one in (then, here)]
    if kinds[0] != kinds[1]:
        return "other random crops and dropout from here on"
    if kinds[1] != "cpu" and then.get("device_name", here["device_name"]) != here["device_name"]:
        return "other dropout from here on, as another GPU draws it"
    return "the result may differ in its last bits"
