"""The API's requests and answers, as OpenAPI describes them."""

from __future__ import annotations

import binascii
from typing import Annotated, Literal

from pydantic import Base64Encoder, BaseModel, ConfigDict, EncodedBytes, Field
from pydantic_core import PydanticCustomError

from alexnet.io.data_url import PREFIX, decode_base64

Fraction = Annotated[float, Field(ge=0, le=1)]
Method = Literal["grad_cam", "occlusion", "integrated_gradients", "guided_backprop"]


class Schema(BaseModel):
    """The base of all schemas; unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ProblemDetails(Schema):
    """The description of an error (RFC 9457)."""

    title: str = Field(description="The kind of problem in a few words.", examples=["Not usable"])
    status: int = Field(description="The HTTP status of the answer.", examples=[422])
    detail: str = Field(
        description="What is wrong, in one sentence.", examples=["the image is damaged"]
    )


class ClassProbability(Schema):
    """A class and its probability."""

    label: str = Field(examples=["daisy"])
    probability: Fraction = Field(examples=[0.93])


class ImagePrediction(Schema):
    """The most probable classes of one image, or why it could not be read."""

    image: str = Field(
        description="Name of the image file, or its number in the request.", examples=["a.jpg"]
    )
    label: str | None = Field(
        description="The most probable class; null if unsure or if the image could not be read.",
        examples=["daisy"],
    )
    is_unsure: bool = Field(
        description="Whether the most probable class has less than `min_probability`."
    )
    top_classes: tuple[ClassProbability, ...] = Field(
        description="The most probable classes, best first; empty if the image could not be read."
    )
    error: ProblemDetails | None = Field(
        description="Why the image could not be read; null if it was."
    )


class PredictAnswer(Schema):
    """The predictions of a request's images, in their order."""

    model: str = Field(description="The name of the model.", examples=["demo"])
    predictions: tuple[ImagePrediction, ...]


class FileEncoder(Base64Encoder):
    """Base64, or a `data:` URL of it, as a browser's FileReader gives one."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        """Decode a file; what is not base64 is an error, where b64decode would skip characters."""
        is_url = data[: len(PREFIX)].lower() == PREFIX.encode()
        if is_url:
            head, _, data = data.partition(b",")
            if not head.lower().endswith(b";base64"):
                raise PydanticCustomError("base64_decode", "a data: address must have ;base64,")
        try:
            return decode_base64(data, is_url=is_url)
        except binascii.Error as error:
            reason = {"reason": str(error)}
            raise PydanticCustomError(
                "base64_decode", "it is not base64: {reason}", reason
            ) from error


class ImageData(Schema):
    """An image file in JSON."""

    data: Annotated[bytes, EncodedBytes(encoder=FileEncoder)] = Field(
        description="The bytes of the image file in base64, or its data: address with ;base64."
    )
    name: str = Field(
        "", description="A name for the image, which the answer repeats.", max_length=255
    )


class JsonImages(Schema):
    """The images of a request."""

    images: tuple[ImageData, ...] = Field(min_length=1)


class NumberMap(Schema):
    """An array of float32 numbers [height, width]."""

    height: int
    width: int
    values: str = Field(
        description="The numbers, height x width float32, little-endian, row by row, in base64."
    )


class Map(NumberMap):
    """A number for each pixel of the network's input."""

    method: Method


class ChannelMap(NumberMap):
    """The outputs of a channel, after the activation function."""

    channel: int = Field(description="Index of the channel, counted from 0.")


