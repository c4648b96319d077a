"""`alexnet explain MODEL --filters [LAYER]`: what the channels of a layer respond to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from alexnet.cli.console import percent, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.models import with_model
from alexnet.cli.outputs.filters import FiltersOutput, channel_outputs, dead_outputs
from alexnet.errors import UsageError
from alexnet.io.text import count_text, printable
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from alexnet.data.store.store import Store
    from alexnet.explain.patches import LayerPatches
    from alexnet.inference.classifier import Classifier

WORD = "--filters"
FIRST = "first"
"""A placeholder for the name of the first convolution."""
NUM_CHANNELS = 24
"""Number of channels in a figure, unless they are named."""


@dataclass(frozen=True, kw_only=True)
class FiltersFlags:
    """What the channels of a layer respond to.

    The first convolution: its filters, sorted by orientation and color, the towers of a grouped
    network apart (paper, figure 3). Other layers: the nine image patches with the highest output of
    each channel, as large as its receptive field, and how many channels are dead.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    filters: Annotated[str, tyro.conf.arg(metavar="[LAYER]")] = FIRST
    """A convolution or fully connected layer; the first convolution unless given."""
    channels: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N ...")] = ()
    """Numbers of the channels, from 0; the 24 with the highest outputs unless given."""
    synthesize: bool = False
    """Also make an image for each channel that maximizes its output (gradient ascent)."""
    seed: int = 0
    """Seed of --synthesize."""
    data: str = ""
    """A data set, folder or list of images; unless given, the one the model was trained on."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """As for alexnet train, for other data than that of the training."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """The figure: .png, .jpg, .pdf or .svg; unless given, filters-LAYER.png in the folder explain
    of the run, or here for a model file."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True)
class _Patches:
    """The strongest patches of a layer, and the images that they are of."""

    found: LayerPatches
    store: Store


def run(arguments: Sequence[str]) -> int:
    """Draw the filters or patches of a layer."""
    flags = with_model(parse(FiltersFlags, with_layer(arguments), "explain"), "model")
    from alexnet.inference.classifier import load

    classifier = load(flags.model, flags.device)
    layer = _layer(classifier, flags)
    out = Path(flags.out) if flags.out else _default_out(flags, layer)
    from alexnet import plots
    from alexnet.plots.saving import figure_format

    figure_format(out)
    if shows_weights(classifier, layer, flags):
        plots.save(_weights_figure(classifier, layer, flags), out)
        _tell(flags, classifier, layer, out)
        return 0
    with ProgressReporter() as reporter:
        patches = _search(classifier, layer, flags, reporter)
        channels = _channels(classifier, layer, flags, patches)
        figure = _patches_figure(classifier, layer, flags, patches, channels, reporter)
    plots.save(figure, out)
    _tell(flags, classifier, layer, out, patches, channels)
    return 0


def with_layer(arguments: Sequence[str]) -> list[str]:
    """The arguments, with FIRST as the value of --filters if it has none."""
    words = list(arguments)
    for i, word in enumerate(words):
        if word == WORD and (i + 1 == len(words) or words[i + 1].startswith("--")):
            return [*words[: i + 1], FIRST, *words[i + 1 :]]
    return words


def _layer(classifier: Classifier, flags: FiltersFlags) -> str:
    """The name of the layer that --filters means.

    Raises:
        UsageError: there is no such layer, or it lacks a channel of --channels.
    """
    from alexnet.explain.feature_layers import conv_names, num_channels
    from alexnet.explain.patches import check_layer

    arch = classifier.info.architecture
    convs = conv_names(arch)
    if flags.filters == FIRST and not convs:
        raise UsageError(f"{arch.name} has no convolution; name a layer: --filters LAYER")
    layer = convs[0] if flags.filters == FIRST else flags.filters
    check_layer(classifier, layer)
    count = num_channels(arch, layer)
    for channel in flags.channels:
        if not 0 <= channel < count:
            raise UsageError(f"{layer} has the channels 0 to {count - 1}, not {channel}")
    return layer


def shows_weights(classifier: Classifier, layer: str, flags: FiltersFlags) -> bool:
    """Whether the figure shows the weights themselves, as for the first convolution."""
    from alexnet.explain.feature_layers import conv_names

    is_first = layer in conv_names(classifier.info.architecture)[:1]
    return is_first and not (flags.synthesize or flags.channels or flags.data)


def _weights_figure(classifier: Classifier, layer: str, flags: FiltersFlags) -> Figure:
    from alexnet import plots
    from alexnet.explain.feature_layers import num_towers

    arch = classifier.info.architecture
    title = plots.run_title(f"Filters of {layer}", (_name(flags), arch.name))
    weight = classifier.network.get_parameter(f"{layer}.weight")
    return plots.filters(weight, title, num_towers(arch, layer))


