"""A drawing of an architecture to scale, as in the paper's figure 2; without torch.

- `save`: `save_drawing` writes the drawing of an architecture to a file.
- `network`: `draw_network`, the whole drawing.
- `stages`: the layers that are drawn, from the table of an architecture.
- `blocks`: where every stage stands, and how large it is.
- `windows`, `legend`, `colors`: its parts.
- `shapes`: polygons and texts, and their SVG.
- `figure`: the same drawing as a figure of matplotlib, for other formats than SVG.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.models.drawing.network import draw_network
    from alexnet.models.drawing.save import save_drawing
    from alexnet.models.drawing.shapes import Drawing

__all__ = ["Drawing", "draw_network", "save_drawing"]
__getattr__, __dir__ = attach(
    __name__, {"Drawing": "shapes", "draw_network": "network", "save_drawing": "save"}
)