class Window(Schema):
    """The part of the image that the network gets, in fractions of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


class ExplainAnswer(Schema):
    """The pixels on which the prediction of an image depends."""

    model: str
    class_name: str = Field(description="The class that is explained.")
    probability: Fraction = Field(description="Probability of the class that is explained.")
    top_classes: tuple[ClassProbability, ...]
    layer: str = Field(description="The layer whose outputs Grad-CAM uses.")
    width: int = Field(description="Width of the upright image, in pixels.")
    height: int = Field(description="Height of the upright image, in pixels.")
    window: Window
    maps: tuple[Map, ...]


class ChannelsAnswer(Schema):
    """The strongest channels of a convolution for an image, strongest first."""

    model: str
    layer: str
    num_channels: int = Field(description="Number of all channels of the layer.")
    width: int = Field(description="Width of the upright image, in pixels.")
    height: int = Field(description="Height of the upright image, in pixels.")
    window: Window
    map_window: Window = Field(description="The part of the image that the maps cover.")
    channels: tuple[ChannelMap, ...]


class LayerRow(Schema):
    """A row of the table of a network's layers."""

    name: str = Field(examples=["conv1"])
    kind: str = Field(examples=["conv"])
    function: str | None = Field(
        description="Function of an activation or a pooling; null for other layers.",
        examples=[None],
    )
    output: tuple[int, ...] = Field(
        description="Shape of the output, without the batch.", examples=[[96, 55, 55]]
    )
    kernel: int | None
    stride: int | None
    parameters: int
    receptive_field: int = Field(
        description="Side of the square of input pixels that one output depends on."
    )


class LayersAnswer(Schema):
    """The table of a network's layers."""

    model: str
    input: tuple[int, ...] = Field(description="Channels, height and width of the network's input.")
    layers: tuple[LayerRow, ...]


class TrainingNeighbor(Schema):
    """A training image that is close to an image in the activations of the last hidden layer."""

    index: int = Field(description="Index of the training image, for /v1/images/{index}.")
    label: str = Field(description="Class of the training image.")
    distance: float
    is_same: bool = Field(description="Whether the training image has the same pixels.")


class NeighborsAnswer(Schema):
    """The nearest training images to an image, nearest first."""

    model: str
    neighbors: tuple[TrainingNeighbor, ...]


class ClassExamples(Schema):
    """Some training images of a class, and how many it has."""

    label: str
    num_images: int = Field(description="Number of all training images of the class.")
    indices: tuple[int, ...] = Field(description="Indices of some of them, for /v1/images/{index}.")


class ExamplesAnswer(Schema):
    """Some training images of every class."""

    model: str
    classes: tuple[ClassExamples, ...]


class Interval(Schema):
    """A 95 % confidence interval."""

    low: Fraction
    high: Fraction


class EvaluationCard(Schema):
    """The errors on images of one split."""

    split: str = Field(examples=["test"])
    num_images: int = Field(examples=[340])
    top1_error: Fraction
    top1_interval: Interval
    top5_error: Fraction | None = Field(
        description="Top-5 error, 0 to 1; null for a validation split."
    )
    top5_interval: Interval | None


class ModelCard(Schema):
    """A served model."""

    name: str = Field(
        description="Name of the model, for the parameter `model`.", examples=["demo"]
    )
    architecture: str = Field(examples=["alexnet"])
    class_names: tuple[str, ...]
    data: str = Field(
        description="Name of the data set that the model was trained on; empty if unknown."
    )
    val_top1_error: Fraction | None = Field(
        description="Top-1 error on validation images, 0 to 1; null where it was not measured."
    )
    test_top1_error: Fraction | None
    test_top5_error: Fraction | None
    num_images: dict[str, int] = Field(
        description="Number of images of the data set, by split; empty if unknown.",
        examples=[{"train": 1020}],
    )
    evaluation: EvaluationCard | None = Field(
        description="Errors on one split, with intervals; null for a model that is not of a run."
    )
    hidden_images: str = Field(
        description="Why images of the model's training data are not shown; empty if they are."
    )
    limits: tuple[str, ...] = Field(description="Sentences that say what the model cannot do.")
    input_size: int = Field(description="Side of the network's input in pixels.")
    is_joined: bool = Field(
        description="Whether images of several requests are computed together. The results are the "
        "same bits either way, unless the server was started with --no-exact."
    )


class ModelsAnswer(Schema):
    """The served models; the first one is used unless another is named."""

    models: tuple[ModelCard, ...]


class State(Schema):
    """The answer of a server that works."""

    status: Literal["ok"] = "ok"
