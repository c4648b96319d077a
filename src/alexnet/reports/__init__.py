"""A run as one page of HTML, and several runs side by side.

- `run_report`: writes `report.html` of a run; `compared_runs`: the page of several
- `watch`: serves the page of a running training
- `stored_run`, `predictions`, `stored_images`: what is read, as far as it is there
- `report_content`: the variables of the template; `curves`, `confusion`, `page_images`,
  `reliability`, `feature_map`, `data_facts`, `class_sizes`, `augmented`, `network_rows`: its
  sections
- `line_chart`: lines over the epochs as coordinates for SVG
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.reports.compared_runs import write_comparison
    from alexnet.reports.run_report import page_of, save_page, write_run_report
    from alexnet.reports.watch import serving

__all__ = ["page_of", "save_page", "serving", "write_comparison", "write_run_report"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "page_of": "run_report",
        "save_page": "run_report",
        "serving": "watch",
        "write_comparison": "compared_runs",
        "write_run_report": "run_report",
    },
)