def _name(flags: FiltersFlags) -> str:
    return Path(flags.model).resolve().name


def _search(
    classifier: Classifier, layer: str, flags: FiltersFlags, reporter: ProgressReporter
) -> _Patches | None:
    """Search all images for the strongest patches; None if there is no data and none is needed."""
    from alexnet.evaluation.evaluator import open_evaluation_data, select_split
    from alexnet.explain.patches import find_patches

    if flags.synthesize and not flags.data and not classifier.info.recipe.data:
        return None
    store = open_evaluation_data(
        classifier, flags.data, flags.data_root, reporter, flags.label_from
    )
    _, indices = select_split(classifier, store, flags.data, "all")
    return _Patches(find_patches(classifier, store, indices, layer, reporter.on_search), store)


def _channels(
    classifier: Classifier, layer: str, flags: FiltersFlags, patches: _Patches | None
) -> list[int]:
    """The channels of the figure: the named ones, else the strongest, else the first ones."""
    from alexnet.explain.feature_layers import num_channels

    if flags.channels:
        return list(flags.channels)
    if patches is None:
        return list(range(min(NUM_CHANNELS, num_channels(classifier.info.architecture, layer))))
    order = (-patches.found.values[:, 0]).argsort(kind="stable")[:NUM_CHANNELS]
    return [int(channel) for channel in order]


def _patches_figure(
    classifier: Classifier,
    layer: str,
    flags: FiltersFlags,
    patches: _Patches | None,
    channels: Sequence[int],
    reporter: ProgressReporter,
) -> Figure:
    from alexnet import plots
    from alexnet.explain.filter_sheets import patches_sheet
    from alexnet.explain.patches import cut_patches
    from alexnet.explain.synthesis import synthesize

    cut, synthesized = {}, {}
    if patches:
        store, found = patches.store, patches.found
        cut = {one: cut_patches(classifier, store, found, one) for one in channels}
    if flags.synthesize:
        images = synthesize(
            classifier, layer, channels, seed=flags.seed, on_progress=reporter.on_synthesize
        )
        synthesized = dict(zip(channels, images, strict=True))
    title = plots.run_title(
        f"Channels of {layer}", (_name(flags), classifier.info.architecture.name)
    )
    return patches_sheet(cut, synthesized, title, _note(classifier, layer, flags, patches))


def _note(classifier: Classifier, layer: str, flags: FiltersFlags, patches: _Patches | None) -> str:
    """A line on what the figure shows."""
    from alexnet.explain.feature_layers import field_text

    parts = []
    if flags.synthesize:
        parts.append("large: the image that was made to maximize the channel")
    if patches:
        count = count_text(patches.found.num_images, "image")
        images = f"{count} of {patches.store.info.name}"
        size = field_text(classifier.info.architecture, layer)
        parts.append(f"the nine strongest patches in {images}, each {size}")
    return "; ".join(parts)


def _tell(
    flags: FiltersFlags,
    classifier: Classifier,
    layer: str,
    out: Path,
    patches: _Patches | None = None,
    channels: Sequence[int] = (),
) -> None:
    """Print the results and the file of the figure."""
    found = patches.found if patches else None
    infos = {one.layer.name: one for one in classifier.info.architecture.layer_infos()}
    if flags.json:
        print_json(
            FiltersOutput(
                model=flags.model,
                layer=layer,
                sheet=str(out),
                receptive_field=infos[layer].receptive_field,
                num_images=found.num_images if found else None,
                dead=dead_outputs(found) if found else (),
                channels=channel_outputs(patches.found, patches.store, channels) if patches else (),
            )
        )
        return
    if found:
        print(f"{dead_text(found)}\n")
    print(printable(str(out)))


def dead_text(found: LayerPatches) -> str:
    """A table of the dead channels of every layer with a ReLU."""
    if not found.num_channels:
        return "no layer has a ReLU, so that none has dead channels"
    rows = [
        (layer, f"{count:,}", f"{found.num_dead[layer]:,}", percent(found.num_dead[layer] / count))
        for layer, count in found.num_channels.items()
    ]
    title = f"channels that are above zero in none of {count_text(found.num_images, 'image')}"
    return f"{title}\n\n{table(('layer', 'channels', 'dead', ''), rows)}"


def _default_out(flags: FiltersFlags, layer: str) -> Path:
    name = f"filters-{layer}.png"
    return Path(flags.model, "explain", name) if Path(flags.model).is_dir() else Path(name)
