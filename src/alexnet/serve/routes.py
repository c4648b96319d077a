"""The routes of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, get_origin

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import BeforeValidator

from alexnet.errors import UnknownNameError
from alexnet.inference.predictor import Crops
from alexnet.other_words import option_for
from alexnet.serve import metrics
from alexnet.serve.explaining import check_convolution, layer_rows
from alexnet.serve.problems import MEDIA_TYPE, TITLES, ProblemError, too_busy
from alexnet.serve.schemas import (
    ChannelsAnswer,
    ClassExamples,
    ExamplesAnswer,
    ExplainAnswer,
    ImageData,
    JsonImages,
    LayersAnswer,
    Method,
    ModelsAnswer,
    NeighborsAnswer,
    PredictAnswer,
    State,
)
from alexnet.serve.service import Service
from alexnet.serve.training_images import patches_sheet
from alexnet.serve.uploads import Memory, Upload, read_uploads

MAX_NAME = 255
Name = Annotated[str, Query(max_length=MAX_NAME)]
ModelName = Annotated[Name, Query(description="Name of the model; the first one unless given.")]
PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": PROBLEM}
    for status, text in {400: "Bad Request", 401: "Unauthorized", **TITLES}.items()
}
IMAGE_PROBLEMS = PROBLEMS | {
    status: {"description": HTTPStatus(status).phrase, "content": PROBLEM} for status in (403, 404)
}
_FILE = {"type": "string", "format": "binary"}
_FORM = {"type": "object", "required": ["files"], "additionalProperties": False,
         "properties": {"files": {"type": "array", "items": _FILE, "minItems": 1}}}  # fmt: skip
_IMAGES = {"type": "array", "items": ImageData.model_json_schema(), "minItems": 1}
_JSON = {**JsonImages.model_json_schema(), "properties": {"images": _IMAGES}}
_JSON.pop("$defs")  # a reference would lead out of this part of the description
BODY = {
    "requestBody": {
        "required": True,
        "description": "Image files: in a form, a single one as the body, or in JSON as base64.",
        "content": {
            "multipart/form-data": {"schema": _FORM},
            "image/*": {"schema": _FILE},
            "application/octet-stream": {"schema": _FILE},
            "application/json": {
                "schema": _JSON,
                "example": {"images": [{"data": "R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==",
                                        "name": "a.gif"}]},
            },
        },
    }
}  # fmt: skip


async def check_options(request: Request) -> None:
    """Check that a request has no option that its route lacks, and none twice.

    Raises:
        ProblemError: it has one; the sentence names the nearest option.
    """
    fields = {field.alias: field for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in fields:
            raise ProblemError(422, _unknown_option(name[:MAX_NAME], list(fields)))
        is_list = get_origin(fields[name].field_info.annotation) is tuple
        if not is_list and len(request.query_params.getlist(name)) > 1:
            raise ProblemError(422, f"{name} is given more than once")


def _unknown_option(name: str, known: list[str]) -> str:
    if not known:
        return f"unknown option {name!r}; this address takes none"
    if ours := option_for(name, known):
        return f"unknown option {name!r}; it is called {ours} here"
    return str(UnknownNameError("option", name, known))


router = APIRouter(dependencies=[Depends(check_options)])
state_router = APIRouter()
"""The routes for monitors, which may have options of their own, such as against caches."""


def _content(media_type: str) -> dict[str, Any]:
    """The OpenAPI description of an answer that is a file."""
    return {"content": {media_type: {"schema": _FILE}}}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _memory(request: Request) -> Memory:
    memory: Memory = request.app.state.memory
    return memory


def _as_number(value: object) -> object:
    """The query value as a number if it is "1" or "10"; any other value is left as it is."""
    return int(value) if isinstance(value, str) and value in ("1", "10") else value


@router.post("/v1/predict", responses=PROBLEMS, openapi_extra=BODY)
async def predict(
    request: Request,
    model: ModelName = "",
    top: Annotated[int, Query(ge=1, le=100_000, description="Number of classes per image.")] = 5,
    crops: Annotated[
        Crops,
        BeforeValidator(_as_number),
        Query(description="Crops that are averaged; 10: center and corners, each also flipped."),
    ] = 1,
    min_probability: Annotated[
        float,
        Query(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="Probability below which the most probable class is unsure.",
        ),
    ] = 0.0,
) -> PredictAnswer:
    """The most probable classes of images.

    An image that cannot be read has an `error`; if none can, that is the answer's status.
    """
    service = _service(request)
    service.models.get(model)
    with _memory(request).account() as account:
        uploads = await read_uploads(request, service.limits, account)
        return await service.predict(uploads, model, top, crops, min_probability)


@router.post("/v1/explain", responses=PROBLEMS, openapi_extra=BODY)
async def explain(
    request: Request,
    model: ModelName = "",
    class_name: Annotated[
        Name, Query(description="The class to explain; the most probable one unless given.")
    ] = "",
    layer: Annotated[
        Name, Query(description="The layer for Grad-CAM; the last convolution unless given.")
    ] = "",
    methods: Annotated[tuple[Method, ...], Query(description="A method; repeated for several.")] = (
        "grad_cam",
    ),
) -> ExplainAnswer:
    """The pixels of one image on which its prediction depends. One image is explained at a time."""
    async with _one_upload(request, model) as upload:
        return await _service(request).explain(upload, model, class_name, layer, methods)


@router.post("/v1/channels", responses=PROBLEMS, openapi_extra=BODY)
async def channels(
    request: Request,
    layer: Annotated[Name, Query(description="Name of a convolution.")],
    model: ModelName = "",
    top: Annotated[
        int, Query(ge=1, le=256, description="Number of channels, strongest first.")
    ] = 12,
) -> ChannelsAnswer:
    """The channels of a convolution with the highest outputs for one image, and their maps."""
    async with _one_upload(request, model) as upload:
        return await _service(request).channels(upload, model, layer, top)


@router.post("/v1/neighbors", responses=IMAGE_PROBLEMS, openapi_extra=BODY)
async def neighbors(
    request: Request,
    model: ModelName = "",
    top: Annotated[
        int, Query(ge=1, le=64, description="Number of training images, nearest first.")
    ] = 6,
) -> NeighborsAnswer:
    """The nearest training images to one image, where the server shows training images."""
    _service(request).training_images(model)
    async with _one_upload(request, model) as upload:
        return await _service(request).neighbors(upload, model, top)


@router.get("/v1/examples", responses=IMAGE_PROBLEMS)
def examples(
    request: Request,
    model: ModelName = "",
    count: Annotated[int, Query(ge=1, le=64, description="Number of images per class.")] = 4,
) -> ExamplesAnswer:
    """The first training images of every class, where the server shows training images."""
    service = _service(request)
    found = service.training_images(model).of_every_class(count)
    return ExamplesAnswer(
        model=service.models.get(model).name,
        classes=tuple(
            ClassExamples(label=label, num_images=number, indices=tuple(indices))
            for label, number, indices in found
        ),
    )


@router.get(
    "/v1/images/{index}",
    response_class=Response,
    responses={**IMAGE_PROBLEMS, 200: _content("image/jpeg")},
)
def image(
    request: Request,
    index: Annotated[int, Path(ge=0, lt=1 << 31, description="Index of a neighbor or an example.")],
    model: ModelName = "",
) -> Response:
    """A training image by its number, at most 160 pixels wide and high."""
    content = _service(request).training_images(model).thumbnail(index)
    if content is None:
        raise ProblemError(404, f"there is no training image {index}")
    return Response(content, media_type="image/jpeg")


@router.get(
    "/v1/patches", response_class=Response, responses={**IMAGE_PROBLEMS, 200: _content("image/png")}
)
def patches(
    request: Request,
    layer: Annotated[Name, Query(description="Name of a convolution.")],
    model: ModelName = "",
) -> Response:
    """The image patches with a layer's highest outputs: the figure in the run."""
    service = _service(request)
    service.training_images(model)
    served = service.models.get(model)
    check_convolution(served, layer)
    content = patches_sheet(served.run_folder, layer)
    if content is None:
        raise ProblemError(
            404, f"they are not in the run; alexnet explain RUN --filters {layer} makes them"
        )
    return Response(content, media_type="image/png")


