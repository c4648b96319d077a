"""The API, asked without a socket."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import threading
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import torch

from alexnet.serve.cards import model_card
from alexnet.serve.decode_worker import decode_upload
from alexnet.serve.guard import Access
from alexnet.serve.limits import Limits
from alexnet.serve.logs import set_up_logs
from alexnet.serve.models import Models, ModelSource
from alexnet.serve.problems import ProblemError
from alexnet.serve.service import Service
from alexnet.training.run_folder import RunFolder
from alexnet.transforms.crops import center_crop
from support.serving import (
    LIMITS,
    PNG,
    MadeModel,
    expected,
    image_file,
    made_models,
    post,
    with_client,
)

PREDICT = "/v1/predict"
TOKEN = "a token of many letters"


@pytest.fixture(scope="module")
def models() -> Models:
    """A LeNet."""
    return made_models("lenet5")


def classes(response: httpx.Response) -> list[list[dict[str, Any]]]:
    assert response.status_code == 200, response.text
    return [one["top_classes"] for one in response.json()["predictions"]]


def test_an_image_gets_the_same_bits_as_from_the_library_in_any_form_and_company(
    models: Models,
) -> None:
    optimized = models.all[0].answering
    files = [image_file(seed) for seed in range(5)]
    alone = [expected(optimized, file, top=3) for file in files]
    in_json = {"images": [{"data": base64.b64encode(file).decode()} for file in files[3:]]}
    form, raw, ten, plain = post(
        models,
        {"url": f"{PREDICT}?top=3", "files": [("files", (f"{i}.png", files[i])) for i in (0, 1)]},
        {"url": f"{PREDICT}?top=3", "content": files[2], "headers": PNG},
        {"url": f"{PREDICT}?top=3&crops=10", "content": files[2], "headers": PNG},
        {"url": f"{PREDICT}?top=3&model=lenet5", "json": in_json},
    )
    assert classes(form) + classes(raw) + classes(plain) == alone
    assert classes(ten) == [expected(optimized, files[2], top=3, crops=10)]
    assert [one["image"] for one in form.json()["predictions"]] == ["0.png", "1.png"]
    assert raw.json()["predictions"][0]["image"] == "image 0"
    assert form.json()["predictions"][0]["label"] == alone[0][0]["label"]


def test_a_run_trained_in_float32_is_served_in_float32(trained: RunFolder) -> None:
    served = ModelSource("tiny", str(trained.path)).load("cpu", exact=True)
    assert served.answering is served.classifier


def test_a_network_that_also_predicts_is_explained_while_it_does_not(
    trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def explain(*arguments: object) -> None:
        used.append(threading.current_thread().name.partition("_")[0])
        raise ProblemError(422, "enough")

    monkeypatch.setattr("alexnet.serve.service.explain", explain)
    shared, other = (
        Models([source], "cpu", exact=True)
        for source in (ModelSource("tiny", str(trained.path)), MadeModel("lenet5", "lenet5"))
    )
    for models in (shared, other):
        models.load(max_batch=1)
        post(models, {"url": "/v1/explain", "content": image_file(), "headers": PNG})
    assert used == ["network", "background"]


def test_the_card_of_a_run_has_its_error_with_the_interval_and_its_images(
    trained: RunFolder,
) -> None:
    result = json.loads(trained.result.read_text())
    source = ModelSource("tiny", str(trained.model))
    card = source.load("cpu", exact=True).card
    assert card.num_images == result["data"]["num_images"]
    assert card.evaluation
    assert card.evaluation.num_images == result["test"]["num_images"]
    assert card.evaluation.top1_interval.model_dump() == result["test"]["top1_error_interval"]
    assert card.limits[3:] == tuple(result["advice"])
    run = source.run()
    assert run
    without_test = model_card(
        "tiny", source.read("cpu"), replace(run, evaluation=None), is_joined=True, hidden_images=""
    ).evaluation
    assert without_test
    assert (without_test.split, without_test.top5_error) == ("val", None)
    assert without_test.top1_error == result["validation"]["top1_error"]


def test_the_card_of_a_file_says_what_it_does_not_know(models: Models) -> None:
    card = models.all[0].card
    assert (card.num_images, card.evaluation) == ({}, None)
    assert card.limits[0] == (
        "It always names one of its 7 classes, also for an image of something else."
    )


def test_the_strongest_channels_are_those_of_the_network_and_lie_where_they_see(
    models: Models,
) -> None:
    classifier, file = models.all[0].classifier, image_file(side=40)
    (answer,) = post(
        models, {"url": "/v1/channels?layer=conv2&top=3", "content": file, "headers": PNG}
    )
    found = answer.json()
    side = classifier.info.preprocessing.resize_size
    pixels = decode_upload(file, "shortest_edge", side, 10**6).pixels
    assert pixels is not None
    x = center_crop(torch.from_numpy(pixels[None]), classifier.info.preprocessing, None)
    with torch.no_grad():
        maps = classifier.network.intermediate_outputs(x)["tanh2"][0].numpy()
    strongest = maps.max((1, 2)).argsort()[::-1][:3].tolist()
    assert [one["channel"] for one in found["channels"]] == strongest
    values = np.frombuffer(base64.b64decode(found["channels"][0]["values"]), "<f4")
    np.testing.assert_allclose(values.reshape(10, 10), maps[strongest[0]], rtol=1e-5)
    assert found["num_channels"] == len(maps)
    # conv2 sees 14 x 14 pixels, 2 apart, of the input of 32: its middles are at 7, 9, ... 25.
    window, place = found["window"], found["map_window"]
    width = window["right"] - window["left"]
    assert place["left"] == pytest.approx(window["left"] + 6 / 32 * width)
    assert place["right"] == pytest.approx(window["left"] + 26 / 32 * width)


def test_the_table_of_the_network_is_told(models: Models) -> None:
    (answer,) = post(models, {"method": "GET", "url": "/v1/layers"})
    rows = answer.json()["layers"]
    assert answer.json()["input"] == [1, 32, 32]
    assert [row["name"] for row in rows[:3]] == ["conv1", "tanh1", "pool1"]
    assert (rows[2]["function"], rows[2]["output"][1:]) == ("average", [14, 14])


GOOD = image_file()
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b"hello", "headers": PNG}, 415, "a text file, not an image"),
    ({"content": GOOD[:99], "headers": PNG}, 422, "the image cannot be read: "),
    ({"content": b"", "headers": PNG}, 422, "the file is empty"),
    ({"content": image_file(side=101), "headers": PNG}, 413, "101x101 pixels are more than 10,000"),
    ({"content": bytes(100_001), "headers": PNG}, 413, "the body has more than 100,000 bytes"),
    ({"content": GOOD}, 415, "the body is of no type; send multipart/form-data"),
    ({"content": GOOD, "headers": {**PNG, "Content-Encoding": "gzip"}}, 415, "compressed body"),
    ({"data": {"top": "3"}}, 415, "the body is application/x-www-form-urlencoded"),
    ({"data": {"top": "3"}, "files": {"files": GOOD}}, 422, "field 'top' is no file"),
    ({"files": [("files", GOOD)] * 7}, 413, "more than 6 files"),
    ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "its boundary"),
    ({"content": b"--x\r\nA: b\r\n", "headers": FORM}, 422, "ends before its last boundary"),
    ({"content": b"junk", "headers": FORM}, 422, "the form is damaged"),
    ({"json": {"images": []}}, 422, "images: "),
    ({"json": {"images": [{"data": "not base64"}]}}, 422, "images.0.data: it is not base64: "),
    ({"json": {"images": [{"data": "data:image/png,x"}]}}, 422, "data: address must have ;base64,"),
    ({"json": {"images": [{"data": "data:image/png;base64,A*"}]}}, 422, "it is not base64: "),
    ({"json": {"images": [{"url": "file:///etc/passwd"}]}}, 422, "images.0.data: Field required"),
    ({"json": {"images": [{"data": ""}] * 7}}, 413, "7 images are more than 6"),
    ({"json": {"images": [{"data": "Qk%2B"}]}}, 422, "it is not base64: "),
    ({"json": {"images": [{"data": ""}] * 2000}}, 413, "more parts than 6 images have"),
    ({"json": {"images": [1] * 2000}}, 413, "more parts than 6 images have"),
    ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "the body: "),
    ({"url": f"{PREDICT}?top=0", "content": GOOD}, 422, "top: "),
    ({"url": f"{PREDICT}?crops=3", "content": GOOD}, 422, "crops: "),
    ({"url": f"{PREDICT}?model=x", "content": GOOD}, 422, "no model 'x'; there are lenet5"),
    ({"url": f"{PREDICT}?min_probability=1.1", "content": GOOD}, 422, "min_probability: "),
    ({"url": f"{PREDICT}?min_probability=nan", "content": GOOD}, 422, "min_probability: "),
    ({"url": f"{PREDICT}?topk=1", "content": GOOD}, 422, "'topk'; it is called top here"),
    ({"url": f"{PREDICT}?top=1&tpo=1", "content": GOOD}, 422, "'tpo'; did you mean top?"),
    ({"url": f"{PREDICT}?crop=10", "content": GOOD}, 422, "'crop'; did you mean crops"),
    ({"url": f"{PREDICT}?xyz", "content": GOOD}, 422, "known: crops, min_probability, model, top"),
    ({"url": f"{PREDICT}?top=1&top=2", "content": GOOD}, 422, "top is given more than once"),
    ({"url": "/v1/explain?method=occlusion", "content": GOOD}, 422, "did you mean methods"),
    ({"url": "/v1/neighbors?count=3", "content": GOOD}, 422, "'count'"),
    ({"url": "/v1/channels?layer=conv1&n=3", "content": GOOD}, 422, "'n'"),
    ({"url": "/v1/examples?top=3", "method": "GET"}, 422, "'top'"),
    ({"url": "/v1/images/0?size=3", "method": "GET"}, 422, "'size'"),
    ({"url": "/v1/patches?layer=conv1&top=3", "method": "GET"}, 422, "'top'"),
    ({"url": "/v1/layers?layer=conv1", "method": "GET"}, 422, "'layer'"),
    ({"url": "/v1/models?model=x", "method": "GET"}, 422, "'model'; this address takes none"),
    ({"url": "/v2/predict"}, 404, "there is nothing at /v2/predict"),
    ({"url": PREDICT, "method": "PUT"}, 405, "PUT is not possible"),
    ({"url": "/v1/explain?methods=cam", "content": GOOD, "headers": PNG}, 422, "methods.0: "),
    ({"url": "/v1/explain?class_name=x", "content": GOOD, "headers": PNG}, 422, "no class 'x'"),
    ({"url": "/v1/explain", "files": [("files", GOOD)] * 2}, 422, "one image is explained"),
    ({"url": "/v1/channels", "content": GOOD, "headers": PNG}, 422, "layer: Field required"),
    ({"url": "/v1/channels?layer=fc5", "content": GOOD, "headers": PNG}, 422, "there are conv1, "),
    ({"url": "/v1/layers?model=x", "method": "GET"}, 422, "no model 'x'"),
]  # fmt: skip


def test_what_cannot_be_answered_is_a_problem_of_one_sentence(models: Models) -> None:
    answers = post(models, *({"url": PREDICT, **request} for request, _, _ in BAD),
                   limits=Limits(**{**vars_of(LIMITS), "max_queue": 100}))  # fmt: skip
    for (request, status, text), answer in zip(BAD, answers, strict=True):
        problem = answer.json()
        assert (answer.status_code, problem["status"]) == (status, status), (request, problem)
        assert text in problem["detail"], request
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem.keys() == {"title", "status", "detail"}
        assert "\n" not in problem["detail"]
        assert "Traceback" not in answer.text


def test_options_that_are_lists_are_repeated(models: Models, monkeypatch: Any) -> None:
    asked: list[object] = []

    def explain(*arguments: object) -> None:
        asked.append(arguments[-1])
        raise ProblemError(422, "enough")

    monkeypatch.setattr("alexnet.serve.service.explain", explain)
    url = "/v1/explain?methods=occlusion&methods=grad_cam"
    post(models, {"url": url, "content": GOOD, "headers": PNG})
    assert asked == [("occlusion", "grad_cam")]


def test_json_has_files_as_browsers_and_shells_write_them(models: Models) -> None:
    text = base64.b64encode(GOOD).decode()
    wrapped = base64.encodebytes(GOOD).decode()
    given = [text, wrapped, f"data:image/png;base64,{text}", f"DATA:image/png;name=a;BASE64,{text}",
             f"data:application/octet-stream;base64,{text}",
             f"data:image/png;base64,{quote(text, safe='')}"]  # fmt: skip
    request = {"url": PREDICT, "json": {"images": [{"data": data} for data in given]}}
    found = classes(post(models, request)[0])
    assert found == [found[0]] * len(given)


def test_the_most_probable_class_is_unsure_below_a_probability(models: Models) -> None:
    image = {"content": GOOD, "headers": PNG}
    plain = post(models, {"url": PREDICT, **image})[0].json()["predictions"][0]
    highest = plain["top_classes"][0]["probability"]
    assert (plain["label"], plain["is_unsure"]) == (plain["top_classes"][0]["label"], False)
    urls = [f"{PREDICT}?min_probability={p!r}" for p in (highest, highest + 1e-6)]
    sure, unsure = (
        answer.json()["predictions"][0]
        for answer in post(models, *({"url": url, **image} for url in urls))
    )
    assert sure == plain
    assert unsure == {**plain, "label": None, "is_unsure": True}


def test_head_is_answered_as_get_without_the_body(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = (
        "/", "/page/page.js", "/page/no.js", "/healthz", "/healthz?t=1", "/readyz", "/metrics",
        "/openapi.json", "/v1/models", "/v1/layers", "/v1/layers?x=1", "/v1/examples",
        "/v1/images/0", "/v1/patches?layer=conv1", "/nothing", PREDICT,
    )  # fmt: skip
    log = log_of(monkeypatch)
    gets, heads = (
        post(models, *({"method": method, "url": path} for path in paths))
        for method in ("GET", "HEAD")
    )
    for path, get, head in zip(paths, gets, heads, strict=True):
        same = {name: value for name, value in get.headers.items() if path != "/metrics"}
        assert head.status_code == get.status_code, path
        assert head.headers.items() >= same.items(), path
        assert head.content == b""
    assert [one.status_code for one in heads[:2]] == [200, 200]
    assert heads[-1].status_code == 405
    assert {json.loads(line)["method"] for line in log.getvalue().splitlines()} == {"GET", "HEAD"}
    (refused,) = post(models, {"url": "/healthz"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    token = Access(token=TOKEN)
    (closed,) = post(models, {"method": "HEAD", "url": "/v1/models"}, access=token)
    assert closed.status_code == 401


def vars_of(limits: Limits) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in limits.__dataclass_fields__}


def test_a_bad_image_does_not_spoil_the_others_of_its_request(models: Models) -> None:
    files = [("files", ("a.png", GOOD)), ("files", ("b.png", GOOD[:99]))]
    good, bad = post(models, {"url": PREDICT, "files": files})[0].json()["predictions"]
    assert (good["error"], good["label"]) == (None, good["top_classes"][0]["label"])
    assert (bad["error"]["status"], bad["label"], bad["top_classes"]) == (422, None, [])


def test_only_the_token_opens_the_api_and_no_page_of_another_site(models: Models) -> None:
    access = Access(token=TOKEN, hosts=("localhost",))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    cases: list[tuple[str, dict[str, str], int]] = [
        ("/v1/models", {}, 401),
        ("/v1/models", {"Authorization": "Bearer wrong"}, 401),
        ("/v1/models", {"Authorization": f"Basic {TOKEN}"}, 401),
        ("/metrics", {}, 401),
        ("/openapi.json", {}, 401),
        ("/v1/models", bearer, 200),
        ("/healthz", {}, 200),
        ("/healthz", {"Host": "evil.example"}, 421),
        ("/v1/models", {**bearer, "Sec-Fetch-Site": "cross-site"}, 403),
    ]
    requests = ({"method": "GET", "url": url, "headers": headers} for url, headers, _ in cases)
    answers = post(models, *requests, access=access)
    assert [answer.status_code for answer in answers] == [status for *_, status in cases]
    assert answers[0].headers["www-authenticate"] == "Bearer"
    for answer in answers:
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
        assert TOKEN not in answer.text
    assert TOKEN not in repr(access)


def test_a_full_queue_is_503_and_says_when_to_try_again(models: Models) -> None:
    requests = [{"url": PREDICT, "files": [("files", GOOD)] * 5} for _ in range(2)]
    ok, full = sorted(post(models, *requests), key=lambda answer: answer.status_code)
    assert (ok.status_code, full.status_code) == (200, 503)
    assert full.headers["retry-after"] == "1"
    small = Limits(**{**vars_of(LIMITS), "max_memory_mb": 1.5e-6 * len(GOOD)})
    request = {"url": PREDICT, "content": GOOD, "headers": PNG}
    both = post(models, request, request, limits=small)
    ok, full = sorted(both, key=lambda answer: answer.status_code)
    assert (ok.status_code, full.status_code, full.headers["retry-after"]) == (200, 503, "1")


def test_what_is_too_much_alone_is_413_since_it_would_never_be_accepted(models: Models) -> None:
    images = {"url": PREDICT, "files": [("files", GOOD)] * 3}
    content = {"url": PREDICT, "content": GOOD, "headers": PNG}
    memory_mb = 1e-6 * (len(GOOD) - 1)
    for request, changed in ((images, {"max_queue": 2}), (content, {"max_memory_mb": memory_mb})):
        limits = Limits(**{**vars_of(LIMITS), **changed})
        assert post(models, request, limits=limits)[0].status_code == 413


def test_a_slow_sender_is_told_so(models: Models) -> None:
    async def slowly() -> Any:
        yield GOOD[:9]
        await asyncio.sleep(9)

    limits = Limits(**{**vars_of(LIMITS), "receive_seconds": 0.01})
    request = {"url": PREDICT, "content": slowly(), "headers": PNG}
    assert post(models, request, limits=limits)[0].status_code == 408


def log_of(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the server writes to stderr from now on, as JSON."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    set_up_logs(as_json=True)
    return stream


def test_the_log_has_every_request_and_nothing_of_its_images(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(monkeypatch)
    post(models, {"url": PREDICT, "files": [("files", ("secret.png", GOOD))]})
    facts = json.loads(log.getvalue())
    assert (facts["method"], facts["path"], facts["status"]) == ("POST", PREDICT, 200)
    assert facts["received_bytes"] > len(GOOD)
    assert "secret" not in log.getvalue()


def test_the_server_tells_of_itself(models: Models) -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> list[httpx.Response]:
        await client.post(PREDICT, content=GOOD, headers=PNG)
        paths = ("/v1/models", "/healthz", "/readyz", "/metrics", "/openapi.json")
        answers = [await client.get(path) for path in paths]
        service.is_stopping = True
        return [*answers, await client.get("/readyz")]

    cards, health, ready, metrics, openapi, stopping = with_client(models, ask)
    (card,) = cards.json()["models"]
    assert (card["name"], len(card["class_names"]), card["input_size"]) == ("lenet5", 7, 32)
    assert health.json() == ready.json() == {"status": "ok"}
    assert 'alexnet_images_total{model="lenet5",result="predicted"} 1.0' in metrics.text
    assert 'alexnet_requests_total{path="/v1/predict",status="200"} 1.0' in metrics.text
    assert (stopping.status_code, stopping.headers["connection"]) == (503, "close")
    described = openapi.json()["paths"]
    assert described.keys() == {
        "/v1/predict", "/v1/explain", "/v1/channels", "/v1/layers", "/v1/models", "/healthz",
        "/v1/neighbors", "/v1/examples", "/v1/images/{index}", "/v1/patches",
        "/readyz", "/metrics",
    }  # fmt: skip
    answers = described["/v1/predict"]["post"]["responses"]
    assert {"200", "400", "401", "413", "415", "422", "503"} <= answers.keys()
    text = json.dumps(openapi.json())
    assert "HTTPValidationError" not in text
    components = openapi.json()["components"]["schemas"]
    assert set(re.findall(r'"\$ref": "(.*?)"', text)) <= {
        f"#/components/schemas/{name}" for name in components
    }


def test_a_server_whose_batches_have_ended_is_not_ready(models: Models) -> None:
    async def ask(client: httpx.AsyncClient, service: Service) -> list[int]:
        before = await client.get("/readyz")
        service._task.cancel()
        await asyncio.sleep(0)
        return [before.status_code, (await client.get("/readyz")).status_code]

    assert with_client(models, ask) == [200, 503]


def test_a_mistake_of_the_program_is_in_the_log_and_not_in_the_answer(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_of(monkeypatch)

    def fail(*arguments: object) -> None:
        raise RuntimeError("a secret of the program")

    monkeypatch.setattr("alexnet.serve.models.ServedModel.probabilities", fail)
    (answer,) = post(models, {"url": PREDICT, "content": GOOD, "headers": PNG})
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert "a secret of the program" in json.loads(log.getvalue().splitlines()[0])["traceback"]
