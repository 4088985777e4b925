"""Configuration of Sphinx: ``python -m sphinx -W docs docs/_build`` builds the site offline."""

import os
import sys
from pathlib import Path

# The gallery fits small models, which take longer to compile than to run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import gallery  # noqa: E402

import hhmm  # noqa: E402

project = "hhmm"
release = version = hhmm.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
exclude_patterns = ["_build", "**/.*"]
default_role = "py:obj"
html_theme = "alabaster"
html_theme_options = {
    "description": "Slow states behind sequences of behavioural syllables",
    "page_width": "1100px",
    "body_max_width": "none",
}
html_static_path = []
html_copy_source = False
autodoc_typehints = "none"  # numpydoc's sections have the types in words
autodoc_default_options = {"show-inheritance": False}
autosummary_generate = True
templates_path = ["templates"]
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def draw_gallery(app):
    """Draw the pictures of the gallery that are not there yet."""
    folder = Path(app.srcdir) / "_gallery"
    missing = [
        picture for picture in gallery.PICTURES if not (folder / f"{picture.__name__}.png").exists()
    ]
    gallery.draw(folder, missing)


def setup(app):
    app.connect("builder-inited", draw_gallery)