@asynccontextmanager
async def _one_upload(request: Request, model: str) -> AsyncIterator[Upload]:
    """Read the only image of a request, after checking that its model exists."""
    service = _service(request)
    service.models.get(model)
    with _memory(request).account() as account:
        uploads = await read_uploads(request, service.limits, account)
        if len(uploads) != 1:
            raise ProblemError(422, f"one image is explained at a time, not {len(uploads):,}")
        yield uploads[0]


@router.get("/v1/layers", responses={401: PROBLEMS[401], 422: PROBLEMS[422]})
async def layers(request: Request, model: ModelName = "") -> LayersAnswer:
    """The layers of a model's network, in order."""
    return layer_rows(_service(request).models.get(model))


@router.get("/v1/models", responses={401: PROBLEMS[401], 422: PROBLEMS[422]})
async def models(request: Request) -> ModelsAnswer:
    """The served models, with their classes and their errors."""
    return ModelsAnswer(models=tuple(model.card for model in _service(request).models.all))


@state_router.get("/healthz")
async def health() -> State:
    """Whether the server answers at all."""
    return State()


@state_router.get("/readyz", responses={503: PROBLEMS[503]})
async def ready(request: Request) -> State:
    """Whether the server takes requests: its models are loaded, and it is not about to end."""
    if not _service(request).is_ready:
        raise too_busy("the server is about to end, or cannot decode or compute images")
    return State()


@state_router.get("/metrics", response_class=Response)
async def metrics_text(request: Request) -> Response:
    """Counts and durations for Prometheus."""
    service = _service(request)
    service.metrics.decoders.set(service.decoders.num_alive)
    return Response(service.metrics.text(), media_type=metrics.MEDIA_TYPE)
