"""The results as a page of text: reStructuredText, tables as literal blocks."""

import textwrap
from typing import NamedTuple


class Section(NamedTuple):
    """A part of the results."""

    title: str
    text: str
    image: str | None = None  # file name, beside the page


def page(header, sections, command):
    """The page.

    Parameters
    ----------
    header : str
        Where, when and with what.
    sections : list of Section
    command : str
        What makes these results again.

    Returns
    -------
    page : str
    """
    blocks = [
        "Results of the benchmarks\n=========================",
        "Medians; ratios are this library over the peer, both measured in one run. Made by::",
        textwrap.indent(command, "    "),
        "which writes this page anew. Where, when and with what::",
        textwrap.indent(header, "    "),
    ]
    for section in sections:
        blocks += [f"{section.title}\n{'-' * len(section.title)}"]
        blocks += ["::", textwrap.indent(section.text, "    ")]
        if section.image is not None:
            blocks.append(f".. image:: {section.image}\n   :alt: {section.title}")
    return "\n\n".join(blocks) + "\n"
