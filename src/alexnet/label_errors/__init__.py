"""Images whose labels are probably wrong, decisions on them, and the corrected data set.

- `suspects`: `find_label_errors`, from a data set to a list of suspects
- `frozen`: torchvision's convolutions as frozen features
- `heads`: softmax regressions on features, and probabilities of images that they did not see
- `confident`: confident learning, in its two formulas
- `page`: a page to keep, relabel or drop each suspect; it writes a CSV file
- `decisions`: reads such a file, and writes the corrected data set as a new CSV file or folder
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.label_errors.decisions import Decision, read_decisions
    from alexnet.label_errors.suspects import LabelErrors, Suspect, find_label_errors

__all__ = ["Decision", "LabelErrors", "Suspect", "find_label_errors", "read_decisions"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Decision": "decisions",
        "LabelErrors": "suspects",
        "Suspect": "suspects",
        "find_label_errors": "suspects",
        "read_decisions": "decisions",
    },
    called="its find_label_errors takes a Store, and the shell has alexnet data mistakes DATA",
)
