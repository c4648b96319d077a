"""The API's requests and answers, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Method = Literal["grad_cam", "occlusion", "integrated_gradients", "guided_backprop"]


class Schema(BaseModel):
    """The base of all schemas; unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class ProblemDetails(Schema):
    """The description of an error (RFC 9457)."""

    title: str = Field(description="The kind of problem.", examples=["Not usable"])
    status: int = Field(description="The status of the answer.", examples=[422])
    detail: str = Field(description="One sentence.", examples=["the image is damaged"])


class ClassProbability(Schema):
    """A class and its probability."""

    label: str = Field(examples=["daisy"])
    probability: Fraction = Field(examples=[0.93])


class ImagePrediction(Schema):
    """The most probable classes of one image, or why it could not be read."""

    image: str = Field(description="The file's name, or its number.", examples=["a.jpg"])
    label: str | None = Field(description="The most probable class.", examples=["daisy"])
    top_classes: tuple[ClassProbability, ...] = Field(description="Best first.")
    error: ProblemDetails | None = Field(description="Null if the image was read.")


class PredictAnswer(Schema):
    """The predictions of a request's images, in their order."""

    model: str = Field(description="The name of the model.", examples=["demo"])
    predictions: tuple[ImagePrediction, ...]


class ImageData(Schema):
    """An image file in JSON."""

    data: Base64Bytes = Field(description="The file's bytes in base64.")
    name: str = Field("", description="Any name; it returns in the answer.", max_length=255)


class JsonImages(Schema):
    """The images of a request."""

    images: tuple[ImageData, ...] = Field(min_length=1)


class NumberMap(Schema):
    """An array of float32 numbers [height, width]."""

    height: int
    width: int
    values: str = Field(description="height x width float32, little-endian, row by row, in base64.")


class Map(NumberMap):
    """A number for each pixel of the network's input."""

    method: Method


class ChannelMap(NumberMap):
    """The outputs of a channel, after the activation function."""

    channel: int = Field(description="Its number, from 0.")


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
    probability: Fraction = Field(description="Of that class.")
    top_classes: tuple[ClassProbability, ...]
    layer: str = Field(description="The layer of Grad-CAM.")
    width: int = Field(description="Of the upright image, in pixels.")
    height: int
    window: Window
    maps: tuple[Map, ...]


class ChannelsAnswer(Schema):
    """The strongest channels of a convolution for an image, strongest first."""

    model: str
    layer: str
    num_channels: int = Field(description="Of the layer, in all.")
    width: int = Field(description="Of the upright image, in pixels.")
    height: int
    window: Window
    map_window: Window = Field(description="Where the maps lie on the image.")
    channels: tuple[ChannelMap, ...]


class LayerRow(Schema):
    """A row of the table of a network's layers."""

    name: str = Field(examples=["conv1"])
    kind: str = Field(examples=["conv"])
    function: str | None = Field(description="Of an activation or a pooling.", examples=[None])
    output: tuple[int, ...] = Field(description="Its shape.", examples=[[96, 55, 55]])
    kernel: int | None
    stride: int | None
    parameters: int
    receptive_field: int = Field(description="In pixels of the network's input.")


class LayersAnswer(Schema):
    """The table of a network's layers."""

    model: str
    input: tuple[int, ...] = Field(description="Channels, height and width.")
    layers: tuple[LayerRow, ...]


class TrainingNeighbor(Schema):
    """A training image that is close to an image in the activations of the last hidden layer."""

    index: int = Field(description="For /v1/images.")
    label: str = Field(description="Its class.")
    distance: float
    is_same: bool = Field(description="Whether it has the same pixels.")


class NeighborsAnswer(Schema):
    """The nearest training images to an image, nearest first."""

    model: str
    neighbors: tuple[TrainingNeighbor, ...]


class ClassExamples(Schema):
    """Some training images of a class, and how many it has."""

    label: str
    num_images: int = Field(description="Of the class, in all.")
    indices: tuple[int, ...] = Field(description="For /v1/images.")


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
    top5_error: Fraction | None = Field(description="Null for a validation split.")
    top5_interval: Interval | None


class ModelCard(Schema):
    """A served model."""

    name: str = Field(description="For the parameter `model`.", examples=["demo"])
    architecture: str = Field(examples=["alexnet"])
    class_names: tuple[str, ...]
    data: str = Field(description="The data set of its training; empty if unknown.")
    val_top1_error: Fraction | None = Field(description="Null where it was not measured.")
    test_top1_error: Fraction | None
    test_top5_error: Fraction | None
    num_images: dict[str, int] = Field(
        description="Of the data set, by split; empty if unknown.", examples=[{"train": 1020}]
    )
    evaluation: EvaluationCard | None = Field(description="Null for a model that is not of a run.")
    hidden_images: str = Field(
        description="Why images of its training data are not shown; empty if they are."
    )
    limits: tuple[str, ...] = Field(description="What it cannot do: sentences.")
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
