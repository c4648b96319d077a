"""What the report of an export says of a file that holds weights alone, such as torchvision's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import field_types, from_dict, parse_json
from alexnet.errors import ConfigError, require
from alexnet.interop.export_report import report_path, weights_checksum
from alexnet.interop.match import MatchedModel
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.models.layers import Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedFacts:
    """Those entries of an `ExportReport` that an import needs.

    Raises:
        ConfigError: the temperature is not above 0.
    """

    name: str
    """File name of the report."""
    class_names: tuple[str, ...]
    input_shape: Shape
    preprocessing: Preprocessing
    temperature: float
    weights_checksum: str

    def __post_init__(self) -> None:
        require(0 < self.temperature < math.inf, "a temperature must be above 0")

    def is_of(self, weights: Mapping[str, Tensor]) -> bool:
        """Whether the report is of a file with these weights."""
        return self.weights_checksum == weights_checksum(weights)

    def added_to(self, matched: MatchedModel) -> MatchedModel:
        """The model with the class names, the preprocessing and the temperature of the report."""
        return replace(
            matched,
            class_names=self.class_names,
            preprocessing=self.preprocessing,
            temperature=self.temperature,
        )


def read_report(path: Path) -> ReportedFacts | None:
    """The facts in the report of an export; None if the file is missing, or something else."""
    keys = [key for key in field_types(ReportedFacts) if key != "name"]
    try:
        plain = parse_json(read_regular(path, MAX_RESULT_BYTES))
        return from_dict(ReportedFacts, {"name": path.name} | {key: plain[key] for key in keys})
    except (OSError, ConfigError, KeyError, TypeError):
        return None


def find_report(path: Path, class_names: Path | None) -> ReportedFacts | None:
    """The facts in the file of class names, if that is a report, else in `FILE.json` beside."""
    found = read_report(class_names) if class_names else None
    return found or read_report(report_path(path))
