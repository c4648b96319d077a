"""How `make docs` builds the site: Sphinx, MyST-NB and the pydata theme."""

import sys
from pathlib import Path

import alexnet

sys.path.insert(0, str(Path(__file__).parent))

project = "alexnet"
author = "The alexnet authors"
copyright = "The alexnet authors, MIT license"
release = alexnet.__version__
html_title = "alexnet"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "site_pages",
]
exclude_patterns = ["_build", "site_pages"]
nitpicky = True

# Pages of Markdown, whose links are the same on GitHub.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

# The notebook is shown with the outputs that `make notebook` kept.
nb_execution_mode = "off"
nb_merge_streams = True

# Docstrings: in them, as in Markdown, `x` is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Source"]

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["site.css"]
smartquotes = False  # --json is no dash
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "secondary_sidebar_items": ["page-toc"],
}
copybutton_exclude = ".linenos, .gp, .go"

# `make docs-links` asks the addresses of other sites.
linkcheck_timeout = 20
linkcheck_workers = 4
