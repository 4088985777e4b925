"""Configuration of Sphinx: ``python -m sphinx -W docs docs/_build`` builds the site offline."""

import os
import re
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


def adapt_docstring(app, what, name, obj, options, lines):
    """Write as reStructuredText what help() shows as it is.

    A fitted attribute such as n_iter_ is no link although it ends in an underscore, and entries of
    a section that are indented, such as fields of a returned tuple, are separated by blank lines.
    """
    adapted = []
    for line in lines:
        entry = re.match(r"\s*\w+(, \w+)* : ", line)
        if entry and line.startswith("    ") and adapted and adapted[-1].strip():
            adapted.append("")
        if not re.match(r"\s*(>>>|\.\.\.)", line):
            name = entry.group() if entry else ""
            text = line.removeprefix(name)
            line = name + re.sub(r"(?<![`\w.])([A-Za-z]\w*)_(?=[\s,;)]|$)", r"\1\\_", text)
        adapted.append(line)
    lines[:] = adapted


def skip_member(app, what, name, obj, skip, options):
    """Skip the methods of scikit-learn's metadata routing, whose texts link to its glossary."""
    return True if re.fullmatch(r"set_\w+_request|get_metadata_routing", name) else None


def setup(app):
    app.connect("builder-inited", draw_gallery)
    app.connect("autodoc-process-docstring", adapt_docstring, priority=400)
    app.connect("autodoc-skip-member", skip_member)
