"""What `import --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alexnet.config.preprocessing import Preprocessing
from alexnet.config.serialization import FloatOrNaN
from alexnet.interop.importer import ImportedModel
from alexnet.interop.parity import Parity


@dataclass(frozen=True, kw_only=True, slots=True)
class ParityOutput:
    """The difference between the logits of two implementations."""

    runtime: str
    """The program that computed the other logits, with its version."""
    batch_sizes: tuple[int, ...]
    max_abs_difference: FloatOrNaN
    """Largest absolute difference between two logits."""
    max_abs_logit: FloatOrNaN
    """Largest absolute logit of the imported network."""
    tolerance: float
    """The largest accepted relative difference."""
    relative_difference: FloatOrNaN
    """The largest difference as a fraction of the largest logit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportOutput:
    """A model file that was written."""

    model: str
    """The path of the model file."""
    architecture: str
    input_shape: tuple[int, ...]
    """Channels, height and width."""
    num_classes: int
    num_parameters: int
    class_names_source: str
    """One of file, report, user, imagenet or default."""
    preprocessing: Preprocessing
    preprocessing_source: str
    """One of file, report, user or default."""
    notes: tuple[str, ...]
    parity: ParityOutput | None
    """The comparison of the logits; null if the file has no graph that could compute them."""


def import_output(imported: ImportedModel, out: Path) -> ImportOutput:
    """Make the output of an imported model."""
    arch = imported.info.architecture
    return ImportOutput(
        model=str(out),
        architecture=arch.name,
        input_shape=arch.input,
        num_classes=len(imported.info.class_names),
        num_parameters=sum(info.parameters for info in arch.layer_infos()),
        class_names_source=imported.class_names_source,
        preprocessing=imported.info.preprocessing,
        preprocessing_source=imported.preprocessing_source,
        notes=tuple(imported.notes),
        parity=_parity(imported.parity) if imported.parity else None,
    )


def _parity(parity: Parity) -> ParityOutput:
    return ParityOutput(
        runtime=parity.runtime,
        batch_sizes=parity.batch_sizes,
        max_abs_difference=parity.max_abs_difference,
        max_abs_logit=parity.max_abs_logit,
        tolerance=parity.tolerance,
        relative_difference=parity.relative_difference,
    )
