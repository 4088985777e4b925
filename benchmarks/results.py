"""The results as a page of text: reStructuredText, tables as literal blocks.

A section a part, which says itself when, where, with what and by which command it was measured.
The page is the store: it is cut at the titles of its sections, and those that were
measured anew are replaced.
"""

import itertools
import textwrap
from typing import NamedTuple

_HEAD = """\
Results of the benchmarks
=========================

Medians; ratios are this library over the peer, both measured in one run. The command that a
section names writes that section anew and leaves the others; ``python -m benchmarks`` writes
all."""


class Section(NamedTuple):
    """A part of the results."""

    title: str
    text: str
    image: str | None = None  # file name, beside the page
    command: str = ""  # what makes it again
    header: str = ""  # where, when and with what

    def as_block(self):
        """The section in reStructuredText, title first."""
        blocks = [f"{self.title}\n{'-' * len(self.title)}"]
        blocks += [f"Made anew by ``{self.command}``. Measured when, where and with what::"]
        blocks += [_literal(self.header), "::", _literal(self.text)]
        if self.image is not None:
            blocks.append(f".. image:: {self.image}\n   :alt: {self.title}")
        return "\n\n".join(blocks)


def page(sections, before="", order=()):
    """The page with sections replaced or added.

    Parameters
    ----------
    sections : list of Section
    before : str
        The page as it was; empty where there is none.
    order : sequence of str
        Titles in the order in which they come. Sections with other titles come last.

    Returns
    -------
    page : str
    """
    blocks = split(before)
    blocks.update((section.title, section.as_block()) for section in sections)
    known = [title for title in order if title in blocks]
    titles = [*known, *(title for title in blocks if title not in known)]
    return "\n\n".join([_HEAD, *(blocks[title] for title in titles)]) + "\n"


def split(page):
    """Sections of a page by title, in their order; what comes before the first is left out.

    A title is a line at the margin that is underlined with as many hyphens. Tables are indented,
    so that no rule in them is taken for one.
    """
    lines = page.splitlines()
    starts = [
        i
        for i, (line, below) in enumerate(itertools.pairwise(lines))
        if line.strip() and not line[0].isspace() and below == "-" * len(line)
    ]
    ends = [*starts[1:], len(lines)]
    return {
        lines[start]: "\n".join(lines[start:end]).strip()
        for start, end in zip(starts, ends, strict=False)
    }


def _literal(text):
    return textwrap.indent(text, "    ")
