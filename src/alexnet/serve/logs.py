"""Log lines on stderr: as text, or one JSON object each. They say nothing of an image."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from alexnet.io.text import printable

FIELDS = ("method", "path", "status", "seconds", "client", "received_bytes")
"""Names in `extra` of what the log line of a request has beside its message."""


class JsonFormatter(logging.Formatter):
    """Formats each record as one line with a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON object; for an error with its traceback."""
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
        }
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts)


class TextFormatter(logging.Formatter):
    """Formats each record as a line of text for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The time and the message; for a request its method, path, status and duration."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        text = printable(record.getMessage())
        if hasattr(record, "status"):
            path = printable(str(record.__dict__["path"]))
            milliseconds = 1000 * float(record.__dict__["seconds"])
            text = f"{record.__dict__['method']} {path} {record.__dict__['status']} "
            text += f"{milliseconds:.1f} ms"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{time} {text}{trace}"


def set_up_logs(*, as_json: bool) -> None:
    """Write the server's log lines, and uvicorn's warnings, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    for name, level in (("alexnet.serve", logging.INFO), ("uvicorn", logging.WARNING),
                        ("asyncio", logging.WARNING)):  # fmt: skip
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
