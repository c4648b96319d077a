"""Log a run for other programs: TensorBoard, MLflow, Weights & Biases, CSV.

- `logger`: `Logger`, their protocol, and the values that they get
- `catalogue`: the loggers by name, and the packages that they need
- `tensorboard_logger`, `mlflow_logger`, `wandb_logger`, `csv_logger`: the loggers
- `log_thread`: a logger in a thread of its own, which neither stops nor slows a training
- `run_loggers`: a `Reporter` that hands the records of a run to its loggers

Each logger has a folder in `logs/` of the run folder; a resumed run continues the existing logs.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.loggers.catalogue import LOGGERS
    from alexnet.loggers.logger import Logger, LogResult, LogStart, Row

__all__ = ["LOGGERS", "LogResult", "LogStart", "Logger", "Row"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "LOGGERS": "catalogue",
        "LogResult": "logger",
        "LogStart": "logger",
        "Logger": "logger",
        "Row": "logger",
    },
)
