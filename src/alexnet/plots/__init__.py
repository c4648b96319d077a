"""Plots that several parts of the package share, their style, and how a figure is saved.

- `style`: colors, sizes and grid; `styled`, `new_figure` and what most axes need
- `labels`, `fonts`: names that fit, in fonts that have their characters
- `saving`: `save` and `save_plot`
- `page`: figures whose parts are placed in inches
- `curves`, `compared_runs`, `first_layer`, `sheets`: learning curves of a run and of several,
  filters, sheets of images

A function that makes a figure computes it from records and arrays alone. It needs no display.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.plots.curves import learning_curves
    from alexnet.plots.first_layer import filters, noise_note, to_numpy
    from alexnet.plots.labels import (
        class_labels,
        drawable,
        font_note,
        short_label,
        text_width,
        wrapped_label,
    )
    from alexnet.plots.page import LINE_SPACING, Page, lines_of, paragraph_height
    from alexnet.plots.saving import FIGURE_FORMATS, SavePlot, figure_bytes, save, save_plot
    from alexnet.plots.sheets import contact_sheet
    from alexnet.plots.style import (
        BLUE,
        COLORS,
        GRAY,
        GREEN,
        INK,
        LIGHT,
        ORANGE,
        SMALL,
        WIDTH,
        add_note,
        count_epochs,
        new_figure,
        percent,
        run_title,
        show_percent,
        styled,
        use_log_scale,
    )

__all__ = [
    "BLUE",
    "COLORS",
    "FIGURE_FORMATS",
    "GRAY",
    "GREEN",
    "INK",
    "LIGHT",
    "LINE_SPACING",
    "ORANGE",
    "SMALL",
    "WIDTH",
    "Page",
    "SavePlot",
    "add_note",
    "class_labels",
    "contact_sheet",
    "count_epochs",
    "drawable",
    "figure_bytes",
    "filters",
    "font_note",
    "learning_curves",
    "lines_of",
    "new_figure",
    "noise_note",
    "paragraph_height",
    "percent",
    "run_title",
    "save",
    "save_plot",
    "short_label",
    "show_percent",
    "styled",
    "text_width",
    "to_numpy",
    "use_log_scale",
    "wrapped_label",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "BLUE": "style",
        "COLORS": "style",
        "FIGURE_FORMATS": "saving",
        "GRAY": "style",
        "GREEN": "style",
        "INK": "style",
        "LIGHT": "style",
        "LINE_SPACING": "page",
        "ORANGE": "style",
        "Page": "page",
        "SMALL": "style",
        "SavePlot": "saving",
        "WIDTH": "style",
        "add_note": "style",
        "class_labels": "labels",
        "contact_sheet": "sheets",
        "count_epochs": "style",
        "drawable": "labels",
        "figure_bytes": "saving",
        "filters": "first_layer",
        "font_note": "labels",
        "learning_curves": "curves",
        "lines_of": "page",
        "new_figure": "style",
        "noise_note": "first_layer",
        "paragraph_height": "page",
        "percent": "style",
        "run_title": "style",
        "save": "saving",
        "save_plot": "saving",
        "short_label": "labels",
        "show_percent": "style",
        "styled": "style",
        "text_width": "labels",
        "to_numpy": "first_layer",
        "use_log_scale": "style",
        "wrapped_label": "labels",
    },
)
