"""What the report of an export says of a file that holds weights alone, such as torchvision's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.checkpoints.model_file import MAX_TEMPERATURE, MIN_TEMPERATURE
from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import field_types, from_dict, parse_json
from alexnet.errors import ConfigError, require
from alexnet.interop.export_report import report_path, weights_checksum
from alexnet.interop.match import MatchedModel
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.io.text import shape_text
from alexnet.models.layers import Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedFacts:
    """Those entries of an `ExportReport` that an import needs.

    Raises:
        ConfigError: a class has no name or that of another, the input is not that of the
            preprocessing, or the temperature is out of range.
    """

    name: str
    """File name of the report."""
    class_names: tuple[str, ...]
    input_shape: Shape
    preprocessing: Preprocessing
    temperature: float
    weights_checksum: str

    def __post_init__(self) -> None:
        names, own = self.class_names, self.preprocessing
        is_distinct = len(set(names)) == len(names) and all(map(str.strip, names))
        require(is_distinct, "every class needs a name of its own")
        require(
            self.input_shape == (own.channels, own.input_side, own.input_side),
            f"its input_shape {list(self.input_shape)} is not that of its preprocessing",
        )
        require(
            MIN_TEMPERATURE <= self.temperature <= MAX_TEMPERATURE,
            f"temperature {self.temperature:g} must be from {MIN_TEMPERATURE} to "
            f"{MAX_TEMPERATURE:g}",
        )

    def misfit(self, input_shape: Shape) -> str:
        """Why the preprocessing cannot be used for a network's input; "" if it can."""
        if self.preprocessing.has_mean_image:
            return "it has a mean image, which is not in the report"
        if self.input_shape == input_shape:
            return ""
        own, other = shape_text(self.input_shape), shape_text(input_shape)
        return f"it is for inputs of {own}, and the network takes {other}"

    def added_to(self, matched: MatchedModel) -> MatchedModel:
        """The model with the class names, the temperature and, if it fits, the preprocessing."""
        is_fit = not self.misfit(matched.architecture.input)
        return replace(
            matched,
            class_names=self.class_names,
            preprocessing=self.preprocessing if is_fit else None,
            temperature=self.temperature,
        )


def read_report(path: Path) -> ReportedFacts | None:
    """The facts in the report of an export; None if the file is missing, or something else.

    A JSON object with a `weights_checksum` is a report; those of early versions have none.

    Raises:
        ConfigError: an entry of the report is missing, or cannot be used.
    """
    try:
        plain = parse_json(read_regular(path, MAX_RESULT_BYTES))
    except (OSError, ConfigError):
        return None
    if not isinstance(plain, dict) or "weights_checksum" not in plain:
        return None
    facts = {key: plain[key] for key in field_types(ReportedFacts) if key in plain}
    return from_dict(ReportedFacts, {**facts, "name": path.name}, "report")


def find_report(
    path: Path, names_file: Path | None, matched: MatchedModel
) -> tuple[ReportedFacts | None, tuple[str, ...]]:
    """Find the report of a file's weights: the file of class names, else `FILE.json` beside it.

    Args:
        path: the file.
        names_file: the file of class names that the user gave, or None.
        matched: the model in the file, with its colors in the file's order.

    Returns:
        The report's facts, or None if there is none of these weights; and a note on each report
        that is not used.
    """
    notes: tuple[str, ...] = ()
    for candidate in dict.fromkeys((names_file or report_path(path), report_path(path))):
        try:
            report = read_report(candidate)
            if report:
                _check_is_of(path, report, matched)
                return report, notes
        except ConfigError as error:
            unused = f"{candidate.name} is"
            if candidate == names_file:  # whose class names the user wants in any case
                unused = f"the preprocessing and the temperature in {candidate.name} are"
            notes += (f"{unused} not used: {error}",)
    return None, notes


def _check_is_of(path: Path, report: ReportedFacts, matched: MatchedModel) -> None:
    """Raise ConfigError unless the report is of a file with these weights."""
    require(
        report.weights_checksum == weights_checksum(matched.weights),
        f"it is the report of other weights than {path.name}",
    )
    found, count = len(report.class_names), matched.architecture.num_classes
    require(found == count, f"it names {found} classes, and the network has {count} outputs")
