"""Trained models behind an HTTP API and a page (`alexnet serve`), and a client for it.

An image goes from `uploads` through `decoders` and `batching` to a model of `models`, and back as
an object of `schemas`.

- `limits`: the limits of requests, queues and processes.
- `app`, `routes`, `schemas`: the API and its OpenAPI description.
- `static`: the files of the page, which are in `page/`.
- `guard`: who may ask; security headers; the log line and the metrics of every request.
- `problems`: errors as problem details (RFC 9457).
- `uploads`, `multipart`: the images of a request's body, in memory alone.
- `decoders`, `decode_worker`: images are decoded in processes that may crash or hang.
- `batching`: images of several requests are computed together.
- `models`, `cards`: the served models, loaded and reloaded; what is known about them.
- `explaining`: what a prediction depends on.
- `training_images`: nearest ones, and some of every class, where the owner shows them.
- `service`: all of these together.
- `server`, `connection`: uvicorn, ended without losing a request; time limits for slow senders.
- `metrics`, `logs`: for Prometheus, and as lines of JSON.
- `client`: `Client`, which needs none of the above.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.serve.app import create_app
    from alexnet.serve.client import Client
    from alexnet.serve.limits import Limits
    from alexnet.serve.service import Service

__all__ = ["Client", "Limits", "Service", "create_app"]
__getattr__, __dir__ = attach(
    __name__,
    {"Client": "client", "Limits": "limits", "Service": "service", "create_app": "app"},
    called="the shell has it: alexnet serve RUN",
)
