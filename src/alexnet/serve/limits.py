"""The limits of a server: for one client, for all clients together, and for one image."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from alexnet.errors import require
from alexnet.ops.cores import num_cores


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of a server.

    Raises:
        ConfigError: one of them is not above 0, or infinite.
    """

    max_batch: int = 64
    """Maximum number of images computed at once, of all requests together."""
    max_wait_ms: float = 4.0
    """Milliseconds that a batch waits at most for images being decoded, if there are any."""
    max_queue: int = 512
    """Maximum number of images accepted and not answered yet; beyond it the answer is 503, and 413
    to a request that alone has more."""
    max_files: int = 64
    """Maximum number of images in one request."""
    max_body_mb: float = 32.0
    """Maximum size of one request in MB."""
    max_memory_mb: float = 512.0
    """Maximum size of all requests that are being received or decoded, in MB; beyond it the answer
    is 503, and 413 to a request that alone is larger."""
    max_megapixels: float = 64.0
    """Maximum width times height of an image, in millions."""
    max_connections: int = 1000
    """Maximum number of open connections; beyond it the answer is 503."""
    receive_seconds: float = 30.0
    """Seconds that a client may take to send a request."""
    decode_seconds: float = 10.0
    """Seconds that decoding an image may take."""
    decode_memory_mb: float = 1024.0
    """Memory that a decoding process may allocate, in MB."""
    decoders: int = 0
    """Number of processes that decode images; 0: as many as there are CPU cores."""
    max_explanations: int = 8
    """Maximum number of explanations that wait or are computed, one at a time; beyond it the answer
    is 503."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value, flag = getattr(self, field.name), field.name.replace("_", "-")
            require(math.isfinite(value), f"--{flag} {value:g} is not a finite number")
            is_optional = field.name in ("decoders", "max_wait_ms")
            require(value > 0 or (is_optional and value == 0), f"--{flag} {value:g} is too small")

    @property
    def body_bytes(self) -> int:
        """The maximum size of a request's body, in bytes."""
        return int(self.max_body_mb * 1e6)

    @property
    def memory_bytes(self) -> int:
        """The largest size of all bodies."""
        return int(self.max_memory_mb * 1e6)

    @property
    def pixels(self) -> int:
        """The maximum number of pixels of an image."""
        return int(self.max_megapixels * 1e6)

    @property
    def num_decoders(self) -> int:
        """The number of decoding processes."""
        return self.decoders or num_cores()
