"""Evaluation: `evaluate` a classifier on a split; the result is an `Evaluation`.

- `evaluator`: `evaluate`, the choice of data and split, and the loop over the images
- `alignment`: which class of the model each class of the data is
- `metrics`: top-k error, confusion matrix, precision and recall
- `results`: `Evaluation`, and computing it from probabilities and labels
- `calibration`: whether probabilities can be believed; temperature scaling
- `intervals`: confidence intervals of errors, over images and over seeds; McNemar's test
- `paired`: several models on the same images
- `seed_groups`: runs that differ only in the seed, and groups of them compared
- `advice`: what an evaluation leaves uncertain
- `summary`: an evaluation as JSON
- `tables`, `report`: evaluation.json and top_losses.csv; these and the plots
- `plots`, `reliability_plot`: confusion matrix and top losses; reliability diagram
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.evaluation.evaluator import evaluate
    from alexnet.evaluation.metrics import top_k_error
    from alexnet.evaluation.results import Evaluation

__all__ = ["Evaluation", "evaluate", "top_k_error"]
__getattr__, __dir__ = attach(
    __name__, {"Evaluation": "results", "evaluate": "evaluator", "top_k_error": "metrics"}
)
