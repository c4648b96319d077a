"""Counts and durations in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.requests = Counter(
            "alexnet_requests", "Number of requests answered.", ("path", "status"), registry=own
        )
        self.seconds = Histogram(
            "alexnet_request_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ("path",),
            buckets=SECONDS,
            registry=own,
        )
        self.images = Counter(
            "alexnet_images", "Number of images in requests.", ("model", "result"), registry=own
        )
        self.batch = Histogram(
            "alexnet_batch_images",
            "Number of images computed at once.",
            buckets=IMAGES,
            registry=own,
        )
        self.queue = Gauge(
            "alexnet_queue_images", "Number of images accepted and not answered yet.", registry=own
        )
        self.decoders = Gauge(
            "alexnet_decoders", "Number of running processes that decode images.", registry=own
        )
        self.restarts = Counter(
            "alexnet_decoder_restarts",
            "Number of decoding processes that ended or hung.",
            registry=own,
        )

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)
