"""A server whose GPU computes nothing more, or NaN."""

from __future__ import annotations

import time
from contextlib import closing, suppress

import httpx
import numpy as np
import pytest
import torch

from alexnet.errors import AlexNetError
from alexnet.inference.classifier import Classifier
from alexnet.runtime import device
from alexnet.serve.guard import Access
from alexnet.serve.models import ServedModel
from alexnet.serve.server import bind, run_server
from alexnet.serve.service import Service
from support.serving import LIMITS, PNG, DirectDecoder, image_file, made_models, with_client

STICKY = "CUDA error: device-side assert triggered"


def fail(*arguments: object) -> None:
    raise RuntimeError(f"{STICKY}\nCompile with `TORCH_USE_CUDA_DSA`")


@pytest.mark.parametrize(
    ("lasts", "url"), [(True, "/v1/predict"), (True, "/v1/explain"), (False, "/v1/predict")]
)
def test_after_an_error_that_lasts_the_server_is_not_ready(
    lasts: bool, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> tuple[list[int], str]:
        with suppress(RuntimeError):  # answered with 500 through a socket
            await client.post(url, content=image_file(), headers=PNG)
        statuses = [(await client.get("/readyz")).status_code]
        if lasts:
            again = await client.post(url, content=image_file(), headers=PNG)
            statuses.append(again.status_code)
        return statuses, service.failure

    models = made_models("lenet5")
    monkeypatch.setattr(ServedModel, "probabilities", fail)
    monkeypatch.setattr("alexnet.serve.service.explain", fail)
    monkeypatch.setattr(Classifier, "device", torch.device("cuda"))
    monkeypatch.setattr(device, "compute_something", fail if lasts else lambda gpu: None)
    told = f"cuda computes nothing more until a new start: {STICKY}"
    assert with_client(models, ask) == (([503, 503], told) if lasts else ([200], ""))


@pytest.mark.parametrize(
    ("where", "error"), [("cpu", "a mistake"), ("cuda", "CUDA out of memory"), ("cuda", "a shape")]
)
def test_other_errors_do_not_last(where: str, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "compute_something", fail if error != "a shape" else print)
    assert not device.lasting_problem(torch.device(where), RuntimeError(error))


def test_outputs_that_are_not_finite_are_the_error_of_their_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> httpx.Response:
        return await client.post("/v1/predict", content=image_file(), headers=PNG)

    models = made_models("lenet5")
    nan = np.full((1, 10), np.nan, np.float32)
    monkeypatch.setattr(ServedModel, "probabilities", lambda *arguments: nan)
    answer = with_client(models, ask)
    assert answer.status_code == 422
    assert answer.json()["detail"] == "the network's outputs are not finite"


def test_the_server_ends_and_says_why() -> None:
    """An orchestrator starts it again."""
    service = Service(made_models("lenet5"), LIMITS, DirectDecoder(LIMITS))

    def fail_soon() -> None:
        service.failure = "cuda computes nothing more until a new start: it is lost"

    begin = time.monotonic()
    with (
        closing(bind("127.0.0.1", 0)) as listener,
        pytest.raises(AlexNetError, match=r"^the server has ended: cuda .*: it is lost$"),
    ):
        run_server(service, Access(), listener, fail_soon)
    assert time.monotonic() - begin < 10
