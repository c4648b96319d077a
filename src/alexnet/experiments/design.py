"""The design of an experiment: all of its protocol that its result depends on, without its texts.

Two designs are compared setting by setting; a digest stands for a design on a page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from alexnet.config.recipe import Recipe
from alexnet.config.recipe_changes import RecipeChange, flag_text, recipe_changes
from alexnet.config.serialization import to_dict
from alexnet.experiments.experiment import Arm, Comparison, Protocol
from alexnet.experiments.plan import Plan, with_changes
from alexnet.pretraining.recipe import KINDS, PretrainRecipe

DIGEST_LENGTH = 12
"""Number of hexadecimal digits of a digest."""
NOT_IN_SETTINGS = ("base", "num_seeds", "arms", "arm_epochs")
"""Fields of a protocol that a design has in another form."""
NOT_OF_PRETRAINING = frozenset(field.name for field in fields(PretrainRecipe)) - {
    "up_to",
    "epochs",
    "batch_size",
}
"""Options of a pretraining that are the recipe's own or change no weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """What an experiment's result depends on."""

    recipe: Recipe
    """The recipe that all arms share."""
    settings: dict[str, str]
    """Measure, seeds, tuning, arms and comparisons by name, as text. Fields of a protocol that have
    their default value are left out, so that a field that is added changes no design."""


def design_of(plan: Plan) -> Design:
    """The design of a plan."""
    base = replace(plan.protocol.base, name=plan.experiment.name, data_root="", device="auto")
    arms = {
        f"arm {arm.name}": ", ".join(arm_differences(plan, arm, show_base=False))
        for arm in plan.arms
    }
    comparisons = {
        f"comparison {i}": _comparison_text(comparison)
        for i, comparison in enumerate(plan.comparisons, 1)
    }
    settings = {"measure": plan.experiment.measure, "seeds": f"{len(plan.seeds)}"}
    tuning = dict(_protocol_settings(plan.protocol))
    pretraining = dict(_pretraining_settings(plan))
    return Design(
        recipe=base, settings={**settings, **tuning, **pretraining, **arms, **comparisons}
    )


def digest(design: Design) -> str:
    """The first digits of the SHA-256 of a design as JSON, without what has its default value."""
    recipe = design.recipe
    changes = recipe_changes((type(recipe)(), recipe))
    own = {"name": recipe.name, **{change.option: change.values[1] for change in changes}}
    plain = {"recipe": own, "settings": design.settings}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def design_differences(before: Design, now: Design) -> tuple[str, ...]:
    """The settings in which two designs differ, each with both values; empty if there are none."""
    flags = [
        (change.flag, *map(flag_text, change.values))
        for change in recipe_changes((before.recipe, now.recipe))
    ]
    names = dict.fromkeys((*before.settings, *now.settings))
    settings = [
        (name, before.settings.get(name, "none") or "-", now.settings.get(name, "none") or "-")
        for name in names
    ]
    rows = [*flags, *settings]
    return tuple(f"{name}: {old}, now {new}" for name, old, new in rows if old != new)


def arm_differences(plan: Plan, arm: Arm, *, show_base: bool = True) -> tuple[str, ...]:
    """What differs between an arm and the base recipe, as flags and in words; empty if nothing.

    Args:
        plan: the plan of the arm.
        arm: one of its arms.
        show_base: whether a flag has both values: "--width 1 instead of 0.5", unless the recipe
            leaves it unset.
    """
    base = plan.protocol.base
    own = replace(with_changes(base, arm), epochs=plan.epochs(arm))
    flags = [_change_text(change, show_base) for change in recipe_changes((base, own))]
    weights = [f"initial weights: {arm.init_from}"] if arm.init_from != "random" else []
    rate = [f"learning rate of {arm.lr_from}"] if arm.lr_from else []
    return (*flags, *weights, *rate, *([f"{arm.crops} crops"] if arm.crops != 1 else []))


def common_differences(arms: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """The differences that all arms of a name share, by name; arms of a series differ in size."""
    differs: dict[str, tuple[str, ...]] = {}
    for name, own in arms:
        differs[name] = tuple(one for one in differs.get(name, own) if one in own)
    return differs


def _change_text(change: RecipeChange, show_base: bool) -> str:
    base, own = change.values
    instead = f" instead of {flag_text(base)}" if show_base and base is not None else ""
    return f"{change.flag} {flag_text(own)}{instead}"


def _protocol_settings(protocol: Protocol) -> Iterator[tuple[str, str]]:
    for field in fields(protocol):
        value = getattr(protocol, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        is_default = default is not MISSING and value == default
        if field.name not in NOT_IN_SETTINGS and not is_default:
            plain = to_dict(value)
            text = _named_text(plain) if isinstance(plain, dict) else flag_text(plain)
            yield field.name.replace("_", " "), text


def _pretraining_settings(plan: Plan) -> Iterator[tuple[str, str]]:
    """Every option of a pretraining that is not the measured runs' own, defaults included."""
    for kind in sorted({arm.init_from for arm in plan.arms} & set(KINDS)):
        options = to_dict(KINDS[kind]())
        own = {name: options[name] for name in options if name not in NOT_OF_PRETRAINING}
        yield f"pretraining {kind}", _named_text(own)


def _named_text(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {flag_text(value)}" for name, value in sorted(values.items()))


def _comparison_text(comparison: Comparison) -> str:
    pairs = zip(comparison.better, comparison.worse, strict=True)
    kind = "" if comparison.is_primary else "secondary "
    arms = ", ".join(f"{better} against {worse}" for better, worse in pairs)
    return f"{kind}{comparison.scale} of {arms}; minimum effect {comparison.min_effect:g}"
